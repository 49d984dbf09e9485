"""From media files to a written archive, one file after the other: what is unchanged costs a stat and nothing else.

For each file: known? -> hash -> probe -> clips -> words -> vectors -> one transaction. Every file ends in exactly one outcome.
A video is its content: a file that was renamed or moved costs a hash, and one whose subtitles changed their reading only.
This file draws no progress bars: it tells a listener what it does.
"""

import os
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag import media
from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.indexing.draft import Kept, Stage
from rankvideo_rag.indexing.extract import Ground, Made, Maker, refusal
from rankvideo_rag.indexing.file_state import (
    MISSING_CODES,
    FileState,
    check_location,
    compute_video_id,
    is_missing,
    read_file_state,
)
from rankvideo_rag.indexing.prefetch import Ahead
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.media.discover import is_external_link
from rankvideo_rag.schema import FileOutcome, Outcome
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.writer import REMOVED_REASON, ArchiveWriter, open_writer, title_of


class IndexEvent(NamedTuple):
    """What the indexer is doing: a stage of a file begun, or a file done."""

    path: Path
    stage: Stage | None
    done: FileOutcome | None = None
    unchanged: bool = False
    seconds: float | None = None  # what it took, where that is not the time since the last event


class IndexReport(NamedTuple):
    """What became of every file given, and what it cost."""

    files: tuple[FileOutcome, ...]
    unchanged: int  # of the files, how many were known already
    decodes: int  # calls into the media decoder
    embeddings: int  # clips given to the embedder
    seconds: float

    def count(self, outcome: Outcome) -> int:
        """How many files ended so."""
        return sum(file.outcome == outcome for file in self.files)


def build(
    store: Store,
    paths: Sequence[Path],
    config: IndexConfig,
    models: Models,
    *,
    named: Collection[Path] = (),
    limits: MediaLimits = MediaLimits(),
    on_event: Callable[[IndexEvent], None] = lambda event: None,
) -> IndexReport:
    """Bring the archive up to date with the files. Interrupted, it leaves every finished video in place.

    `named` are files that were asked for by name: these come in again even if they were once taken out.
    Raises ArchiveLocked when another process writes the archive, ArchiveError when the disk does not take the writes.
    """
    began, decodes = time.monotonic(), media.count_decoder_calls()
    with open_writer(store) as writer:
        if store.index_config != config.model_dump(mode="json"):
            writer.set_index_config(config.model_dump(mode="json"))
        indexer = Indexer(store, writer, config, models, frozenset(named), limits, on_event)
        with closing(indexer.ahead):
            files = tuple(indexer.index(path, then) for path, then in zip_longest(paths, paths[1:]))
    return IndexReport(
        files, indexer.unchanged, media.count_decoder_calls() - decodes, indexer.embeddings, time.monotonic() - began
    )


def known_outcome(store: Store, path: Path, config: IndexConfig, *, named: bool = False) -> FileOutcome | None:
    """The outcome on record, if the file is as it was then and the config too, and trying again would be no use."""
    known = store.known_file(path)
    if known is None or known.config_hash != config.fingerprint or known.outcome.outcome == "failed":
        return None
    code = (known.outcome.reason or "").partition(":")[0]
    try:
        state = read_file_state(path, subtitles=config.subtitles)
    except MediaError as error:
        return known.outcome if error.code == code else None
    readable_now = (
        code in MISSING_CODES
        or (code == "permission" and os.access(path, os.R_OK))
        or (code == "outside_root" and not is_external_link(path, store.sources()))
    )
    if readable_now or (named and known.outcome.reason == REMOVED_REASON):
        return None
    return known.outcome if (known.size, known.mtime_ns, known.sidecars) == state else None


