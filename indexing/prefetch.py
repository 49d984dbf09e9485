"""Reading ahead: while the last clips are embedded and written the next ones are decoded, and those that the next video begins
with; its words are heard and read too.

What is held is bounded: no more than AHEAD clips of the video whose turn it is, and as many of the next. Media are read here,
never the archive, and what was met is raised at the turn of the file that it belongs to.
"""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from pathlib import Path

from rankvideo_rag import media
from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.file_state import FileState, read_seconds
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.indexing.text_extraction import Step, WordReader
from rankvideo_rag.media import ClipMedia, MediaLimits
from rankvideo_rag.schema import Clip, Probe, TextSpan
from rankvideo_rag.storage.index_config import IndexConfig, Models

AHEAD = 8  # clips

_Span = tuple[float, float]  # seconds


class _Head:
    """The beginning of a file, read before its turn."""

    def __init__(self, path: Path, state: FileState) -> None:
        self.path, self.state = path, state
        self.probe: Future[Probe] = Future()
        self.clips: Future[dict[_Span, ClipMedia | MediaError]] = Future()
        self.speech: Future[list[TextSpan]] = Future()
        self.on_screen: Future[list[TextSpan]] = Future()
        self.unwanted = threading.Event()


class Ahead:
    """Gives the media of one file after the other, read when they are asked for or, where the file was expected, before."""

    def __init__(self, config: IndexConfig, limits: MediaLimits, models: Models) -> None:
        self._config, self._limits = config, limits
        self._words = WordReader(config, limits, models.transcriber, models.text_reader)
        self._head: _Head | None = None
        self._thread: threading.Thread | None = None

    def expect(self, path: Path, state: FileState) -> None:
        """Begin to read a file that is in this state, whose turn comes next."""
        self.close()
        self._head = _Head(path, state)
        # A daemon, and begun only when the one before has ended: nobody waits for it, and never do two read ahead.
        self._thread = threading.Thread(target=self._fill, args=(self._head, self._thread), name="ahead", daemon=True)
        self._thread.start()

    def probe(self, path: Path, state: FileState) -> Probe:
        """What the file's header and packets say. What was read of another file, or in another state of it, is dropped."""
        if self._head and (self._head.path, self._head.state) != (path, state):
            self.close()
        return self._head.probe.result() if self._head else self._probe(path)

    def speech(self, path: Path, subtitles_of: Path, probe: Probe, at: Callable[[Step], None]) -> list[TextSpan]:
        """What is said in the file, by the subtitles of `subtitles_of`, which has the same content; `at` is told what is left
        to be done."""
        if self._head and self._head.path == path == subtitles_of:
            return self._head.speech.result()
        return self._words.speech(subtitles_of, probe, at)

    def on_screen(self, path: Path, probe: Probe, at: Callable[[Step], None]) -> list[TextSpan]:
        """What is written in the file's picture; `at` is told where that is still to be read."""
        if self._head and self._head.path == path:
            return self._head.on_screen.result()
        return self._words.on_screen(path, probe, at)

    def clips(self, path: Path, clips: Sequence[Clip]) -> Generator[ClipMedia | MediaError, None, None]:
        """The media of each of these clips, in order, or why it cannot be had."""
        head, self._head = self._head, None
        held = head.clips.result() if head and head.path == path else {}

        def read(clip: Clip) -> ClipMedia | MediaError:
            there = held.pop((clip.start, clip.end), None)
            return self._clip(path, clip) if there is None else there

        return prefetch_map(read, clips, ahead=AHEAD, threads=1)

    def close(self) -> None:
        """Forget what was read, and read no further clip of it."""
        if self._head:
            self._head.unwanted.set()
        self._head = None

    def _fill(self, head: _Head, before: threading.Thread | None) -> None:
        if before:
            before.join()
        try:
            probe = self._probe(head.path)
            head.probe.set_result(probe)
            head.clips.set_result(self._first_clips(head, probe))
            _settle(head.speech, lambda: self._words.speech(head.path, probe, _unheard))
            if not head.unwanted.is_set():
                _settle(head.on_screen, lambda: self._words.on_screen(head.path, probe, _unheard))
        except BaseException as error:
            for future in (head.probe, head.clips, head.speech, head.on_screen):
                if not future.done():
                    future.set_exception(error)

    def _first_clips(self, head: _Head, probe: Probe) -> dict[_Span, ClipMedia | MediaError]:
        cut = self._config
        if not probe.video_codec or cut.segment_by != "windows":  # others are known at its turn only
            return {}
        clips = segment("", probe.duration, clip_seconds=cut.clip_seconds, overlap=cut.clip_overlap)
        held: dict[_Span, ClipMedia | MediaError] = {}
        for clip in clips[:AHEAD]:
            if head.unwanted.is_set():
                break
            held[clip.start, clip.end] = self._clip(head.path, clip)
        return held

    def _probe(self, path: Path) -> Probe:
        return media.probe(str(path), limits=self._limits.at_least(read_seconds(path)))

    def _clip(self, path: Path, clip: Clip) -> ClipMedia | MediaError:
        span = str(path), clip.start, clip.end
        try:
            frames = media.read_frames(*span, **self._config.frame_options, limits=self._limits)
            hears = "audio" in self._config.embedder.modalities
            return ClipMedia(frames, media.read_audio(*span, limits=self._limits) if hears else None)
        except MediaError as error:
            return error


def _settle(future: Future[list[TextSpan]], read: Callable[[], list[TextSpan]]) -> None:
    """What was read, or why nothing could be; the other kind of words is read all the same."""
    try:
        future.set_result(read())
    except Exception as error:
        future.set_exception(error)


def _unheard(step: Step) -> None:
    """Nobody is told of a file before its turn."""
