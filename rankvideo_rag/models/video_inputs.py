"""Convert frames into the inputs of models: arrays and metadata with the frames' true times for processors, PNG for servers."""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames

_TICKS = 1_000_000  # a second: processors compute time = frame index / fps, which is then exact to the microsecond


def video_array(frames: Frames) -> NDArray[np.uint8]:
    """Return a copy of the pixels as (n, 3, height, width) uint8: torch warns of arrays that are not writable."""
    return np.moveaxis(frames.pixels, -1, 1).copy()


def video_metadata(frames: Frames) -> dict[str, Any]:
    """Return metadata from which a processor computes each frame's own time, also at a variable frame rate.

    >>> video_metadata(Frames(np.zeros((2, 32, 32, 3), np.uint8), np.array([0.0, 1.5])))["frames_indices"]
    [0, 1500000]
    """
    _, height, width, _ = frames.pixels.shape
    indices = [round(time * _TICKS) for time in frames.times]
    return {
        "fps": float(_TICKS),
        "frames_indices": indices,
        "total_num_frames": indices[-1] + 1,
        "duration": float(frames.times[-1]),
        "height": height,
        "width": width,
    }


def frame_multiple(video_processor: Any) -> int | None:
    """Return the number of pixels of which a frame's sides must be multiples; None where the processor does not say."""
    patch, merge = getattr(video_processor, "patch_size", None), getattr(video_processor, "merge_size", None)
    return patch * merge if isinstance(patch, int) and isinstance(merge, int) else None


def check_frame_size(frames: Frames, multiple: int, *, model: str) -> None:
    """Raise InputError for frames whose sides the model cannot divide into patches."""
    _, height, width, _ = frames.pixels.shape
    if height % multiple or width % multiple:
        raise InputError(
            f"frames have {width}x{height} pixels, and {model} needs sides that are multiples of {multiple}: "
            f"read them with FrameBudget(multiple={multiple})"
        )


def png_base64(frames: Frames) -> list[str]:
    """Return each frame as a PNG, which is lossless, in base64."""
    images = []
    for pixels in frames.pixels:
        with io.BytesIO() as file:
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
            images.append(base64.b64encode(file.getvalue()).decode())
    return images
