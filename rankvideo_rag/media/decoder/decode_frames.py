"""Decode selected frames of a video with PyAV, turned upright and resized once.

At most one full-size frame is held besides those that the decoder keeps, however long the span is.
"""

from __future__ import annotations  # Packet[...] exists for type checkers only

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.orientation import Orientation, Size, displayed_size, read_orientation
from rankvideo_rag.media.decoder.packets import PacketIndex, index_span, packet_time, packets_from
from rankvideo_rag.media.decoder.sampling import DecodeRun, frame_count, plan_runs, select_key_frames, spread
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media, time_base
from rankvideo_rag.media.frames import target_size
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.schema import FrameBudget

# Packets decoded after the last wanted one before giving up on it: more than any codec holds back for reordering.
_LOOKAHEAD_PACKETS = 64

Resize = Callable[[Size], Size]


class Selection(NamedTuple):
    """The frames of a span that are read. Times are in the stream's time base, ascending."""

    packets: PacketIndex
    targets: Sequence[int]
    only_key_frames: bool  # every target is a key frame


class _TimedFrame(NamedTuple):
    ticks: int
    frame: VideoFrame


@dataclass
class _Damage:
    """The number of packets decoded, and of those that were damaged or gave no frame."""

    packets: int = 0
    bad: int = 0

    @property
    def coverage(self) -> float:
        return 1.0 - min(self.bad, self.packets) / self.packets if self.packets else 1.0


def decode_frames(
    *,
    path: str,
    start: float | None,
    end: float | None,
    budget: dict[str, Any],
    key_frames: tuple[float, int | None] | None,
) -> DecoderResult:
    """Return pixels (n, height, width, 3) uint8 and times (n,) float64. See `frames.read_frames`."""
    frames = FrameBudget(**budget)
    with open_media(path) as media:
        stream = select_video(media)
        packets, targets, only_keys = select_frames(media, stream, (start, end), frames, key_frames)
        if only_keys:
            decoder = _Decoder(media, stream, resize_to(frames), lookahead=0, targets_only=True)
            return decoder.decode([DecodeRun(targets[0], tuple(targets))])
        return _Decoder(media, stream, resize_to(frames)).decode(plan_runs(packets.times, packets.keys, targets))


def decode_key_frames(*, path: str, max_pixels: int, max_frames: int) -> DecoderResult:
    """Return arrays as `decode_frames` does. See `frames.read_key_frames`."""
    with open_media(path) as media:
        stream = select_video(media)
        index = index_span(media, stream)
        keys = np.unique(np.array(index.times, np.int64)[np.array(index.keys, bool) & np.array(index.shown, bool)])
        chosen = keys[spread(keys.astype(np.float64), min(max_frames, len(keys)))].tolist() if len(keys) else []
        decoder = _Decoder(media, stream, lambda size: _at_most(size, max_pixels), lookahead=0)
        return decoder.decode([DecodeRun(key, (key,)) for key in chosen])


def select_video(media: OpenMedia) -> VideoStream:
    """Return the video stream; packets of other streams are skipped. Raises MediaError no_video."""
    if media.video is None:
        raise MediaError("no_video", f"{media.path!r} has no picture: {'; '.join(media.unused) or 'it has audio only'}")
    media.discard_others(media.video)
    return media.video


def select_frames(
    media: OpenMedia,
    stream: VideoStream,
    span: tuple[float | None, float | None],
    budget: FrameBudget,
    key_frames: tuple[float, int | None] | None,
) -> Selection:
    """Select the frames of a span in seconds, from its packets alone."""
    start, end = (None if seconds is None else media.ticks(stream, seconds) for seconds in span)
    index = index_span(media, stream, start, end)
    times, length = _shown_times(index, start, end)
    count = frame_count(len(times), length * float(time_base(stream)), budget)
    targets = times[spread(times.astype(np.float64), count)].tolist() if count else []
    if key_frames is not None and targets:
        tolerance, min_frames = key_frames
        keys = np.intersect1d(np.array(index.times, np.int64)[np.array(index.keys, bool)], times)
        least = budget.max_frames if min_frames is None else min_frames
        if chosen := select_key_frames(targets, keys, round(tolerance / time_base(stream)), least=least):
            return Selection(index, chosen, only_key_frames=True)
    return Selection(index, targets, only_key_frames=False)


def resize_to(budget: FrameBudget) -> Resize:
    """Return a function from the size of a frame to the size that the budget gives it."""
    bounds = {"min_pixels": budget.min_pixels, "max_pixels": budget.max_pixels, "multiple": budget.multiple}
    return lambda size: Size(*target_size(size.width, size.height, **bounds))


def no_frames(size: Size) -> DecoderResult:
    """Return a result without frames."""
    pixels = np.empty((0, size.height, size.width, 3), np.uint8)
    return DecoderResult({"coverage": 1.0}, {"pixels": pixels, "times": np.empty(0)})


