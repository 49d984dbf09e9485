"""Index with workers that process files without access to the archive, and one committer that writes.

A worker gets a FileTask and returns a WorkerResult, in any order, late, or never; the committer checks the archive again before
each commit. Where the workers run is decided elsewhere (ray_engine).
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
from rankvideo_rag.indexing.build import Indexer, IndexEvent, IndexJob, IndexReport, OnEvent, known_outcome
from rankvideo_rag.indexing.extract import ProcessedVideo, VideoProcessor, failed_outcome
from rankvideo_rag.indexing.file_state import (
    MISSING_CODES,
    FileState,
    MediaFile,
    check_location,
    compute_video_id,
    read_file_state,
)
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.schema import FileOutcome
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer

logger = logging.getLogger(__name__)

# Error codes that depend on the machine rather than on the file: the committer tries such files itself.
_MACHINE_CODES = MISSING_CODES | {"io", "outside_root", "path_too_long", "permission"}


class WorkerConfig(NamedTuple):
    """What all workers of a run need."""

    config: IndexConfig
    limits: MediaLimits
    roots: Collection[Path]  # sources of the archive
    removed: frozenset[str]  # video ids that were removed from the archive


class FileTask(NamedTuple):
    """A file to process."""

    path: Path
    state: FileState | None  # None where the committer cannot read it
    known: frozenset[str]  # video ids of files of this size that are indexed under this config


class WorkerResult(NamedTuple):
    """The result of a task. With neither `processed` nor `failed`, the content is known to the archive."""

    path: Path
    state: FileState | None = None  # in which the file was read
    processed: ProcessedVideo | None = None
    failed: FileOutcome | None = None
    decodes: int = 0
    embeddings: int = 0
    texts: int = 0
    seconds: float = 0.0
    machine: str = ""


RunWorkers = Callable[[WorkerConfig, Sequence[FileTask]], Generator[WorkerResult, None, None]]


class IndexWorker:
    """Processes files with models that are loaded once."""

    def __init__(self, worker_config: WorkerConfig, models: Models) -> None:
        self._config = worker_config
        self._processor = VideoProcessor(worker_config.config, models, worker_config.limits)

    def work(self, task: FileTask) -> WorkerResult:
        """Process a file. Errors of the file are part of the result."""
        started, decodes = time.monotonic(), media.count_decoder_calls()
        embeddings, texts = self._processor.embeddings, self._processor.texts
        return self._process(task)._replace(
            decodes=media.count_decoder_calls() - decodes,
            embeddings=self._processor.embeddings - embeddings,
            texts=self._processor.texts - texts,
            seconds=time.monotonic() - started,
            machine=platform.node(),
        )

    def _process(self, task: FileTask) -> WorkerResult:
        path, state, known = task.path, None, task.known | self._config.removed
        try:
            state = read_file_state(path, subtitles=self._config.config.subtitles)
            check_location(path, self._config.roots)
            file = MediaFile(path, state)
            video_id = compute_video_id(path) if state.size and known else None
            if video_id in known:
                return WorkerResult(path, state)
            probe = self._processor.probe(file)
            video_id = video_id or compute_video_id(path)
            return WorkerResult(path, state, self._processor.process(file, video_id, probe))
        except (MediaError, ModelError) as error:
            return WorkerResult(path, state, failed=failed_outcome(path, error))


def lost_task(task: FileTask, reason: str) -> WorkerResult:
    """Return the result of a task that no worker finished."""
    return WorkerResult(task.path, task.state, failed=failed_outcome(task.path, MediaError("worker", reason)))


class Committer(Indexer):
    """Writes the results of workers. It processes a file itself only where no result can say what the archive needs."""

    def task(self, path: Path) -> FileTask:
        """Return the task for a new or changed file."""
        try:
            state = self._state(path)
        except MediaError:
            return FileTask(path, None, frozenset())
        return FileTask(path, state, self._store.video_ids_of_size(state.size, self._config_hash))

    def commit(self, result: WorkerResult) -> FileOutcome:
        """Write a result and return the outcome of its file."""
        outcome = self._commit_result(result)
        self._on_event(IndexEvent(result.path, None, outcome, seconds=result.seconds))
        return outcome

    def _commit_result(self, result: WorkerResult) -> FileOutcome:
        path, state, processed, failed = result[:4]
        if processed:
            try:
                return self._commit_processed(processed)
            except MediaError as error:
                return self._put_outcome(processed.file, failed_outcome(path, error))
        if failed and state and _code(failed) not in _MACHINE_CODES:
            return self._put_outcome(MediaFile(path, state), failed)
        outcome = self._index_new(path)
        if failed and _code(outcome) != _code(failed):
            logger.warning("%s could not read a file that this machine can read: %s", result.machine, failed.reason)
        return outcome

    def _commit_processed(self, processed: ProcessedVideo) -> FileOutcome:
        """Commit, unless the content has been indexed meanwhile or its subtitles lie beside another path."""
        file, video_id = processed.file, processed.video.video_id
        if outcome := self._reuse(file, video_id):
            return outcome
        if self._other_paths(file, video_id).subtitles != file.path:
            return self._index_new(file.path)
        return self._commit(processed)


def _code(outcome: FileOutcome) -> str:
    return (outcome.reason or "").partition(":")[0]


def build_distributed(
    store: Store, job: IndexJob, *, workers: RunWorkers, on_event: OnEvent = lambda event: None
) -> IndexReport:
    """Index the files as `build` does, with `workers`, which yield a result for each task."""
    started, decodes, embeddings, texts = time.monotonic(), -media.count_decoder_calls(), 0, 0
    done: dict[Path, FileOutcome] = {}
    with open_writer(store) as writer:
        committer = Committer(store, writer, job, on_event)
        for path in job.paths:
            if outcome := known_outcome(store, path, job.config, named=path in job.named):
                done[path] = outcome
                on_event(IndexEvent(path, None, outcome, unchanged=True))
        unchanged, tasks = len(done), [committer.task(path) for path in job.paths if path not in done]
        config = WorkerConfig(job.config, job.limits, store.sources(), store.removed())
        with closing(workers(config, tasks)) as results:
            for result in results:
                decodes, embeddings, texts = decodes + result.decodes, embeddings + result.embeddings, texts + result.texts
                done[result.path] = committer.commit(result)
        decodes, embeddings = decodes + media.count_decoder_calls(), embeddings + committer.processor.embeddings
        texts += committer.processor.texts
    files, seconds = tuple(done[path] for path in job.paths), time.monotonic() - started
    return IndexReport(files, unchanged, decodes, embeddings, seconds, texts)
