"""Files read by workers, which see no archive, and written by one committer, which holds the writer's lock.

A worker gets a task and gives a receipt: what it made of the file, why it could not, or that the committer must see to it, as
the content is known already. Receipts may come in any order, late, or not at all; the committer looks at the archive again
before each of them. Where the workers run is not known here.
"""

import logging
import platform
import time
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag import media
from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.indexing.build import Indexer, IndexEvent, IndexReport, known_outcome
from rankvideo_rag.indexing.extract import Ground, Made, Maker, refusal
from rankvideo_rag.indexing.file_state import MISSING_CODES, FileState, check_location, compute_video_id, read_file_state
from rankvideo_rag.indexing.prefetch import Ahead
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.schema import FileOutcome
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer

logger = logging.getLogger(__name__)

# Codes that speak of the machine rather than of the file: what the committer finds counts.
_OF_THE_PLACE = MISSING_CODES | {"io", "outside_root", "path_too_long", "permission"}


class WorkerConfig(NamedTuple):
    """What all workers of a run are told."""

    config: IndexConfig
    limits: MediaLimits
    roots: Collection[Path]  # what the archive is made from
    removed: frozenset[str]  # contents that were taken out of it


class FileTask(NamedTuple):
    """A file to be read."""

    path: Path
    state: FileState | None  # None where the committer cannot see it
    known: frozenset[str]  # contents of its size that the archive holds under this config: not to be read again


class WorkerResult(NamedTuple):
    """What became of a task. With neither `made` nor `refused` its content is known, and the committer's to see to."""

    path: Path
    state: FileState | None = None  # in which the file was read
    made: Made | None = None
    refused: FileOutcome | None = None
    decodes: int = 0
    embeddings: int = 0
    seconds: float = 0.0
    machine: str = ""


class _Known(Exception):
    """The content that a worker holds is known to the archive."""


class IndexWorker:
    """Reads files, one after the other, with models that are loaded once."""

    def __init__(self, brief: WorkerConfig, models: Models) -> None:
        self._brief = brief
        ahead = Ahead(brief.config, brief.limits, models)
        self._maker = Maker(brief.config, models, brief.limits, lambda path, stage: None, ahead)

    def work(self, task: FileTask) -> WorkerResult:
        """What became of a task. Raises nothing for what a file may be."""
        began, decodes, embeddings = time.monotonic(), media.count_decoder_calls(), self._maker.embeddings
        receipt = self._read(task)
        return receipt._replace(
            decodes=media.count_decoder_calls() - decodes,
            embeddings=self._maker.embeddings - embeddings,
            seconds=time.monotonic() - began,
            machine=platform.node(),
        )

    def _read(self, task: FileTask) -> WorkerResult:
        path, state, known = task.path, None, task.known | self._brief.removed

        def identify(path: Path) -> str:
            if (video_id := compute_video_id(path)) in known:
                raise _Known
            return video_id

        try:
            state = read_file_state(path, subtitles=self._brief.config.subtitles)
            check_location(path, self._brief.roots)
            early = identify(path) if state.size and known else None
            made = self._maker.make(path, state, video_id=early, identify=identify, ground=lambda video_id: Ground(path))
            return WorkerResult(path, state, made=made)
        except _Known:
            return WorkerResult(path, state)
        except (MediaError, ModelError) as error:
            return WorkerResult(path, state, refused=refusal(path, error))


def lost_task(task: FileTask, why: str) -> WorkerResult:
    """The receipt of a task for which no worker gave one."""
    return WorkerResult(task.path, task.state, refused=refusal(task.path, MediaError("worker", why)))


class Committer(Indexer):
    """Writes what receipts say. It reads a file itself only where no receipt can say what the archive needs."""

    def brief(self, limits: MediaLimits) -> WorkerConfig:
        """What all workers are to know."""
        return WorkerConfig(self._config, limits, self._roots, self._store.removed())

    def task(self, path: Path) -> FileTask:
        """What a worker is to do about a file that is new or changed."""
        try:
            state = read_file_state(path, subtitles=self._config.subtitles)
        except MediaError:
            return FileTask(path, None, frozenset())
        return FileTask(path, state, self._store.video_ids_of_size(state.size, self._hash))

    def take(self, receipt: WorkerResult) -> FileOutcome:
        """What becomes of the file of a receipt."""
        outcome = self._settled(receipt)
        self._on_event(IndexEvent(receipt.path, None, outcome, seconds=receipt.seconds))
        return outcome

    def _settled(self, receipt: WorkerResult) -> FileOutcome:
        path, state, made, refused = receipt[:4]
        if made:
            try:
                return self._commit_or_adopt(made)
            except MediaError as error:
                return self._put_refused(path, made.state, refusal(path, error))
        if refused and state and _code(refused) not in _OF_THE_PLACE:
            return self._put_refused(path, state, refused)
        outcome = self._index_new(path)
        if refused and _code(outcome) != _code(refused):
            logger.warning("%s could not read a file that is read here: %s", receipt.machine, refused.reason)
        return outcome

    def _commit_or_adopt(self, made: Made) -> FileOutcome:
        """The same content may have come in since under another name, or have its words from another's subtitles."""
        path, state, video_id = made.path, made.state, made.video.video_id
        if outcome := self._adopt(path, state, video_id):
            return outcome
        if self._elsewhere(path, state, video_id)[1] != path:
            return self._index_new(path)
        return self._commit(made)


def _code(outcome: FileOutcome) -> str:
    return (outcome.reason or "").partition(":")[0]


def build_distributed(
    store: Store,
    paths: Sequence[Path],
    config: IndexConfig,
    models: Models,
    workers: Callable[[WorkerConfig, Sequence[FileTask]], Generator[WorkerResult, None, None]],
    *,
    named: Collection[Path] = (),
    limits: MediaLimits = MediaLimits(),
    on_event: Callable[[IndexEvent], None] = lambda event: None,
) -> IndexReport:
    """As `build`, but that `workers` read the files: one receipt for each task, in any order."""
    began, decodes, embeddings = time.monotonic(), -media.count_decoder_calls(), 0
    done: dict[Path, FileOutcome] = {}
    with open_writer(store) as writer:
        if store.index_config != config.model_dump(mode="json"):
            writer.set_index_config(config.model_dump(mode="json"))
        committer = Committer(store, writer, config, models, frozenset(named), limits, on_event)
        for path in paths:
            if outcome := known_outcome(store, path, config, named=path in named):
                done[path] = outcome
                on_event(IndexEvent(path, None, outcome, unchanged=True))
        unchanged, tasks = len(done), [committer.task(path) for path in paths if path not in done]
        with closing(workers(committer.brief(limits), tasks)) as receipts:
            for receipt in receipts:
                decodes, embeddings = decodes + receipt.decodes, embeddings + receipt.embeddings
                done[receipt.path] = committer.take(receipt)
        decodes, embeddings = decodes + media.count_decoder_calls(), embeddings + committer.embeddings
    return IndexReport(tuple(done[path] for path in paths), unchanged, decodes, embeddings, time.monotonic() - began)
