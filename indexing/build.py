"""Index media files into an archive, one after another.

Stages of a file: known? -> hash -> probe -> segment -> text -> vectors -> commit, one transaction per video. A video is
identified by its content: an unchanged file costs a stat, a moved one a hash, one with new subtitles only reading these. Every
file ends in exactly one outcome. Progress is reported to a callback.
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
from rankvideo_rag.indexing.extract import ExistingContent, ProcessedVideo, VideoProcessor, failed_outcome
from rankvideo_rag.indexing.file_state import (
    MISSING_CODES,
    FileState,
    MediaFile,
    check_location,
    compute_video_id,
    is_missing,
    read_file_state,
)
from rankvideo_rag.indexing.media_reader import Stage
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.media.discover import is_external_link
from rankvideo_rag.schema import FileOutcome, Outcome, TextSpan
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.writer import REMOVED_REASON, ArchiveWriter, open_writer, title_of


class IndexEvent(NamedTuple):
    """A stage of a file that begins, or a file that is done."""

    path: Path
    stage: Stage | None
    done: FileOutcome | None = None
    unchanged: bool = False
    seconds: float | None = None  # processing time, where that is not the time since the last event


OnEvent = Callable[[IndexEvent], None]


class IndexReport(NamedTuple):
    """The outcome of every file, and what the run cost."""

    files: tuple[FileOutcome, ...]
    unchanged: int  # files that were known already
    decodes: int  # calls of the media decoder
    embeddings: int  # clips given to the embedder
    seconds: float
    texts: int = 0  # passages given to the text embedder

    def count(self, outcome: Outcome) -> int:
        """Return the number of files with this outcome."""
        return sum(file.outcome == outcome for file in self.files)


class IndexJob(NamedTuple):
    """The files of a run and how they are indexed."""

    paths: Sequence[Path]
    config: IndexConfig
    models: Models | None  # None where every file is unchanged
    named: Collection[Path] = ()  # given by name: indexed even if they were removed from the archive
    limits: MediaLimits = MediaLimits()


def build(store: Store, job: IndexJob, *, on_event: OnEvent = lambda event: None) -> IndexReport:
    """Index the files. An interrupted run keeps every finished video.

    Raises ArchiveLocked while another process writes the archive, ArchiveError when the disk does not take the writes.
    """
    started, decodes = time.monotonic(), media.count_decoder_calls()
    with open_writer(store) as writer:
        indexer = Indexer(store, writer, job, on_event)
        with closing(indexer.processor):
            files = tuple(indexer.index(path, upcoming) for path, upcoming in zip_longest(job.paths, job.paths[1:]))
    decodes = media.count_decoder_calls() - decodes
    processor, seconds = indexer.processor, time.monotonic() - started
    return IndexReport(files, indexer.unchanged, decodes, processor.embeddings, seconds, processor.texts)


def known_outcome(store: Store, path: Path, config: IndexConfig, *, named: bool = False) -> FileOutcome | None:
    """Return the stored outcome where the file and the config are unchanged and another attempt would end the same."""
    known = store.known_file(path)
    if known is None or known.config_hash != config.fingerprint or known.outcome.outcome == "failed":
        return None
    code = (known.outcome.reason or "").partition(":")[0]
    try:
        state = read_file_state(path, subtitles=config.subtitles)
    except MediaError as error:
        return known.outcome if error.code == code else None
    if _is_readable_again(store, path, code) or (named and known.outcome.reason == REMOVED_REASON):
        return None
    return known.outcome if (known.size, known.mtime_ns, known.sidecars) == state else None


def _is_readable_again(store: Store, path: Path, code: str) -> bool:
    """Return whether a readable file was skipped for its place or its rights."""
    return (
        code in MISSING_CODES
        or (code == "permission" and os.access(path, os.R_OK))
        or (code == "outside_root" and not is_external_link(path, store.sources()))
    )


class Indexer:
    """Indexes files of one run. The stages of a file follow each other in `_index_content`."""

    def __init__(self, store: Store, writer: ArchiveWriter, job: IndexJob, on_event: OnEvent) -> None:
        self._store, self._writer, self._config, self._named = store, writer, job.config, frozenset(job.named)
        self._on_event = on_event
        assert job.models is not None
        self._config_hash, self._roots = job.config.fingerprint, store.sources()
        self.processor = VideoProcessor(job.config, job.models, job.limits, self._on_stage)
        self.unchanged = 0
        config = job.config.model_dump(mode="json")
        if store.index_config != config:
            writer.set_index_config(config)

    def index(self, path: Path, upcoming: Path | None = None) -> FileOutcome:
        """Index a file and return its outcome; `upcoming`, the next file, is prefetched meanwhile."""
        known = self._known_outcome(path)
        self.unchanged += known is not None
        outcome = known or self._index_new(path, upcoming)
        self._on_event(IndexEvent(path, None, outcome, unchanged=known is not None))
        return outcome

    def _index_new(self, path: Path, upcoming: Path | None = None) -> FileOutcome:
        try:
            file = MediaFile(path, self._state(path))
        except MediaError as error:
            return self._put_unreachable(failed_outcome(path, error))
        try:
            check_location(path, self._roots)
            return self._index_content(file, upcoming)
        except (MediaError, ModelError) as error:
            return self._put_outcome(file, failed_outcome(path, error))

    def _index_content(self, file: MediaFile, upcoming: Path | None) -> FileOutcome:
        path, size = file.path, file.state.size
        # Hash first only where the content may be known: hashing a huge file that turns out to be no video would be wasted.
        video_id = self._identify(path) if size and self._store.has_file_of_size(size) else None
        if video_id and (outcome := self._reuse(file, video_id)):
            return outcome
        probe = self.processor.probe(file)
        video_id = video_id or self._identify(path)
        processed = self.processor.process(
            file,
            video_id,
            probe,
            subtitles_path=self._other_paths(file, video_id).subtitles,
            existing=self._existing(video_id),
            on_last_frames=lambda: self._prefetch(upcoming, size),
        )
        return self._commit(processed)

    def _identify(self, path: Path) -> str:
        """Hash the file. Raises MediaError for content that was removed from the archive, unless the file is named now."""
        self._on_stage(path, "hash")
        video_id = compute_video_id(path)
        if self._store.is_removed(video_id):
            if path not in self._named:
                code, _, message = REMOVED_REASON.partition(": ")
                raise MediaError(code, message)
            self._writer.allow_video(video_id)
        return video_id

    def _reuse(self, file: MediaFile, video_id: str) -> FileOutcome | None:
        """Record one more path of content that is stored with the same subtitles; None where it must be processed."""
        content = self._store.known_content(video_id, self._config_hash)
        others = self._other_paths(file, video_id)
        if content is None or content.sidecars != self._sidecars(others.subtitles, file):
            return None
        self._check_unchanged(file)
        outcome = FileOutcome(
            path=str(file.path), outcome=content.outcome, reason=content.reason, clips=content.clips, video_id=video_id
        )
        return self._put_outcome(file, outcome, moved_from=others.missing)

    def _existing(self, video_id: str) -> ExistingContent | None:
        """Return what a change of subtitles leaves valid. None for content that is not stored whole under this config, or whose
        clips are divided by its speech."""
        content = self._store.known_content(video_id, self._config_hash)
        if content is None or content.outcome != "ok" or self._config.segment_by == "speech":
            return None
        store = self._store
        on_screen = [span for span in store.spans(video_id) if span.channel == "on_screen"]
        return ExistingContent(
            store.clips_of(video_id), on_screen, store.vectors_of(video_id), store.perceptual_hashes_of(video_id)
        )

    def _commit(self, processed: ProcessedVideo) -> FileOutcome:
        """Store a video. Raises MediaError where its file has changed meanwhile."""
        file, video_id = processed.file, processed.video.video_id
        self._check_unchanged(file)
        missing = self._other_paths(file, video_id).missing
        first = min([file.path, *(path for path in self._store.paths(video_id) if path not in missing)], key=os.fsencode)
        self._on_stage(file.path, "commit")
        self._writer.put_video(
            processed.video.model_copy(update={"title": title_of(processed.video.probe, first)}),
            processed.clips,
            [*processed.spans, *self._valid_descriptions(processed)],
            processed.vectors,
            file=self._known_file(file.state, processed.outcome),
            moved_from=missing,
            work_seconds=processed.seconds,
            perceptual_hashes=processed.perceptual_hashes,
            text_vectors=self._store.text_vectors_of(video_id) | processed.text_vectors,
        )
        return processed.outcome

    def _valid_descriptions(self, processed: ProcessedVideo) -> list[TextSpan]:
        """Return the stored descriptions of clips that stay."""
        stored = self._store.spans(processed.video.video_id)
        clips = {(clip.start, clip.end) for clip in processed.clips}
        return [span for span in stored if span.channel == "description" and (span.start, span.end) in clips]

    def _prefetch(self, path: Path | None, current_size: int) -> None:
        """Prefetch the next file, unless it is known, may have known content, or cannot be read."""
        if path is None or self._known_outcome(path):
            return
        try:
            file = MediaFile(path, self._state(path))
            check_location(path, self._roots)
        except MediaError:  # raised again when its turn comes
            return
        if file.state.size not in (0, current_size) and not self._store.has_file_of_size(file.state.size):
            self.processor.prefetch(file)

    def _put_outcome(self, file: MediaFile, outcome: FileOutcome, *, moved_from: Sequence[Path] = ()) -> FileOutcome:
        self._writer.put_file(self._known_file(file.state, outcome), moved_from=moved_from)
        return outcome

    def _put_unreachable(self, outcome: FileOutcome) -> FileOutcome:
        """Record that a file has no readable state, as on a failing disk; its content stays in the archive."""
        known = self._store.known_file(Path(outcome.path)) or KnownFile(0, 0, "", outcome)
        outcome = outcome.model_copy(update={"video_id": known.outcome.video_id, "clips": known.outcome.clips})
        self._writer.put_file(known._replace(config_hash=self._config_hash, outcome=outcome))
        return outcome

    def _known_file(self, state: FileState, outcome: FileOutcome) -> KnownFile:
        return KnownFile(state.size, state.mtime_ns, self._config_hash, outcome, state.sidecars)

    def _known_outcome(self, path: Path) -> FileOutcome | None:
        return known_outcome(self._store, path, self._config, named=path in self._named)

    def _other_paths(self, file: MediaFile, video_id: str) -> "_OtherPaths":
        others = [other for other in self._store.paths(video_id) if other != file.path]
        missing = [other for other in others if is_missing(other)]
        there = sorted([file.path, *(other for other in others if other not in missing)], key=os.fsencode)
        return _OtherPaths(missing, next((path for path in there if self._sidecars(path, file)), file.path))

    def _sidecars(self, path: Path, file: MediaFile) -> str:
        known = None if path == file.path else self._store.known_file(path)
        return known.sidecars if known else file.state.sidecars

    def _state(self, path: Path) -> FileState:
        return read_file_state(path, subtitles=self._config.subtitles)

    def _check_unchanged(self, file: MediaFile) -> None:
        if self._state(file.path) != file.state:
            raise MediaError("changed", f"{str(file.path)!r} changed while it was read; the next run tries it again")

    def _on_stage(self, path: Path, stage: Stage) -> None:
        self._on_event(IndexEvent(path, stage))


class _OtherPaths(NamedTuple):
    """The other paths of a file's content."""

    missing: list[Path]
    subtitles: Path  # the first existing path that has subtitle files; that of the file itself where none has
