"""Render videos to measure with, of ordinary size, neither blank nor noise."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rankvideo_rag.media.encode import write_video

SECONDS, FPS, WIDTH, HEIGHT = 16, 25, 640, 360
_PAN = 3  # pixels from frame to frame
_DISTINCT = 4  # files that are rendered; the others are copies, which take as long to decode


def render_videos(folder: Path, count: int) -> list[Path]:
    """Write that many files of 16 seconds, 640x360 at 25 frames per second."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04d}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        if number < _DISTINCT:
            write_video(path, _pictures(seed=number), fps=FPS)
        else:
            shutil.copyfile(paths[number % _DISTINCT], path)
    return paths


def _pictures(*, seed: int) -> NDArray[np.uint8]:
    """Return a view (frames, HEIGHT, WIDTH, 3) of a camera that pans over a picture of soft patches, 3 pixels a frame."""
    count = SECONDS * FPS
    patches = np.random.default_rng(seed).integers(0, 256, (9, 46, 3), dtype=np.uint8)
    picture = Image.fromarray(patches).resize((WIDTH + _PAN * (count - 1), HEIGHT), Image.Resampling.BICUBIC)
    views = np.lib.stride_tricks.sliding_window_view(np.asarray(picture), WIDTH, axis=1)[:, ::_PAN]
    return views.transpose(1, 0, 3, 2)
