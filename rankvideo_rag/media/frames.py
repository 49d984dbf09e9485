"""Read frames of a video, evenly sampled, resized once, each with its true time."""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil, floor, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, MissingDependency
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
from rankvideo_rag.schema import FrameBudget, VideoReader


@dataclass(frozen=True)
class Frames:
    """Frames of one span of a video, in order of time."""

    pixels: NDArray[np.uint8]  # (n, height, width, 3) RGB
    times: NDArray[np.float64]  # (n,) seconds from the start of the video, strictly increasing
    coverage: float = 1.0  # share of the packets read for this span that decoded cleanly

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        n, height, width, _ = self.pixels.shape
        span = f"{self.times[0]:.2f}-{self.times[-1]:.2f} s" if n else "empty"
        return f"Frames({n} x {width}x{height}, {span}, coverage {self.coverage:.3f})"


class KeyFrameSampling(NamedTuple):
    """When the key frames of a span may be read in place of the wanted frames.

    Every wanted frame needs a key frame within `tolerance` seconds (twice that at the ends of the span), and there must be as
    many key frames as wanted frames, or at least `min_frames`.
    """

    tolerance: float
    min_frames: int | None = None


class ClipMedia(NamedTuple):
    """The frames and the audio of a clip, as models get them."""

    frames: Frames | None  # None for audio only
    audio: NDArray[np.float32] | None = None  # (samples,) mono, 16 kHz, in [-1, 1]


def target_size(width: int, height: int, *, min_pixels: int, max_pixels: int, multiple: int = 32) -> tuple[int, int]:
    """Return the (width, height) in pixels of a resized frame: multiples of `multiple`, with an area within the bounds.

    The same sizes as Qwen's `smart_resize`; the aspect ratio is kept as well as multiples allow.

    >>> target_size(1280, 720, min_pixels=131072, max_pixels=131072)
    (480, 256)
    """
    sides = [max(multiple, round(side / multiple) * multiple) for side in (width, height)]
    if sides[0] * sides[1] > max_pixels:
        shrink = sqrt(width * height / max_pixels)
        sides = [max(multiple, floor(side / shrink / multiple) * multiple) for side in (width, height)]
    elif sides[0] * sides[1] < min_pixels:
        grow = sqrt(min_pixels / (width * height))
        sides = [ceil(side * grow / multiple) * multiple for side in (width, height)]
    return sides[0], sides[1]


def read_frames(
    path: str,
    start: float | None = None,
    end: float | None = None,
    *,
    budget: FrameBudget = FrameBudget(),
    key_frames: KeyFrameSampling | None = None,
    reader: VideoReader = "pyav",
    limits: MediaLimits = MediaLimits(),
) -> Frames:
    """Read frames spread evenly over [start, end) seconds, from the first to the last one in it.

    None means the beginning or the end. The number of frames is even: `budget.fps` a second, within `min_frames` and
    `max_frames`, never more than there are; a single frame is kept. Frames are upright, have square pixels and the size that
    `target_size` gives. A damaged frame is replaced by the nearest good one. A span in which no frame begins gives the frame
    on screen at its start, with its own earlier time; a span after the last frame gives no frames.

    `key_frames` allows key frames in place of the wanted ones, which saves most of the decoding. `reader` decodes the same
    frames with PyAV or with decord (extra `decord`), which does not measure coverage and does not replace damaged frames.

    Raises MediaError (no_video, or why the file cannot be opened or decoded), InputError for an invalid span, and
    MissingDependency if the reader is not installed.
    """
    check_span(start, end)
    check_reader(reader)
    return _decode(
        "decode_decord:decode_frames" if reader == "decord" else "decode_frames:decode_frames",
        limits,
        path=os.path.abspath(path),
        start=start,
        end=end,
        budget=budget.model_dump(),
        key_frames=key_frames,
    )


def read_key_frames(path: str, *, max_pixels: int, max_frames: int = 64, limits: MediaLimits = MediaLimits()) -> Frames:
    """Read the key frames of a whole video, evenly reduced to `max_frames`. They are cheap to decode.

    Frames are upright, have square pixels and even sides, and are made smaller to fit `max_pixels`, but never larger. Raises
    MediaError as `read_frames` does.
    """
    return _decode(
        "decode_frames:decode_key_frames", limits, path=os.path.abspath(path), max_pixels=max_pixels, max_frames=max_frames
    )


def check_span(start: float | None, end: float | None) -> None:
    """Raise InputError for a span that is reversed, empty, negative or not a number."""
    if not 0 <= (start or 0.0) < (end if end is not None else float("inf")):
        raise InputError(f"a span from {start} to {end} s: it must start at 0 s or later and end after its start")


def check_reader(reader: VideoReader) -> None:
    """Raise MissingDependency if the reader is not installed."""
    if reader == "decord" and find_spec("decord") is None:
        raise MissingDependency("decord", "decord", "decord")


def _decode(function: str, limits: MediaLimits, **arguments: Any) -> Frames:
    result = run_in_decoder(f"rankvideo_rag.media.decoder.{function}", limits, **arguments)
    return Frames(result.arrays["pixels"], result.arrays["times"], result.value["coverage"])
