"""Frames of a span of a video, sampled evenly, resized once, each with its true time."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.fence import Limits


@dataclass(frozen=True)
class Frames:
    """Pictures from one span of a video, in order of time."""

    pixels: NDArray[np.uint8]  # (n, height, width, 3) RGB
    times: NDArray[np.float64]  # (n,) seconds from the video's beginning, strictly increasing
    coverage: float = 1.0  # share of the packets read for this span that decoded cleanly

    def __len__(self) -> int:
        return len(self.pixels)

    def __repr__(self) -> str:
        n, height, width, _ = self.pixels.shape
        span = f"{self.times[0]:.2f}-{self.times[-1]:.2f} s" if n else "empty"
        return f"Frames({n} x {width}x{height}, {span}, coverage {self.coverage:.3f})"


class ClipMedia(NamedTuple):
    """What of a clip a model may see and hear."""

    frames: Frames | None  # None for audio only
    audio: NDArray[np.float32] | None = None  # (samples,) mono, 16 kHz, in [-1, 1]


def target_size(width: int, height: int, *, min_pixels: int, max_pixels: int, multiple: int = 32) -> tuple[int, int]:
    raise NotImplementedError


def read_frames(
    path: str,
    start: float | None = None,
    end: float | None = None,
    *,
    fps: float = 2.0,
    max_frames: int = 32,
    min_frames: int = 4,
    min_pixels: int = 128 * 32 * 32,
    max_pixels: int = 128 * 32 * 32,
    multiple: int = 32,
    limits: Limits = Limits(),
) -> Frames:
    raise NotImplementedError


def read_key_frames(path: str, *, max_pixels: int, max_frames: int = 64, limits: Limits = Limits()) -> Frames:
    raise NotImplementedError
