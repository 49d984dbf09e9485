"""The clips of a video: equal windows or pieces between bounds; none longer than asked, neighbours sharing an overlap."""

import math
import uuid
from collections.abc import Sequence
from itertools import pairwise

from rankvideo_rag.schema import Clip

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://arxiv.org/abs/2602.02444")
SHORTEST_CLIP = 0.1  # seconds: a single picture is shown for a while too


def segment(video_id: str, duration: float, *, clip_seconds: float, overlap: float = 0.0) -> list[Clip]:
    """Clips that cover [0, duration): as few equal windows as keep each, overlap included, within `clip_seconds`.

    Equal windows leave no crumb at the end: 32 s in clips of at most 30 s are two of 16 s, not one of 30 s and one of 2 s.
    """
    duration = max(duration, SHORTEST_CLIP)
    count = max(1, math.ceil((duration - overlap) / (clip_seconds - overlap) - 1e-9))
    length = (duration + (count - 1) * overlap) / count
    starts = [i * (length - overlap) for i in range(count)]
    return [make_clip(video_id, round(start, 3), round(min(start + length, duration), 3)) for start in starts]


def segment_at(video_id: str, bounds: Sequence[float], *, overlap: float = 0.0) -> list[Clip]:
    """Clips from each bound to the next; all but the first begin `overlap` seconds earlier."""
    starts = [round(max(0.0, start - overlap) if i else 0.0, 3) for i, start in enumerate(bounds[:-1])]
    return [make_clip(video_id, start, round(end, 3)) for start, (_, end) in zip(starts, pairwise(bounds), strict=True)]


def make_clip(video_id: str, start: float, end: float) -> Clip:
    """The clip of that span; the same span of the same content has the same id wherever it is made."""
    return Clip(
        clip_id=str(uuid.uuid5(_NAMESPACE, f"{video_id}:{start:.3f}:{end:.3f}")), video_id=video_id, start=start, end=end
    )