def _shown_times(index: PacketIndex, start: int | None, end: int | None) -> tuple[NDArray[np.int64], int]:
    """Return the ascending times of a span's frames, and the ticks from the first one's start to the last one's end."""
    shown = np.array(index.shown, bool)
    times, positions = np.unique(np.array(index.times, np.int64)[shown], return_index=True)
    if not len(times):
        return times, 0
    ends = np.append(times[1:], times[-1] + max(np.array(index.durations, np.int64)[shown][positions[-1]], 1))
    inside = (times >= (times[0] if start is None else start)) & (times < (ends[-1] if end is None else end))
    if not inside.any() and start is not None:
        inside = (times <= start) & (start < ends)  # the frame on screen
    times, ends = times[inside], ends[inside]
    if not len(times):
        return times, 0
    return times, int(min(ends[-1], end if end is not None else ends[-1]) - times[0])


def _at_most(size: Size, max_pixels: int) -> Size:
    shrink = min(1.0, sqrt(max_pixels / (size.width * size.height)))
    return Size(*(max(2, int(side * shrink) // 2 * 2) for side in size))


class _Decoder:
    """Decodes runs of frames of one stream."""

    def __init__(
        self,
        media: OpenMedia,
        stream: VideoStream,
        resize: Resize,
        *,
        lookahead: int = _LOOKAHEAD_PACKETS,
        targets_only: bool = False,
    ) -> None:
        self._media, self._stream, self._resize = media, stream, resize
        self._lookahead = lookahead
        self._targets_only = targets_only  # every target is a key frame, so no other packet is needed
        self._damage = _Damage()

    def decode(self, runs: Sequence[DecodeRun]) -> DecoderResult:
        """Decode the runs' targets. Raises MediaError undecodable if no packet gives a frame."""
        if not runs:
            return no_frames(self._resize(Size(self._stream.width, self._stream.height)))
        pixels: list[NDArray[np.uint8]] = []
        times: list[float] = []
        size: Size | None = None
        for ticks, frame in self._targets(runs):
            seconds = self._media.seconds(self._stream, ticks)
            if times and seconds <= times[-1]:
                continue
            orientation = read_orientation(frame)
            if size is None:
                coded = Size(frame.width, frame.height)
                size = self._resize(displayed_size(coded, self._stream.sample_aspect_ratio, orientation))
            pixels.append(_resize(frame, size, orientation))
            times.append(seconds)
        if size is None:
            packets = self._damage.packets
            raise MediaError("undecodable", f"{self._media.path!r}: none of the {packets} packets read could be decoded")
        value = {"coverage": self._damage.coverage}
        return DecoderResult(value, {"pixels": np.stack(pixels), "times": np.array(times, np.float64)})

    def _targets(self, runs: Sequence[DecodeRun]) -> Iterator[_TimedFrame]:
        first, last = runs[0].targets[0], runs[-1].targets[-1]
        for run in runs:
            yield from _nearest((f for f in self._decode_run(run) if first <= f.ticks <= last), run.targets)

    def _decode_run(self, run: DecodeRun) -> Iterator[_TimedFrame]:
        """Yield the frames from a run's key frame on, in order of presentation, until well after its last target."""
        targets = set(run.targets)
        beyond = -1
        for packet in packets_from(self._media, self._stream, run.key):
            beyond += beyond >= 0 or packet_time(packet) == run.targets[-1]
            if beyond > self._lookahead:
                break
            if self._targets_only and packet_time(packet) not in targets:
                continue
            # Frames that are not wanted and not referenced need no decoding: half of the work with B-frames.
            self._stream.codec_context.skip_frame = "DEFAULT" if packet_time(packet) in targets else "NONREF"
            yield from self._decode_packet(packet, run)
        yield from self._decode_packet(None, run)

    def _decode_packet(self, packet: Packet[VideoStream] | None, run: DecodeRun) -> Iterator[_TimedFrame]:
        self._damage.packets += packet is not None
        try:
            frames = self._stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except FFmpegError:
            self._damage.bad += 1
            return
        for frame in frames:
            ticks = frame.pts if frame.pts is not None else frame.dts
            if ticks is not None and ticks >= run.key:  # earlier frames refer to frames that were not read
                self._damage.bad += frame.is_corrupt
                yield _TimedFrame(ticks, frame)


def _nearest(frames: Iterable[_TimedFrame], targets: Iterable[int]) -> Iterator[_TimedFrame]:
    """Yield for each target the frame at that time, or the nearest one if it is damaged; none twice."""
    waiting = deque(targets)
    before: _TimedFrame | None = None
    taken: _TimedFrame | None = None
    for frame in frames:
        while waiting and frame.ticks >= waiting[0]:
            target = waiting.popleft()
            best = before if before and target - before.ticks < frame.ticks - target else frame
            if best is not taken:
                yield best
            taken = best
        if not waiting:
            return
        before = frame
    if before is not None and before is not taken:
        yield before


def _resize(frame: VideoFrame, size: Size, orientation: Orientation) -> NDArray[np.uint8]:
    """Return a frame resized and turned, (height, width, 3)."""
    width, height = orientation.size(size)
    small = frame.reformat(width, height, "rgb24", interpolation="BICUBIC", threads=1)
    return orientation.apply(small.to_ndarray().astype(np.uint8, copy=False))
