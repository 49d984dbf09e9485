"""Select the frames of a span, and plan how to decode them. Works on times and packet lists only."""

from collections.abc import Sequence
from math import floor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.schema import FrameBudget

# Unneeded packets to decode before a seek becomes cheaper.
_MAX_WASTED_PACKETS = 12


class DecodeRun(NamedTuple):
    """Frames that are decoded in one run from one key frame."""

    key: int  # ticks
    targets: tuple[int, ...]  # ticks, ascending


def frame_count(existing: int, span_seconds: float, budget: FrameBudget) -> int:
    """Return how many frames of a span are read: as qwen-vl-utils counts them, but at least one if any exists.

    >>> frame_count(900, 30.0, FrameBudget(fps=2.0, min_frames=4, max_frames=32))
    32
    """
    wanted = min(max(span_seconds * budget.fps, budget.min_frames), budget.max_frames, existing)
    even = floor(round(wanted, 6) / 2) * 2
    return max(even, min(1, existing))


def spread(times: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Return the positions of `count` different times, nearest to an even spread from first to last, in order."""
    ideal = np.linspace(times[0], times[-1], count)
    after = np.clip(np.searchsorted(times, ideal), 1, max(len(times) - 1, 1))
    before = after - 1
    after = np.minimum(after, len(times) - 1)
    nearest = np.where(ideal - times[before] <= times[after] - ideal, before, after)
    steps = np.arange(count)
    ascending = np.maximum.accumulate(nearest - steps) + steps  # two ideal times between the same two frames get one each
    return np.minimum(ascending, len(times) - count + steps)


def select_key_frames(targets: Sequence[int], keys: NDArray[np.int64], tolerance: int, *, least: int) -> list[int]:
    """Return key frames to read in place of the targets: as many, or an even number of fewer, evenly spread; else none.

    Every target needs a key frame within the tolerance, and at least `least` key frames must remain. The first and the last
    target have key frames on one side only: for them, and for targets within the tolerance of them, the tolerance is doubled.
    """
    count = min(len(keys), len(targets))
    if count < len(targets):
        count = max(count // 2 * 2, min(count, 1))
    if not count or count < min(least, len(targets)):
        return []
    wanted = np.array(targets, np.int64)
    after = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    off = np.minimum(abs(keys[after] - wanted), abs(wanted - keys[np.maximum(after - 1, 0)]))
    at_an_end = np.minimum(wanted - wanted[0], wanted[-1] - wanted) <= tolerance
    if (off > tolerance * (1 + at_an_end)).any():
        return []
    return [int(time) for time in keys[spread(keys.astype(np.float64), count)]]


def plan_runs(times: Sequence[int], keys: Sequence[int], targets: Sequence[int]) -> list[DecodeRun]:
    """Group ascending targets into runs: continue decoding, or seek to a key frame if that saves work.

    `times` and `keys` describe a span's packets in decoding order; the first one counts as a key frame.
    """
    if not targets:
        return []
    key_positions = [0, *(i for i, key in enumerate(keys) if key and i)]
    key_times = np.array([times[i] for i in key_positions])
    position_of = {time: i for i, time in enumerate(times)}
    runs: list[DecodeRun] = []
    reached = 0  # position of the packet that is decoded next
    for target in targets:
        nearest = key_positions[max(int(np.searchsorted(key_times, target, side="right")) - 1, 0)]
        if not runs or nearest - reached > _MAX_WASTED_PACKETS:
            runs.append(DecodeRun(times[nearest], (target,)))
        else:
            runs[-1] = DecodeRun(runs[-1].key, (*runs[-1].targets, target))
        reached = position_of[target] + 1
    return runs
