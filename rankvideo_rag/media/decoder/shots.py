"""Where one shot ends and the next begins, by how the colours of small pictures change. Runs in the decoder process.

Frames that no other frame refers to are not decoded, and of the others some five a second are looked at. A cut is a change that
is large, sudden and lasting: a fade is not sudden, a flash does not last. Holds one frame and a second of small pictures,
however long the video is.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from typing import NamedTuple, TypeVar

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.packets import read_packets
from rankvideo_rag.media.decoder.streams import open_media
from rankvideo_rag.media.ipc import DecoderResult

Item = TypeVar("Item")

_STEP = 0.2  # seconds between pictures that are looked at; key frames in between are looked at too
_FLASH = 0.45  # seconds: what is gone again after that was no new shot
_BETWEEN_CUTS = 0.6  # seconds, at least
_UNLIKE = 12.0  # mean difference of colours, of 255, from which on two pictures may be of different shots
_SUDDEN = 2.5  # times what changes between the pictures around
_SIDE = 32  # pixels of a small picture


class TimedFrame(NamedTuple):
    """A decoded frame."""

    seconds: float
    frame: VideoFrame


class ColourHistogram(NamedTuple):
    """What is kept of a frame: for each quarter and channel the values of its pixels in order, that is their histogram."""

    seconds: float
    colours: NDArray[np.int16]  # (4, pixels, 3)


def find_shots(*, path: str) -> DecoderResult:
    """See `shots.find_shots`. Arrays: cuts (n,) float64."""
    return DecoderResult({}, {"cuts": np.array(list(cuts(_looks(decode_frames_in_order(path, every=False)))), np.float64)})


def decode_frames_in_order(path: str, *, every: bool) -> Iterator[TimedFrame]:
    """The frames of a video in order of time, all of them or those that others refer to. Damage is stepped over."""
    with open_media(path) as media:
        if media.video is None:
            raise MediaError("no_video", f"{path!r} has no picture: {'; '.join(media.unused) or 'it is sound only'}")
        stream, latest = media.video, -1.0
        media.only(stream)
        stream.codec_context.skip_frame = "DEFAULT" if every else "NONREF"
        for packet in with_end(read_packets(media, stream)):
            try:
                frames = stream.codec_context.decode(packet)
            except MemoryError:
                raise
            except FFmpegError:
                continue
            for frame in frames:
                ticks = frame.pts if frame.pts is not None else frame.dts
                if ticks is not None and (seconds := media.seconds(stream, ticks)) > latest:
                    latest = seconds
                    yield TimedFrame(seconds, frame)


def with_end(items: Iterable[Item]) -> Iterator[Item | None]:
    """The items, then None."""
    yield from items
    yield None


def cuts(looks: Iterable[ColourHistogram]) -> Iterator[float]:
    """When a new shot begins, in seconds, for pictures in order of time."""
    held: deque[ColourHistogram] = deque()
    pending, last = 1, -_BETWEEN_CUTS  # `pending`: the first held picture of which it is not yet known whether a shot begins
    for look in with_end(looks):
        if look is not None:
            held.append(look)
        while pending < len(held) and (look is None or look.seconds > held[pending].seconds + _FLASH):
            begin = held[pending].seconds
            if begin - last >= _BETWEEN_CUTS and _is_cut(list(held), pending):
                last = begin
                yield begin
            pending += 1
            while held[pending - 1].seconds - held[0].seconds > _FLASH:
                held.popleft()
                pending -= 1


def _is_cut(held: list[ColourHistogram], begin: int) -> bool:
    before = held[:begin]
    after = [look for look in held[begin:] if look.seconds <= held[begin].seconds + _FLASH]
    change = _change(before[-1], after[0])
    if change < _UNLIKE or any(_change(*pair) < _UNLIKE for pair in product(before, after)):
        return False
    around = [_change(*pair) for part in (before, after) for pair in pairwise(part)]
    return change >= _SUDDEN * (sum(around) / len(around) if around else 0.0)


def _change(one: ColourHistogram, other: ColourHistogram) -> float:
    """The earth mover's distance of the colours, mean over quarters and channels, of 255."""
    return float(np.abs(one.colours - other.colours).mean())


def _looks(frames: Iterable[TimedFrame]) -> Iterator[ColourHistogram]:
    taken = taken_key = -_STEP
    for seconds, frame in frames:
        is_key = frame.key_frame and seconds - taken_key >= _STEP
        if is_key or seconds - taken >= _STEP - 1e-6:
            taken, taken_key = seconds, seconds if frame.key_frame else taken_key
            yield ColourHistogram(seconds, _colours(frame))


def _colours(frame: VideoFrame) -> NDArray[np.int16]:
    small = frame.reformat(_SIDE, _SIDE, "rgb24", interpolation="AREA", threads=1).to_ndarray().astype(np.int16)
    half = _SIDE // 2
    quarters = small.reshape(2, half, 2, half, 3).transpose(0, 2, 1, 3, 4).reshape(4, half * half, 3)
    return np.sort(quarters, axis=1)
