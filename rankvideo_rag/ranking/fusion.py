"""Fuse the results of several channels into one list, by rank or by score.

By rank all channels count equally, however well they match the question: weighted reciprocal rank fusion (Cormack, Clarke and
Buettcher, SIGIR 2009). By score a clip counts as far as it stands out in its channel: the sum of standard scores (Renda and
Straccia, SAC 2003; on scores against ranks Bruch, Gai and Ingber, TOIS 2023).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.schema import Channel, TextChannel


class FusedHit(NamedTuple):
    """An item of the fused list."""

    item: int
    score: float  # greater is better; comparable within one list only
    ranks: dict[str, int]  # channel -> rank there, from 1; without channels that did not find the item


def reciprocal_rank_fusion(
    rankings: Mapping[str, Sequence[int]], *, weights: Mapping[str, float], k: float = 60.0
) -> list[FusedHit]:
    """Fuse rankings into one list, best first; equal scores are ordered by item, so that the result is deterministic.

    A channel without a weight counts 1. Each ranking holds an item at most once.
    """
    fused = [
        FusedHit(item, sum(weights.get(channel, 1.0) / (k + rank) for channel, rank in found.items()), found)
        for item, found in _ranks(rankings).items()
    ]
    return sorted(fused, key=lambda hit: (-hit.score, hit.item))


class ChannelScores(NamedTuple):
    """A channel's scores of the items that it found; that many `others` have 0."""

    found: Mapping[int, float]
    others: int = 0


def standard_scores(scores: ChannelScores) -> dict[int, float]:
    """Return by how many standard deviations each found item exceeds the mean of all, at least 0.

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
    """Return each item's greatest weighted score over text channels.

    A sum would count a word that is both spoken and on screen like two words that match together.

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
    """Fuse the scores of channels into one list, best first, equal scores ordered by item; `rankings` give the ranks reported.

    A channel without a weight counts 1. An item that is in a ranking only is left out.
    """
    sums: dict[int, float] = {}
    for channel, scores in channels.items():
        for item, score in standard_scores(scores).items():
            sums[item] = sums.get(item, 0.0) + weights.get(channel, 1.0) * score
    ranks = _ranks(rankings)
    fused = [FusedHit(item, score, ranks.get(item, {})) for item, score in sums.items()]
    return sorted(fused, key=lambda hit: (-hit.score, hit.item))


def _ranks(rankings: Mapping[str, Sequence[int]]) -> dict[int, dict[str, int]]:
    """Return item -> channel -> rank, from 1."""
    ranks: dict[int, dict[str, int]] = {}
    for channel, items in rankings.items():
        for rank, item in enumerate(items, start=1):
            ranks.setdefault(item, {})[channel] = rank
    return ranks
