"""Fuse the channels of a search into one list, by a convex combination of normalised scores (Bruch, Gai and Ingber, TOIS 2023).

Text counts by the best passage of a clip, by its terms and its meaning together: a word that is both spoken and on screen does
not count twice. The picture is added. Weights were fitted by `rankvideo bench fusion` (docs/benchmarks.md).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args

from rankvideo_rag.schema import SearchChannel, TextChannel

DEFAULT_WEIGHTS: Mapping[SearchChannel, float] = {
    "visual": 0.75,
    "speech": 1.0,
    "on_screen": 1.0,
    "description": 1.0,
    "speech_meaning": 0.75,
    "on_screen_meaning": 0.75,
    "description_meaning": 0.75,
}
MEANING: Mapping[TextChannel, SearchChannel] = {
    "speech": "speech_meaning",
    "on_screen": "on_screen_meaning",
    "description": "description_meaning",
}


class PassageScores(NamedTuple):
    """A passage that was found, with its normalised scores."""

    clip: int
    start: float  # seconds
    scores: dict[SearchChannel, float]  # of terms, of meaning, or of both


class FusedHit(NamedTuple):
    """A clip of the fused list."""

    clip: int
    score: float  # from 0 to 1
    scores: dict[SearchChannel, float]  # the clip's best in each channel that found it
    ranks: dict[SearchChannel, int]  # from 1; equal scores share a rank
    passage: int | None  # the passage that counted


def fuse(
    pictures: Mapping[int, float],
    passages: Mapping[int, PassageScores],
    *,
    weights: Mapping[SearchChannel, float] = DEFAULT_WEIGHTS,
    tie_breaker: Callable[[int], Any],
) -> list[FusedHit]:
    """Fuse normalised scores of clips by picture and of passages by text, best first.

    Of equal scores the better single channel decides, then the better match of terms, then `tie_breaker` (a sort key of a clip
    by its content). Numbers of clips and passages, which depend on the order of indexing, decide nothing.
    """
    best = _best_passages(passages, weights)
    channels = _clip_scores(pictures, passages)
    ranks = {channel: _ranks(scores) for channel, scores in channels.items()}
    hits = []
    for clip in dict.fromkeys([*pictures, *best]):
        found = {channel: scores[clip] for channel, scores in channels.items() if clip in scores}
        text = best.get(clip, (None, 0.0))
        score = (weights["visual"] * pictures.get(clip, 0.0) + text[1]) / _most(weights)
        hits.append(FusedHit(clip, score, found, {channel: ranks[channel][found[channel]] for channel in found}, text[0]))
    return sorted(hits, key=lambda hit: (*_preference(hit), tie_breaker(hit.clip)))


def _preference(hit: FusedHit) -> tuple[float, float, float]:
    by_terms = max((hit.scores.get(channel, 0.0) for channel in get_args(TextChannel)), default=0.0)
    return -hit.score, -max(hit.scores.values(), default=0.0), -by_terms


def _most(weights: Mapping[SearchChannel, float]) -> float:
    """Return the score of a clip that scores 1 everywhere; 1 if all channels are switched off."""
    return (weights["visual"] + max(weights[channel] + weights[MEANING[channel]] for channel in MEANING)) or 1.0


def _best_passages(
    passages: Mapping[int, PassageScores], weights: Mapping[SearchChannel, float]
) -> dict[int, tuple[int, float]]:
    """Return clip -> its best passage, of equal ones the earlier, and that passage's weighted score."""
    best: dict[int, tuple[int, float]] = {}
    for number, (clip, start, scores) in passages.items():
        score = sum(weights[channel] * score for channel, score in scores.items())
        if clip not in best or (score, -start) > (best[clip][1], -passages[best[clip][0]].start):
            best[clip] = (number, score)
    return best


def _clip_scores(pictures: Mapping[int, float], passages: Mapping[int, PassageScores]) -> dict[SearchChannel, dict[int, float]]:
    """Return channel -> clip -> its best score there."""
    channels: dict[SearchChannel, dict[int, float]] = {"visual": dict(pictures)}
    for clip, _, scores in passages.values():
        for channel, score in scores.items():
            of_channel = channels.setdefault(channel, {})
            of_channel[clip] = max(score, of_channel.get(clip, 0.0))
    return channels


def _ranks(scores: Mapping[int, float]) -> dict[float, int]:
    """Return score -> rank."""
    ranks: dict[float, int] = {}
    for rank, score in enumerate(sorted(scores.values(), reverse=True), start=1):
        ranks.setdefault(score, rank)
    return ranks
