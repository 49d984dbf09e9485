"""Inspect a file: its header, its packets and its first frame."""

from __future__ import annotations  # Packet[...] exists for type checkers only

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.mp4_boxes import find_second_movie
from rankvideo_rag.media.decoder.orientation import Orientation, Size, displayed_size, read_orientation
from rankvideo_rag.media.decoder.packets import packet_time, read_packets
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media, time_base
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.media.safe_open import open_regular

_PACKETS_TO_FIRST_FRAME = 100
_MAX_FRAME_RATE = 1000.0
_DECLARING_FORMATS = (
    "mov",
    "matroska",
    "avi",
    "flv",
    "asf",
    "flac",
    "wav",
)  # other formats estimate the duration from the bit rate
_NEGLIGIBLE = Fraction(1, 2)  # seconds by which a declared duration may exceed the packets'
_HIGH_DYNAMIC_RANGE = {16: "smpte2084", 18: "arib-std-b67"}  # transfer curves, by FFmpeg's numbers
_NEGLIGIBLE_SHARE = Fraction(1, 50)


@dataclass
class _Extent:
    """The packets of one stream."""

    packets: int = 0
    end: int | None = None  # ticks, where the last packet ends

    def add(self, packet: Packet[Stream]) -> None:
        self.packets += 1
        if (ticks := packet_time(packet)) is not None:
            self.end = max(ticks + (packet.duration or 0), ticks if self.end is None else self.end)


def inspect_file(*, path: str) -> DecoderResult:
    """Return the fields of schema.Probe. See `probe.probe`."""
    with open_media(path) as media:
        used = [stream for stream in (media.video, media.audio) if stream is not None]
        orientation, extents = _read_packets(media, used)
        _check_moving(media, extents)
        size = _size(media.video, orientation)
        return DecoderResult(
            {
                "duration": max(media.seconds(s, e) for s in used if (e := extents[s.index].end) is not None),
                "width": size and size.width,
                "height": size and size.height,
                "frame_rate": _frame_rate(media.video),
                "video_codec": media.video and media.video.codec_context.codec.canonical_name,
                "audio_codec": media.audio and media.audio.codec_context.codec.canonical_name,
                "subtitle_streams": media.subtitle_streams,
                "title": media.container.metadata.get("title"),
                "coverage": float(_coverage(media, used, extents)),
                "unused": media.unused,
                "warnings": list(_warnings(media)),
            }
        )


def _warnings(media: OpenMedia) -> Iterator[str]:
    """Yield what a user should know about a file that can be read."""
    if media.video and (curve := _HIGH_DYNAMIC_RANGE.get(media.video.codec_context.color_trc)):
        yield f"hdr: it has high dynamic range ({curve}) and is read as standard range, so colours look pale"
    if media.container.format.name.startswith("mov"):
        descriptor = open_regular(media.path)
        try:
            if (offset := find_second_movie(descriptor)) is not None:
                size = os.fstat(descriptor).st_size - offset
                yield f"trailing_data: a second movie of {size:,} bytes follows the first one and is not read"
        finally:
            os.close(descriptor)


def _read_packets(media: OpenMedia, used: Sequence[Stream]) -> tuple[Orientation, dict[int, _Extent]]:
    """Return the orientation of the first frame, and the packets of each stream in use and of subtitles."""
    streams = [*used, *media.container.streams.subtitles]
    extents = {stream.index: _Extent() for stream in streams}
    orientation: Orientation | None = None
    for packet in read_packets(media, *streams):
        extent = extents[packet.stream_index]
        if not extent.packets and packet.has_sidedata("encryption_info"):
            raise MediaError("encrypted", f"{media.path!r} is encrypted (DRM): its video and audio cannot be read")
        extent.add(packet)
        if orientation is None and isinstance(packet.stream, VideoStream) and extent.packets < _PACKETS_TO_FIRST_FRAME:
            orientation = _first_orientation(packet.stream, packet)
    if all(extents[stream.index].end is None for stream in used):
        advice = "put it in a container first: ffmpeg -fflags +genpts -i FILE -c copy FILE.mkv"
        raise MediaError("no_timestamps", f"{media.path!r} has no timestamps, or no packets; {advice}")
    return orientation or Orientation(), extents


def _check_moving(media: OpenMedia, extents: dict[int, _Extent]) -> None:
    if media.video and media.container.format.name == "gif" and extents[media.video.index].packets <= 1:
        raise MediaError("still_image", f"{media.path!r} is a still picture, not a video")


def _first_orientation(video: VideoStream, packet: Packet[Stream]) -> Orientation | None:
    try:
        frames = video.codec_context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return None
    return read_orientation(frames[0]) if frames else None


def _size(video: VideoStream | None, orientation: Orientation) -> Size | None:
    return displayed_size(Size(video.width, video.height), video.sample_aspect_ratio, orientation) if video else None


def _frame_rate(video: VideoStream | None) -> float | None:
    rate = float(video.average_rate) if video and video.average_rate else 0.0
    return rate if 0 < rate <= _MAX_FRAME_RATE else None


def _coverage(media: OpenMedia, used: Sequence[Stream], extents: dict[int, _Extent]) -> Fraction:
    """Return the smallest share, over the streams in use, of the declared duration that packets cover.

    Matroska declares one duration for all streams: subtitles may last longer than picture and sound.
    """
    if not media.container.format.name.startswith(_DECLARING_FORMATS):
        return Fraction(1)
    shares = [_share((extents[s.index].end or 0) - (s.start_time or 0), s.duration, time_base(s)) for s in used if s.duration]
    if not shares and media.container.duration:
        measured = [*used, *media.container.streams.subtitles]
        longest = max(
            (extents[s.index].end or 0) * time_base(s) for s in measured
        )  # Matroska counts from 0, not from its start
        return _share(longest, Fraction(media.container.duration, 1_000_000), Fraction(1))
    return min(shares, default=Fraction(1))


def _share(measured: int | Fraction, declared: int | Fraction, unit: Fraction) -> Fraction:
    missing = (declared - measured) * unit
    if missing <= min(_NEGLIGIBLE, declared * unit * _NEGLIGIBLE_SHARE):
        return Fraction(1)
    return max(Fraction(0), Fraction(measured) / Fraction(declared))
