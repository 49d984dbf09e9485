"""Channels become one list, by their ranks or by their scores.

By ranks every channel has the same say, whether it knows much or little of the question: weighted reciprocal-rank fusion
(Cormack, Clarke and Buettcher, SIGIR 2009). By scores a clip counts as far as it stands out in its channel: the sum of standard
scores (Renda and Straccia, SAC 2003; on scores against ranks Bruch, Gai and Ingber, TOIS 2023).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.schema import Channel, TextChannel


class FusedHit(NamedTuple):
    """An item of the fused list."""

    item: int
    score: float  # the greater the better, comparable within one list only
    ranks: dict[str, int]  # channel -> rank there, from 1; a channel that did not find the item is absent


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[int]], *, weights: Mapping[str, float], k: float = 60.0
) -> list[FusedHit]:
    """One list from several, best first; equal scores in order of item, so that the same input gives the same list.

    A channel whose weight is absent counts 1. An item is expected at most once in a list.
    """
    fused = [
        FusedHit(item, sum(weights.get(channel, 1.0) / (k + rank) for channel, rank in found.items()), found)
        for item, found in _ranks(rankings).items()
    ]
    return sorted(fused, key=lambda hit: (-hit.score, hit.item))


class ChannelScores(NamedTuple):
    """What a channel gives the items that it found; `others`, so many, have 0."""

    found: Mapping[int, float]
    others: int = 0


def standard_scores(scores: ChannelScores) -> dict[int, float]:
    """By how many standard deviations each found item exceeds the mean of all; one below it counts as little as one not found.

    >>> standard_scores(ChannelScores({1: 4.0, 2: 2.0}, others=2))
    {1: 1.507556722888818, 2: 0.30151134457776363}
    """
    count = len(scores.found) + scores.others
    if not count:
        return {}
    mean = sum(scores.found.values()) / count
    variance = (sum((x - mean) ** 2 for x in scores.found.values()) + scores.others * mean**2) / count
    return {item: max(0.0, x - mean) / variance**0.5 if variance else 0.0 for item, x in scores.found.items()}


def max_fusion(channels: Mapping[TextChannel, Mapping[int, float]], *, weights: Mapping[Channel, float]) -> dict[int, float]:
    """Each item's greatest weighted score. Words that answer together stand in one channel: summed over channels, one word
    that is both said and shown would count like two.

    >>> max_fusion({"speech": {1: 2.0, 2: 3.0}, "on_screen": {1: 4.0}}, weights={"speech": 1.0, "on_screen": 0.5})
    {1: 2.0, 2: 3.0}
    """
    best: dict[int, float] = {}
    for channel, scores in channels.items():
        for item, score in scores.items():
            best[item] = max(best.get(item, 0.0), weights[channel] * score)
    return best


def standard_score_fusion(
    channels: Mapping[str, ChannelScores], rankings: Mapping[str, Sequence[int]], *, weights: Mapping[str, float]
) -> list[FusedHit]:
    """One list from the scores of several channels, best first, equal ones in order of item; `rankings` say who found it where.

    A channel whose weight is absent counts 1. An item that only a ranking has is left out.
    """
    sums: dict[int, float] = {}
    for channel, scores in channels.items():
        for item, score in standard_scores(scores).items():
            sums[item] = sums.get(item, 0.0) + weights.get(channel, 1.0) * score
    ranks = _ranks(rankings)
    fused = [FusedHit(item, score, ranks.get(item, {})) for item, score in sums.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.item))


def _ranks(rankings: Mapping[str, Sequence[int]]) -> dict[int, dict[str, int]]:
    """Item -> channel -> rank, from 1."""
    ranks: dict[int, dict[str, int]] = {}
    for channel, items in rankings.items():
        for rank, item in enumerate(items, start=1):
            ranks.setdefault(item, {})[channel] = rank
    return ranks