class Indexer:
    """One run over some files."""

    def __init__(
        self,
        store: Store,
        writer: ArchiveWriter,
        config: IndexConfig,
        models: Models,
        named: Collection[Path],
        limits: MediaLimits,
        on_event: Callable[[IndexEvent], None],
    ) -> None:
        self._store, self._writer, self._config, self._named = store, writer, config, named
        self._on_event = on_event
        self.ahead = Ahead(config, limits, models)
        self._maker = Maker(config, models, limits, self._at, self.ahead)
        self._hash, self._roots = config.fingerprint, store.sources()
        self.unchanged = 0

    @property
    def embeddings(self) -> int:
        """Clips given to the embedder so far."""
        return self._maker.embeddings

    def index(self, path: Path, then: Path | None = None) -> FileOutcome:
        """What becomes of a file, while `then`, the next one, is begun to be read."""
        known = known_outcome(self._store, path, self._config, named=path in self._named)
        if known:
            self.unchanged += 1
        outcome = known or self._index_new(path, then)
        self._on_event(IndexEvent(path, None, outcome, unchanged=known is not None))
        return outcome

    def _index_new(self, path: Path, then: Path | None = None) -> FileOutcome:
        state = None
        try:
            state = read_file_state(path, subtitles=self._config.subtitles)
            check_location(path, self._roots)
            return self._index_content(path, state, then)
        except (MediaError, ModelError) as error:
            outcome = refusal(path, error)
        return self._put_refused(path, state, outcome)

    def _put_refused(self, path: Path, state: FileState | None, outcome: FileOutcome) -> FileOutcome:
        if state is None:
            return self._out_of_sight(path, outcome)
        self._writer.put_file(KnownFile(state.size, state.mtime_ns, self._hash, outcome, state.sidecars))
        return outcome

    def _out_of_sight(self, path: Path, outcome: FileOutcome) -> FileOutcome:
        """A file that cannot even be looked at, as on a failing disk: what is known of its content stays."""
        known = self._store.known_file(path) or KnownFile(0, 0, "", outcome)
        outcome = outcome.model_copy(update={"video_id": known.outcome.video_id, "clips": known.outcome.clips})
        self._writer.put_file(known._replace(config_hash=self._hash, outcome=outcome))
        return outcome

    def _index_content(self, path: Path, state: FileState, then: Path | None) -> FileOutcome:
        # A file is hashed first only where its content may be known: hashing a huge one that is no video would be for nothing.
        early = self._identify(path) if state.size and self._store.has_file_of_size(state.size) else None
        if early and (outcome := self._adopt(path, state, early)):
            return outcome
        made = self._maker.make(
            path,
            state,
            video_id=early,
            identify=self._identify,
            ground=lambda video_id: Ground(self._elsewhere(path, state, video_id)[1], self._kept(video_id)),
            when_read=lambda: self._expect(then, state.size),
        )
        return self._commit(made)

    def _commit(self, made: Made) -> FileOutcome:
        """Write what was made of a file, if that is still as it was. Raises MediaError when it is not."""
        path, state, video_id = made.path, made.state, made.video.video_id
        self._check_unchanged(path, state)
        gone, _ = self._elsewhere(path, state, video_id)
        lies_at = min([path, *(p for p in self._store.paths(video_id) if p not in gone)], key=os.fsencode)
        video = made.video.model_copy(update={"title": title_of(made.video.probe, lies_at)})
        self._at(path, "commit")
        self._writer.put_video(
            video,
            made.draft.clips,
            made.draft.spans,
            made.draft.vectors,
            file=KnownFile(state.size, state.mtime_ns, self._hash, made.outcome, state.sidecars),
            moved_from=gone,
            work_seconds=made.seconds,
            perceptual_hashes=made.draft.pictures,
        )
        return made.outcome

    def _expect(self, path: Path | None, size_now: int) -> None:
        """Have the next file read ahead, unless it is known, may be of known content, or cannot be read: its turn will tell."""
        if path is None or known_outcome(self._store, path, self._config, named=path in self._named):
            return
        try:
            state = read_file_state(path, subtitles=self._config.subtitles)
            check_location(path, self._roots)
        except MediaError:
            return
        if state.size not in (0, size_now) and not self._store.has_file_of_size(state.size):
            self.ahead.expect(path, state)

    def _identify(self, path: Path) -> str:
        """The content's identity. Raises MediaError for content that was taken out of the archive, unless named now."""
        self._at(path, "hash")
        video_id = compute_video_id(path)
        if self._store.is_removed(video_id):
            if path not in self._named:
                code, _, words = REMOVED_REASON.partition(": ")
                raise MediaError(code, words)
            self._writer.allow_video(video_id)
        return video_id

    def _adopt(self, path: Path, state: FileState, video_id: str) -> FileOutcome | None:
        """The outcome of content that is known with the words it is to have: nothing is read again."""
        content = self._store.known_content(video_id, self._hash)
        gone, subtitles_of = self._elsewhere(path, state, video_id)
        if content is None or content.sidecars != self._sidecars(subtitles_of, path, state):
            return None
        self._check_unchanged(path, state)
        outcome = FileOutcome(
            path=str(path), outcome=content.outcome, reason=content.reason, clips=content.clips, video_id=video_id
        )
        self._writer.put_file(KnownFile(state.size, state.mtime_ns, self._hash, outcome, state.sidecars), moved_from=gone)
        return outcome

    def _elsewhere(self, path: Path, state: FileState, video_id: str) -> tuple[list[Path], Path]:
        """The other paths of this content that are no more, and of those that are the one whose subtitle files give the words:
        the first that has any."""
        others = [other for other in self._store.paths(video_id) if other != path]
        gone = [other for other in others if is_missing(other)]
        lies_at = sorted([path, *(other for other in others if other not in gone)], key=os.fsencode)
        return gone, next((p for p in lies_at if self._sidecars(p, path, state)), path)

    def _sidecars(self, of: Path, path: Path, state: FileState) -> str:
        known = None if of == path else self._store.known_file(of)
        return known.sidecars if known else state.sidecars

    def _kept(self, video_id: str) -> Kept | None:
        """The vectors and written words of content that is known, whole, under this config: only its subtitles are others.
        None where these say where its clips are divided."""
        content = self._store.known_content(video_id, self._hash)
        if content is None or content.outcome != "ok" or self._config.segment_by == "speech":
            return None
        written = [span for span in self._store.spans(video_id) if span.channel == "on_screen"]
        store = self._store
        return Kept(written, store.vectors_of(video_id), store.clips_of(video_id), store.perceptual_hashes_of(video_id))

    def _check_unchanged(self, path: Path, state: FileState) -> None:
        if read_file_state(path, subtitles=self._config.subtitles) != state:
            raise MediaError("changed", f"{str(path)!r} changed while it was read: it is tried again at the next run")

    def _at(self, path: Path, stage: Stage) -> None:
        self._on_event(IndexEvent(path, stage))
