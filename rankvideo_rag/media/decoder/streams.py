"""Which streams of a file are used, which are left aside and why, and where time begins. Runs in the decoder process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.codec.context import CodecContext, ThreadType
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.subtitles.stream import SubtitleStream
from av.video.stream import VideoStream

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.containers import CODECS, open_container

MAX_PIXELS = 8192 * 4320
_TEXT_SUBTITLES = ("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text")
_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_NOT_THE_PROGRAMME = Disposition.comment | Disposition.visual_impaired | Disposition.hearing_impaired | Disposition.dub
_THREADS = 2  # decoders have locked up with as many threads as a big machine offers
_UNKNOWN = "unknown codec"
_MICROSECOND = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class OpenMedia:
    """An open file: the streams that are used, and the rest in words."""

    path: str
    container: InputContainer
    video: VideoStream | None  # the largest, then the longest
    audio: AudioStream | None  # the default one, then the one with most channels, then the longest
    subtitles: SubtitleStream | None  # the default stream of words, or the first
    subtitle_streams: int
    unused: tuple[str, ...]
    origin: Fraction  # seconds: what all times are counted from

    def seconds(self, stream: Stream, ticks: int) -> float:
        """A timestamp of a stream as seconds from the video's beginning."""
        return max(0.0, float(ticks * time_base(stream) - self.origin))

    def ticks(self, stream: Stream, seconds: float) -> int:
        """Seconds from the video's beginning as a timestamp of a stream, rounded to the nearest."""
        return round((Fraction(seconds) + self.origin) / time_base(stream))

    def only(self, stream: Stream) -> None:
        """Have the demuxer drop the packets of all other streams, where it can, before it reads them."""
        for other in self.container.streams:
            other.discard = Discard.default if other.index == stream.index else Discard.all


def time_base(stream: Stream) -> Fraction:
    """Seconds of one tick of a stream's timestamps."""
    return stream.time_base or _MICROSECOND


@contextmanager
def open_media(path: str) -> Iterator[OpenMedia]:
    """Open a file and choose its streams.

    Raises what `open_container` raises, and MediaError when nothing is left to use: no_streams, codec_not_allowed, too_large,
    undecodable.
    """
    with open_container(path) as container:
        yield choose(path, container)


def choose(path: str, container: InputContainer) -> OpenMedia:
    """The best video, audio and subtitle stream among those that may be decoded."""
    refused = {stream.index: reason for stream in container.streams if (reason := _reason_to_refuse(stream))}
    usable = [stream for stream in container.streams if stream.index not in refused]
    video = max((s for s in usable if isinstance(s, VideoStream)), key=_video_worth, default=None)
    audio = max((s for s in usable if isinstance(s, AudioStream)), key=_audio_worth, default=None)
    texts = [s for s in usable if isinstance(s, SubtitleStream)]
    text = max(texts, key=lambda s: bool(s.disposition & Disposition.default), default=None)
    if video is None and audio is None:
        raise _nothing_left(path, container, refused)
    for stream in (video, audio):
        if stream is not None:
            _harness(stream)
    used = [stream.index for stream in (video, audio, text) if stream is not None]
    return OpenMedia(
        path=path,
        container=container,
        video=video,
        audio=audio,
        subtitles=text,
        subtitle_streams=len(container.streams.subtitles),
        unused=tuple(_in_words(s, refused.get(s.index)) for s in _watched(container) if s.index not in used),
        origin=_origin(container),
    )


def _watched(container: InputContainer) -> list[Stream]:
    return [stream for stream in container.streams if stream.type in ("video", "audio", "subtitle")]


def _reason_to_refuse(stream: Stream) -> str | None:
    if stream.type == "video" and stream.disposition & _PICTURES:
        return "cover picture"
    if stream.type not in ("video", "audio", "subtitle"):
        return "neither picture nor sound"
    if _codec(stream) not in CODECS:
        return "codec not allowed"
    if isinstance(stream, VideoStream) and stream.width * stream.height > MAX_PIXELS:
        return "too large"
    if isinstance(stream, VideoStream) and not stream.width * stream.height:
        return "no picture size"
    if isinstance(stream, SubtitleStream) and _codec(stream) not in _TEXT_SUBTITLES:
        return "pictures of words"
    return None


def _codec(stream: Stream) -> str:
    context: CodecContext | None = stream.codec_context  # None where FFmpeg has no decoder
    return context.name if context is not None else _UNKNOWN


def _length(stream: Stream) -> Fraction:
    return (stream.duration or 0) * time_base(stream)


def _video_worth(stream: VideoStream) -> tuple[int, Fraction]:
    return stream.width * stream.height, _length(stream)


def _audio_worth(stream: AudioStream) -> tuple[bool, bool, int, Fraction]:
    flags = stream.disposition
    return not flags & _NOT_THE_PROGRAMME, bool(flags & Disposition.default), stream.codec_context.channels, _length(stream)


def _harness(stream: VideoStream | AudioStream) -> None:
    context = stream.codec_context
    context.thread_count = _THREADS
    context.thread_type = ThreadType.AUTO
    # Again for the decoder proper: the header may lie, and the size may grow in mid-stream.
    context.options = {"codec_whitelist": ",".join(CODECS), "max_pixels": str(MAX_PIXELS)}


def _nothing_left(path: str, container: InputContainer, refused: dict[int, str]) -> MediaError:
    reasons = set(refused.values())
    found = "; ".join(_in_words(s, refused.get(s.index)) for s in _watched(container)) or "no stream at all"
    codes = {"too large": "too_large", "codec not allowed": "codec_not_allowed", "no picture size": "undecodable"}
    for reason, code in codes.items():
        if reason in reasons:
            return MediaError(code, f"{path!r} has no stream that may be decoded: {found}")
    return MediaError("no_streams", f"{path!r} has neither video nor sound: {found}")


def _in_words(stream: Stream, reason: str | None) -> str:
    return f"{stream.type} stream {stream.index}: {_details(stream)}{_codec(stream)}" + (f" ({reason})" if reason else "")


def _details(stream: Stream) -> str:
    if _codec(stream) == _UNKNOWN:  # then PyAV knows no size either
        return ""
    if isinstance(stream, VideoStream):
        return f"{stream.width}x{stream.height} "
    if isinstance(stream, AudioStream):
        return f"{stream.codec_context.channels} channels "
    return f"{stream.language} " if stream.language else ""


def _origin(container: InputContainer) -> Fraction:
    """The earliest beginning of a stream. The container knows it to the microsecond only; a stream's own clock is exact."""
    started = cast("int | None", container.start_time)
    if started is None:
        return Fraction(0)
    rounded = started * _MICROSECOND
    exact = [s.start_time * time_base(s) for s in container.streams if s.start_time is not None]
    return min((t for t in exact if abs(t - rounded) <= 2 * _MICROSECOND), default=rounded)
