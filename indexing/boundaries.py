"""Where a video is divided by what happens in it: at shots or at pauses of speech. Knows seconds only, no media and no words.

Pieces follow each other without gaps. None is longer than allowed, and none shorter than MIN_SECONDS (half of the longest,
where that is less) but for a whole video that is.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

from rankvideo_rag.schema import TextSpan

MIN_SECONDS = 4.0  # seconds
MIN_PAUSE = 0.3  # seconds without speech that count as a pause


def shot_boundaries(cuts: Sequence[float], duration: float, *, longest: float) -> list[float]:
    """Bounds of pieces that begin at cuts: a shot that is too long is divided equally, one that is too short goes with the
    next. From 0.0 to `duration`, ascending.

    >>> shot_boundaries([6.0, 7.0, 16.0], 40.0, longest=15.0)
    [0.0, 6.0, 16.0, 28.0, 40.0]
    """
    least, bounds = _least(longest), [0.0]
    for cut in cuts:
        if bounds[-1] + least <= cut <= duration - least:
            bounds.append(cut)
    shots = list(pairwise([*bounds, duration]))
    return [part for start, end in shots for part in _equal(start, end, longest)] + [duration]


def pause_boundaries(pauses: Sequence[tuple[float, float]], duration: float, *, longest: float) -> list[float]:
    """Bounds of pieces that are as long as half of the longest at least and end at the longest pause within reach, in its
    middle; where there is none, when they must. From 0.0 to `duration`, ascending. `pauses` are (middle, seconds).

    >>> pause_boundaries([(8.0, 0.5), (12.0, 1.0), (25.0, 0.4)], 40.0, longest=15.0)
    [0.0, 12.0, 25.0, 40.0]
    """
    least, bounds = _least(longest), [0.0]
    while (left := duration - bounds[-1]) > longest:
        begin = bounds[-1]
        first, last = begin + longest / 2, min(begin + longest, duration - least)
        within = [(seconds, middle) for middle, seconds in pauses if first <= middle <= last]
        otherwise = begin + (longest if left - longest >= least else left / 2)
        bounds.append(max(within)[1] if within else otherwise)
    return [*bounds, duration]


def find_pauses(words: Sequence[TextSpan], *, least: float = MIN_PAUSE) -> list[tuple[float, float]]:
    """The pauses between timed words as (middle, seconds), where nothing is said for at least so long. Words that are timed one
    by one count each, others with their span."""
    found, until = [], None
    for word in sorted((part for span in words for part in span.words or [span]), key=lambda part: (part.start, part.end)):
        if until is not None and word.start - until >= least:
            found.append(((until + word.start) / 2, word.start - until))
        until = word.end if until is None else max(until, word.end)
    return found


def _least(longest: float) -> float:
    return min(MIN_SECONDS, longest / 2)


def _equal(start: float, end: float, longest: float) -> list[float]:
    """Where the equal parts of a span begin, as few as keep each within `longest`."""
    count = max(1, ceil((end - start) / longest - 1e-9))
    return [start + i * (end - start) / count for i in range(count)]
