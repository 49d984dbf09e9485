"""Prefetch media: the next clips of a video while others are embedded, and the beginning and text of the next file.

Memory is bounded: at most MAX_PREFETCHED clips of the current file and as many of the next one. An error met while prefetching
is raised when the file's turn comes.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.file_state import MediaFile
from rankvideo_rag.indexing.media_reader import MediaReader, OnStage, Stage
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.media import ClipMedia
from rankvideo_rag.schema import Clip, Probe, TextSpan
from rankvideo_rag.storage.index_config import IndexConfig

MAX_PREFETCHED = 8  # clips
_Clips = dict[tuple[float, float], ClipMedia | MediaError]  # by start and end in seconds

T = TypeVar("T")


class _NextFile:
    """The next file, with futures for what is read of it in the background."""

    def __init__(self, file: MediaFile) -> None:
        self.file = file
        self.probe: Future[Probe] = Future()
        self.clips: Future[_Clips] = Future()
        self.speech: Future[list[TextSpan]] = Future()
        self.on_screen: Future[list[TextSpan]] = Future()
        self.cancelled = threading.Event()


class Prefetcher:
    """Give what a MediaReader reads of one file after another, from memory where the file was prefetched."""

    def __init__(self, config: IndexConfig, reader: MediaReader) -> None:
        self._config, self._reader = config, reader
        self._next: _NextFile | None = None
        self._thread: threading.Thread | None = None

    def start(self, file: MediaFile) -> None:
        """Start to read the file whose turn comes next, in a background thread."""
        self.close()
        self._next = _NextFile(file)
        # A daemon thread, for which the process need not wait; it waits for the previous one, so that only one file is read.
        self._thread = threading.Thread(target=self._fill, args=(self._next, self._thread), name="prefetch-file", daemon=True)
        self._thread.start()

    def probe(self, file: MediaFile) -> Probe:
        """Probe the file. What was prefetched of another file, or before this one changed, is dropped."""
        if self._next and self._next.file != file:
            self.close()
        return self._next.probe.result() if self._next else self._reader.probe(file.path)

    def speech(self, path: Path, subtitles_path: Path, probe: Probe, on_stage: OnStage) -> list[TextSpan]:
        """Return the spoken text of the file, with the subtitles beside `subtitles_path`, which has the same content."""
        if self._next and self._next.file.path == path == subtitles_path:
            return self._next.speech.result()
        return self._reader.speech(subtitles_path, probe, on_stage)

    def on_screen(self, path: Path, probe: Probe, on_stage: OnStage) -> list[TextSpan]:
        """Return the on-screen text of the file."""
        if self._next and self._next.file.path == path:
            return self._next.on_screen.result()
        return self._reader.on_screen(path, probe, on_stage)

    def clips(self, path: Path, clips: Sequence[Clip]) -> Generator[ClipMedia | MediaError, None, None]:
        """Yield the media of each clip in order, or the error that prevents reading it."""
        prefetched, self._next = self._next, None
        held = prefetched.clips.result() if prefetched and prefetched.file.path == path else {}

        def read(clip: Clip) -> ClipMedia | MediaError:
            found = held.pop((clip.start, clip.end), None)
            return self._reader.clip(path, clip) if found is None else found

        return prefetch_map(read, clips, ahead=MAX_PREFETCHED, threads=1)

    def close(self) -> None:
        """Drop what was prefetched and read no further clips of it."""
        if self._next:
            self._next.cancelled.set()
        self._next = None

    def _fill(self, upcoming: _NextFile, previous: threading.Thread | None) -> None:
        if previous:
            previous.join()
        path, probe = upcoming.file.path, upcoming.probe.result
        _resolve(upcoming.probe, lambda: self._reader.probe(path))
        _resolve(upcoming.clips, lambda: self._first_clips(upcoming, probe()))
        if not upcoming.cancelled.is_set():
            _resolve(upcoming.speech, lambda: self._reader.speech(path, probe(), _ignore_stage))
        if not upcoming.cancelled.is_set():
            _resolve(upcoming.on_screen, lambda: self._reader.on_screen(path, probe(), _ignore_stage))

    def _first_clips(self, upcoming: _NextFile, probe: Probe) -> _Clips:
        config = self._config
        if not probe.video_codec or config.segment_by != "windows":  # boundaries from shots or speech are not known yet
            return {}
        clips = segment("", probe.duration, clip_seconds=config.clip_seconds, overlap=config.clip_overlap)
        held: _Clips = {}
        for clip in clips[:MAX_PREFETCHED]:
            if upcoming.cancelled.is_set():
                break
            held[clip.start, clip.end] = self._reader.clip(upcoming.file.path, clip)
        return held


def _resolve(future: Future[T], read: Callable[[], T]) -> None:
    try:
        future.set_result(read())
    except BaseException as error:
        future.set_exception(error)


def _ignore_stage(stage: Stage) -> None:
    """Stages of a prefetched file are not reported."""
