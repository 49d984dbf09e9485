"""Decode chosen frames of a video, turned upright and resized once. Runs in the decoder process.

Holds one full-size frame beside what the decoder itself keeps, however long the span is.
"""

from __future__ import annotations  # Packet[...] is understood by type checkers only

from collections import deque
from collections.abc import Callable, Iterable, Iterator
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
from rankvideo_rag.media.decoder.packets import PacketIndex, index_span, packets_from, when
from rankvideo_rag.media.decoder.sampling import DecodeRun, frame_count, near_keys, plan_runs, spread
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media, time_base
from rankvideo_rag.media.frames import target_size
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.schema import FrameBudget

# Packets fed after the last wanted one before giving up on it: more than any codec holds back for re-ordering.
_PATIENCE = 64

Resize = Callable[[Size], Size]


class _Shown(NamedTuple):
    ticks: int
    frame: VideoFrame


@dataclass
class _Damage:
    """What was fed to the decoder, and how much of it came out damaged or not at all."""

    fed: int = 0
    bad: int = 0

    @property
    def coverage(self) -> float:
        return 1.0 - min(self.bad, self.fed) / self.fed if self.fed else 1.0


def decode_frames(
    *,
    path: str,
    start: float | None,
    end: float | None,
    budget: dict[str, Any],
    key_frames: tuple[float, int | None] | None,
) -> DecoderResult:
    """See `frames.read_frames`. Arrays: pixels (n, height, width, 3) uint8, times (n,) float64."""
    with open_media(path) as media:
        stream = _video(media)
        first = None if start is None else media.ticks(stream, start)
        last = None if end is None else media.ticks(stream, end)
        index = index_span(media, stream, first, last)
        span = _span(index, first, last)
        frames = FrameBudget(**budget)
        count = frame_count(len(span.times), span.length * float(time_base(stream)), frames)
        targets = span.times[spread(span.times.astype(np.float64), count)].tolist() if count else []

        def resize(size: Size) -> Size:
            return Size(
                *target_size(*size, min_pixels=frames.min_pixels, max_pixels=frames.max_pixels, multiple=frames.multiple)
            )

        if key_frames is not None and targets:
            tolerance, min_frames = key_frames
            least = frames.max_frames if min_frames is None else min_frames
            keys = np.intersect1d(np.array(index.times, np.int64)[np.array(index.keys, bool)], span.times)
            if near := near_keys(targets, keys, round(tolerance / time_base(stream)), least=least):
                return _decode(media, stream, [DecodeRun(near[0], tuple(near))], resize, patience=0, targets_only=True)
        return _decode(media, stream, plan_runs(index.times, index.keys, targets), resize, patience=_PATIENCE)


def decode_key_frames(*, path: str, max_pixels: int, max_frames: int) -> DecoderResult:
    """See `frames.read_key_frames`. Arrays as in `decode_frames`."""
    with open_media(path) as media:
        stream = _video(media)
        index = index_span(media, stream)
        keys = np.unique(np.array(index.times, np.int64)[np.array(index.keys, bool) & np.array(index.shown, bool)])
        chosen = keys[spread(keys.astype(np.float64), min(max_frames, len(keys)))].tolist() if len(keys) else []
        runs = [DecodeRun(key, (key,)) for key in chosen]
        return _decode(media, stream, runs, lambda size: _at_most(size, max_pixels), patience=0)


def _video(media: OpenMedia) -> VideoStream:
    if media.video is None:
        raise MediaError("no_video", f"{media.path!r} has no picture: {'; '.join(media.unused) or 'it is sound only'}")
    media.only(media.video)
    return media.video


class _Span(NamedTuple):
    times: NDArray[np.int64]  # of the frames to choose from, ascending, ticks
    length: int  # ticks, from the first one's beginning to the last one's end


def _span(index: PacketIndex, start: int | None, end: int | None) -> _Span:
    shown = np.array(index.shown, bool)
    times, positions = np.unique(np.array(index.times, np.int64)[shown], return_index=True)
    if not len(times):
        return _Span(times, 0)
    ends = np.append(times[1:], times[-1] + max(np.array(index.durations, np.int64)[shown][positions[-1]], 1))
    inside = (times >= (times[0] if start is None else start)) & (times < (ends[-1] if end is None else end))
    if not inside.any() and start is not None:
        inside = (times <= start) & (start < ends)  # the frame on screen
    times, ends = times[inside], ends[inside]
    if not len(times):
        return _Span(times, 0)
    return _Span(times, int(min(ends[-1], end if end is not None else ends[-1]) - times[0]))


