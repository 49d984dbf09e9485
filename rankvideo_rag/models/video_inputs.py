"""Frames as the video processors of transformers and vLLM take them: ready arrays beside metadata that tells true times.

Shared by the rooms that hand frames to a model. It knows no model and needs no torch.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames

_TICKS = 1_000_000  # a second; a processor computes time = frame index / fps, and ours are exact to the microsecond


def video_array(frames: Frames) -> NDArray[np.uint8]:
    """The pixels as (n, 3, height, width) uint8: a copy, as torch refuses arrays that may not be written."""
    return np.moveaxis(frames.pixels, -1, 1).copy()


def video_metadata(frames: Frames) -> dict[str, Any]:
    """Metadata from which a processor reads each frame's own time, at a variable frame rate too.

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
    """The number of pixels of which a frame's sides must be multiples; None where the processor does not say."""
    patch, merge = getattr(video_processor, "patch_size", None), getattr(video_processor, "merge_size", None)
    return patch * merge if isinstance(patch, int) and isinstance(merge, int) else None


def check_frame_size(frames: Frames, multiple: int, *, model: str) -> None:
    """Raise InputError for frames whose sides the model cannot cut into patches."""
    _, height, width, _ = frames.pixels.shape
    if height % multiple or width % multiple:
        raise InputError(
            f"frames of {width}x{height} pixels, and {model} needs sides that are multiples of {multiple}: "
            f"read them with FrameBudget(multiple={multiple})"
        )
