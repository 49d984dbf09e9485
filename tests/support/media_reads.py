"""Shortcuts for tests that read media files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import Frames, KeyFrameSampling, read_frames
from rankvideo_rag.schema import FrameBudget

REAL_VIDEOS = Path(__file__).parents[3] / "shared" / "videos"
needs_real_videos = pytest.mark.skipif(not REAL_VIDEOS.is_dir(), reason="needs ../shared/videos")


def read_original_size(
    path: Path,
    start: float | None = None,
    end: float | None = None,
    *,
    key_frames: KeyFrameSampling | None = None,
    **options: Any,
) -> Frames:
    """Read frames of a test file in the size in which it was written, so that their numbers can be read."""
    budget = FrameBudget(min_pixels=1, max_pixels=96 * 48, multiple=2, **options)
    return read_frames(str(path), start, end, budget=budget, key_frames=key_frames)


def error_code(action: Callable[[], object]) -> str:
    """Return the code of the MediaError that the action raises."""
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.code