def _at_most(size: Size, max_pixels: int) -> Size:
    shrink = min(1.0, sqrt(max_pixels / (size.width * size.height)))
    return Size(*(max(2, int(side * shrink) // 2 * 2) for side in size))


def _decode(
    media: OpenMedia, stream: VideoStream, runs: list[DecodeRun], resize: Resize, *, patience: int, targets_only: bool = False
) -> DecoderResult:
    damage = _Damage()
    if not runs:
        width, height = resize(Size(stream.width, stream.height))
        return DecoderResult({"coverage": 1.0}, {"pixels": np.empty((0, height, width, 3), np.uint8), "times": np.empty(0)})
    bounds = runs[0].targets[0], runs[-1].targets[-1]
    pictures: list[NDArray[np.uint8]] = []
    times: list[float] = []
    size: Size | None = None
    for run in runs:
        frames = (f for f in _run(media, stream, run, damage, patience, targets_only) if bounds[0] <= f.ticks <= bounds[1])
        for ticks, frame in _nearest(frames, run.targets):
            seconds = media.seconds(stream, ticks)
            if times and seconds <= times[-1]:
                continue
            turn = read_orientation(frame)
            size = size or resize(displayed_size(Size(frame.width, frame.height), stream.sample_aspect_ratio, turn))
            pictures.append(_picture(frame, size, turn))
            times.append(seconds)
    if size is None:
        raise MediaError("undecodable", f"{media.path!r}: none of the {damage.fed} packets read could be decoded")
    return DecoderResult({"coverage": damage.coverage}, {"pixels": np.stack(pictures), "times": np.array(times, np.float64)})


def _run(
    media: OpenMedia, stream: VideoStream, run: DecodeRun, damage: _Damage, patience: int, targets_only: bool
) -> Iterator[_Shown]:
    """The frames from a run's key frame on, in the order in which they are shown, until well after its last target.

    With `targets_only`, of targets that are all key frames, nothing else is decoded.
    """
    targets = set(run.targets)
    beyond = -1
    for packet in packets_from(media, stream, run.key):
        beyond += beyond >= 0 or when(packet) == run.targets[-1]
        if beyond > patience:
            break
        if targets_only and when(packet) not in targets:
            continue
        # Frames that nobody wants and no other frame refers to need not be decoded: half of the work with B-frames.
        stream.codec_context.skip_frame = "DEFAULT" if when(packet) in targets else "NONREF"
        yield from _decode_packet(stream, packet, run, damage)
    yield from _decode_packet(stream, None, run, damage)


def _decode_packet(
    stream: VideoStream, packet: Packet[VideoStream] | None, run: DecodeRun, damage: _Damage
) -> Iterator[_Shown]:
    damage.fed += packet is not None
    try:
        frames = stream.codec_context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        damage.bad += 1
        return
    for frame in frames:
        ticks = frame.pts if frame.pts is not None else frame.dts
        if ticks is not None and ticks >= run.key:  # what comes before it refers to frames that were not read
            damage.bad += frame.is_corrupt
            yield _Shown(ticks, frame)


def _nearest(frames: Iterable[_Shown], targets: Iterable[int]) -> Iterator[_Shown]:
    """For each target the frame at that time, or where that one is damaged the nearest; none twice."""
    waiting = deque(targets)
    before: _Shown | None = None
    taken: _Shown | None = None
    for frame in frames:
        while waiting and frame.ticks >= waiting[0]:
            goal = waiting.popleft()
            best = before if before and goal - before.ticks < frame.ticks - goal else frame
            if best is not taken:
                yield best
            taken = best
        if not waiting:
            return
        before = frame
    if before is not None and before is not taken:
        yield before


def _picture(frame: VideoFrame, size: Size, turn: Orientation) -> NDArray[np.uint8]:
    """Resized and turned, (height, width, 3)."""
    width, height = turn.size(size)
    small = frame.reformat(width, height, "rgb24", interpolation="BICUBIC", threads=1)
    return turn.apply(small.to_ndarray().astype(np.uint8, copy=False))
