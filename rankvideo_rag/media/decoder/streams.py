"""Select the streams of a file that are used, and find the origin of its times."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar, cast

from av.audio.stream import AudioStream
from av.codec.context import CodecContext, ThreadType
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.containers import CODECS, open_container

AnyStream = TypeVar("AnyStream", bound=Stream)

MAX_PIXELS = 8192 * 4320
_TEXT_SUBTITLES = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")
_STILL_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_SECONDARY = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired | Disposition.dub
_THREADS = 2  # decoders have deadlocked with as many threads as large machines offer
_PARTIAL_TITLE = re.compile(r"\b(?:forced|signs)\b", re.IGNORECASE)  # of subtitles that are not all that is said
_UNKNOWN = "unknown codec"
_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class OpenMedia:
    """An open file with the streams that are used, and a description of the others."""

    path: str
    container: InputContainer
    video: VideoStream | None  # the largest, then the longest
    audio: AudioStream | None  # the default one, then the one with most channels, then the longest
    subtitles: SubtitleStream | None  # the default text stream, or the first; none that is forced
    subtitle_streams: int
    unused: tuple[str, ...]
    origin: Fraction  # seconds: where all times start

    def seconds(self, stream: Stream, ticks: int) -> float:
        """Convert a timestamp of a stream to seconds from the start of the video."""
        return max(0.0, float(ticks * time_base(stream) - self.origin))

    def ticks(self, stream: Stream, seconds: float) -> int:
        """Convert seconds from the start of the video to the nearest timestamp of a stream."""
        return round((Fraction(seconds) + self.origin) / time_base(stream))

    def discard_others(self, stream: Stream) -> None:
        """Let the demuxer skip the packets of all other streams where it can."""
        for other in self.container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all


def time_base(stream: Stream) -> Fraction:
    """Return the seconds of one tick of a stream's timestamps."""
    return stream.time_base or _MICROSECOND


@contextmanager
def open_media(path: str) -> Iterator[OpenMedia]:
    """Open a file and select its streams.

    Raises MediaError as `open_container` does, and if no stream can be used: no_streams, codec_not_allowed, too_large,
    undecodable.
    """
    with open_container(path) as container:
        yield select_streams(path, container)


def select_streams(path: str, container: InputContainer) -> OpenMedia:
    """Select the best video, audio and subtitle stream among those that may be decoded."""
    rejected = {stream.index: reason for stream in container.streams if (reason := _rejection_reason(stream))}

    def best(streams: Iterable[AnyStream], priority: Callable[[AnyStream], Any]) -> AnyStream | None:
        return max((stream for stream in streams if stream.index not in rejected), key=priority, default=None)

    video = best(container.streams.video, _video_priority)
    audio = best(container.streams.audio, _audio_priority)
    subtitles = best(container.streams.subtitles, lambda stream: bool(stream.disposition & Disposition.default))
    if video is None and audio is None:
        raise _no_stream_error(path, container, rejected)
    for stream in (video, audio):
        if stream is not None:
            _configure_decoder(stream)
    used = [stream.index for stream in filter(None, (video, audio, subtitles))]
    return OpenMedia(
        path=path,
        container=container,
        video=video,
        audio=audio,
        subtitles=subtitles,
        subtitle_streams=len(container.streams.subtitles),
        unused=tuple(_describe(s, rejected.get(s.index)) for s in _media_streams(container) if s.index not in used),
        origin=_origin(container),
    )


def _media_streams(container: InputContainer) -> list[Stream]:
    return [stream for stream in container.streams if stream.type in ("video", "audio", "subtitle")]


def _rejection_reason(stream: Stream) -> str | None:
    if stream.type == "video" and stream.disposition & _STILL_PICTURES:
        return "cover picture"
    if stream.type not in ("video", "audio", "subtitle"):
        return "neither video nor audio"
    if _codec(stream) not in CODECS:
        return "codec not allowed"
    if isinstance(stream, VideoStream):
        pixels = stream.width * stream.height
        return "too large" if pixels > MAX_PIXELS else None if pixels else "no picture size"
    if isinstance(stream, SubtitleStream):
        return _subtitle_rejection(stream)
    return None


def _subtitle_rejection(stream: SubtitleStream) -> str | None:
    if _codec(stream) not in _TEXT_SUBTITLES:
        return "image subtitles"
    is_partial = stream.disposition & Disposition.forced or _PARTIAL_TITLE.search(stream.metadata.get("title", ""))
    return "forced: signs and foreign words only" if is_partial else None


def _codec(stream: Stream) -> str:
    context: CodecContext | None = stream.codec_context  # None where FFmpeg has no decoder
    return context.name if context is not None else _UNKNOWN


def _length(stream: Stream) -> Fraction:
    return (stream.duration or 0) * time_base(stream)


def _video_priority(stream: VideoStream) -> tuple[int, Fraction]:
    return stream.width * stream.height, _length(stream)


def _audio_priority(stream: AudioStream) -> tuple[bool, bool, int, Fraction]:
    flags = stream.disposition
    return not flags & _SECONDARY, bool(flags & Disposition.default), stream.codec_context.channels, _length(stream)


def _configure_decoder(stream: VideoStream | AudioStream) -> None:
    context = stream.codec_context
    context.thread_count = _THREADS
    context.thread_type = ThreadType.AUTO
    # Limited here too: the header may be wrong, and the size may change in mid-stream.
    context.options = {"codec_whitelist": ",".join(CODECS), "max_pixels": str(MAX_PIXELS)}


def _no_stream_error(path: str, container: InputContainer, rejected: dict[int, str]) -> MediaError:
    reasons = set(rejected.values())
    found = "; ".join(_describe(s, rejected.get(s.index)) for s in _media_streams(container)) or "no stream at all"
    codes = {"too large": "too_large", "codec not allowed": "codec_not_allowed", "no picture size": "undecodable"}
    for reason, code in codes.items():
        if reason in reasons:
            return MediaError(code, f"{path!r} has no stream that may be decoded: {found}")
    return MediaError("no_streams", f"{path!r} has neither video nor audio: {found}")


def _describe(stream: Stream, reason: str | None) -> str:
    return f"{stream.type} stream {stream.index}: {_details(stream)}{_codec(stream)}" + (f" ({reason})" if reason else "")


def _details(stream: Stream) -> str:
    if _codec(stream) == _UNKNOWN:  # PyAV has no size either
        return ""
    if isinstance(stream, VideoStream):
        return f"{stream.width}x{stream.height} "
    if isinstance(stream, AudioStream):
        return f"{stream.codec_context.channels} channels "
    return f"{stream.language} " if stream.language else ""


def _origin(container: InputContainer) -> Fraction:
    """Return the earliest start of a stream. The container has it in microseconds only; a stream's own time base is exact."""
    started = cast("int | None", container.start_time)
    if started is None:
        return Fraction(0)
    rounded = started * _MICROSECOND
    exact = [s.start_time * time_base(s) for s in container.streams if s.start_time is not None]
    return min((t for t in exact if abs(t - rounded) <= 2 * _MICROSECOND), default=rounded)
