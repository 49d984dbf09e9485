"""Weighted reciprocal-rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): channels meet by rank, never by score."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Fused(NamedTuple):
    """An item of the fused list."""

    item: int
    score: float  # sum over channels of weight / (k + rank)
    ranks: dict[str, int]  # channel -> rank there, from 1; a channel that did not find the item is absent


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[int]], *, weights: Mapping[str, float], k: float = 60.0
) -> list[Fused]:
    """One list from several, best first; equal scores in order of item, so that the same input gives the same list.

    A channel whose weight is absent counts 1. An item is expected at most once in a list.
    """
    ranks: dict[int, dict[str, int]] = {}
    for channel, items in rankings.items():
        for rank, item in enumerate(items, start=1):
            ranks.setdefault(item, {})[channel] = rank
    fused = [
        Fused(item, sum(weights.get(channel, 1.0) / (k + rank) for channel, rank in found.items()), found)
        for item, found in ranks.items()
    ]
    return sorted(fused, key=lambda hit: (-hit.score, hit.item))
