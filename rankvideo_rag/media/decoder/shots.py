"""Find shots by how the colours of reduced frames change.

Unreferenced frames are not decoded, and of the others about five a second are compared. A cut is a large, sudden and lasting
change: a fade is not sudden, a flash does not last. One frame and the histograms of a second are held at a time.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise, product
from typing import NamedTuple

import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from rankvideo_rag.media.decoder.decode_frames import select_video
from rankvideo_rag.media.decoder.packets import read_packets
from rankvideo_rag.media.decoder.streams import open_media
from rankvideo_rag.media.ipc import DecoderResult

_STEP = 0.2  # seconds between compared frames; key frames in between are compared too
_FLASH = 0.45  # seconds: a change that lasts no longer is not a new shot
_BETWEEN_CUTS = 0.6  # least seconds between cuts
_MIN_CHANGE = 12.0  # mean difference of colours, of 255, between frames of different shots
_MIN_RATIO = 2.5  # of the change at a cut to the changes around it
_SIDE = 32  # pixels of a reduced frame


class TimedFrame(NamedTuple):
    """A decoded frame and its time."""

    seconds: float
    frame: VideoFrame


class ColourHistogram(NamedTuple):
    """The sorted pixel values of each quarter and channel of a frame, which stand for their histograms."""

    seconds: float
    colours: NDArray[np.int16]  # (4, pixels, 3)


def find_shots(*, path: str) -> DecoderResult:
    """Return cuts (n,) float64. See `shots.find_shots`."""
    histograms = _histograms(decode_frames_in_order(path, every=False))
    return DecoderResult({}, {"cuts": np.array(list(find_cuts(histograms)), np.float64)})


def decode_frames_in_order(path: str, *, every: bool) -> Iterator[TimedFrame]:
    """Yield the frames of a video in order of time: every one, or only referenced ones. Damage is skipped."""
    with open_media(path) as media:
        stream, latest = select_video(media), -1.0
        stream.codec_context.skip_frame = "DEFAULT" if every else "NONREF"
        for packet in chain(read_packets(media, stream), [None]):
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


def find_cuts(histograms: Iterable[ColourHistogram]) -> Iterator[float]:
    """Yield the seconds at which a new shot begins, for frames in order of time."""
    held: deque[ColourHistogram] = deque()
    pending, last = 1, -_BETWEEN_CUTS  # `pending`: the first held frame that is not decided
    for histogram in chain(histograms, [None]):
        if histogram is not None:
            held.append(histogram)
        while pending < len(held) and (histogram is None or histogram.seconds > held[pending].seconds + _FLASH):
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
    after = [later for later in held[begin:] if later.seconds <= held[begin].seconds + _FLASH]
    change = _change(before[-1], after[0])
    if change < _MIN_CHANGE or any(_change(*pair) < _MIN_CHANGE for pair in product(before, after)):
        return False
    around = [_change(*pair) for part in (before, after) for pair in pairwise(part)]
    return change >= _MIN_RATIO * (sum(around) / len(around) if around else 0.0)


def _change(one: ColourHistogram, other: ColourHistogram) -> float:
    """Return the earth mover's distance of the colours, of 255, averaged over quarters and channels."""
    return float(np.abs(one.colours - other.colours).mean())


def _histograms(frames: Iterable[TimedFrame]) -> Iterator[ColourHistogram]:
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
