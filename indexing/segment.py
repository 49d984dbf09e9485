"""Divide a video into clips: equal windows, or pieces between shots or pauses of speech."""

import math
import uuid
from collections.abc import Sequence
from itertools import pairwise

from rankvideo_rag.schema import Clip, TextSpan

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://arxiv.org/abs/2602.02444")
SHORTEST_CLIP = 0.1  # seconds: a still image has a duration too
MIN_SECONDS = 4.0  # shortest piece between shots or pauses, or half of the longest one where that is less
MIN_PAUSE = 0.3  # seconds without speech


def segment(video_id: str, duration: float, *, clip_seconds: float, overlap: float = 0.0) -> list[Clip]:
    """Return the fewest equal windows that cover [0, duration) seconds, none longer than `clip_seconds`, overlap included.

    Equal windows leave no short remainder: 32 s with clips of at most 30 s give two of 16 s.
    """
    duration = max(duration, SHORTEST_CLIP)
    count = max(1, math.ceil((duration - overlap) / (clip_seconds - overlap) - 1e-9))
    length = (duration + (count - 1) * overlap) / count
    starts = [i * (length - overlap) for i in range(count)]
    return [make_clip(video_id, round(start, 3), round(min(start + length, duration), 3)) for start in starts]


def segment_at(video_id: str, bounds: Sequence[float], *, overlap: float = 0.0) -> list[Clip]:
    """Return a clip from each boundary to the next; all but the first begin `overlap` seconds earlier."""
    starts = [round(max(0.0, start - overlap) if i else 0.0, 3) for i, start in enumerate(bounds[:-1])]
    return [make_clip(video_id, start, round(end, 3)) for start, (_, end) in zip(starts, pairwise(bounds), strict=True)]


def make_clip(video_id: str, start: float, end: float) -> Clip:
    """Return the clip of a span; its id depends only on the video's content and the span."""
    clip_id = str(uuid.uuid5(_NAMESPACE, f"{video_id}:{start:.3f}:{end:.3f}"))
    return Clip(clip_id=clip_id, video_id=video_id, start=start, end=end)


def shot_boundaries(cuts: Sequence[float], duration: float, *, longest: float) -> list[float]:
    """Return ascending clip boundaries in seconds, from 0.0 to `duration`, that lie at cuts.

    A shot longer than `longest` is divided equally, one that is too short is joined with the next.

    >>> shot_boundaries([6.0, 7.0, 16.0], 40.0, longest=15.0)
    [0.0, 6.0, 16.0, 28.0, 40.0]
    """
    shortest, bounds = _shortest(longest), [0.0]
    for cut in cuts:
        if bounds[-1] + shortest <= cut <= duration - shortest:
            bounds.append(cut)
    shots = pairwise([*bounds, duration])
    return [start for shot in shots for start in _equal_parts(*shot, longest)] + [duration]


def pause_boundaries(pauses: Sequence[tuple[float, float]], duration: float, *, longest: float) -> list[float]:
    """Return ascending clip boundaries in seconds, from 0.0 to `duration`, that lie in the middle of pauses.

    Each piece but the last ends at the longest pause between half of `longest` and `longest` after its start; without one it
    ends at `longest`, or earlier where the rest would be too short. `pauses` are (middle, seconds) pairs.

    >>> pause_boundaries([(8.0, 0.5), (12.0, 1.0), (25.0, 0.4)], 40.0, longest=15.0)
    [0.0, 12.0, 25.0, 40.0]
    """
    shortest, bounds = _shortest(longest), [0.0]
    while (left := duration - bounds[-1]) > longest:
        start = bounds[-1]
        first, last = start + longest / 2, min(start + longest, duration - shortest)
        within = [(seconds, middle) for middle, seconds in pauses if first <= middle <= last]
        otherwise = start + (longest if left - longest >= shortest else left / 2)
        bounds.append(max(within)[1] if within else otherwise)
    return [*bounds, duration]


def find_pauses(spans: Sequence[TextSpan], *, min_seconds: float = MIN_PAUSE) -> list[tuple[float, float]]:
    """Return the pauses between spans of speech as (middle, seconds) pairs, between words where these are timed."""
    found: list[tuple[float, float]] = []
    until: float | None = None
    for part in sorted((part for span in spans for part in span.words or [span]), key=lambda part: (part.start, part.end)):
        if until is not None and part.start - until >= min_seconds:
            found.append(((until + part.start) / 2, part.start - until))
        until = part.end if until is None else max(until, part.end)
    return found


def _shortest(longest: float) -> float:
    return min(MIN_SECONDS, longest / 2)


def _equal_parts(start: float, end: float, longest: float) -> list[float]:
    """Return the starts of the fewest equal parts of a span that are no longer than `longest`."""
    count = max(1, math.ceil((end - start) / longest - 1e-9))
    return [start + i * (end - start) / count for i in range(count)]
