"""Fuse the channels of a search into one list, by a convex combination of normalised scores (Bruch, Gai and Ingber, TOIS 2023).

Squares are combined, the 2-norm of Salton, Fox and Wu's extended OR (CACM 1983): a clip that one modality clearly supports
comes before one that several support a little. Text counts by the best passage of a clip, by its terms and its meaning
together: a word that is both spoken and on screen does not count twice. The picture is added. Weights and exponent were fitted
with `rankvideo bench fusion` and `rankvideo demo eval` (docs/benchmarks.md): equal weights are as good as any.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Clip, SearchChannel, TextChannel

DEFAULT_WEIGHTS: Mapping[SearchChannel, float] = {
    "visual": 1.0,
    "speech": 1.0,
    "on_screen": 1.0,
    "description": 1.0,
    "speech_meaning": 1.0,
    "on_screen_meaning": 1.0,
    "description_meaning": 1.0,
}
MEANING: Mapping[TextChannel, SearchChannel] = {
    "speech": "speech_meaning",
    "on_screen": "on_screen_meaning",
    "description": "description_meaning",
}


def parse_weights(text: str) -> dict[SearchChannel, float]:
    """Read weights such as "visual=0.5,speech=2". Raises InputError for an unknown channel or a weight below 0.

    >>> parse_weights("visual=0.5, speech=2")
    {'visual': 0.5, 'speech': 2.0}
    """
    weights: dict[SearchChannel, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = part.partition("=")
        channel = next((channel for channel in DEFAULT_WEIGHTS if channel == name.strip()), None)
        try:
            weight = float(value)
        except ValueError:
            weight = -1.0
        if channel is None or not 0 <= weight < math.inf:
            raise InputError(f"fusion_weights: {part!r} is not CHANNEL=NUMBER; the channels are {', '.join(DEFAULT_WEIGHTS)}")
        weights[channel] = weight
    return weights


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


class ChannelResults(NamedTuple):
    """What the channels found for a question."""

    pictures: Mapping[int, float]  # clip -> normalised score
    passages: Mapping[int, PassageScores]  # by number
    clips: Mapping[int, Clip]  # those that are named above

    def fuse(self, weights: Mapping[SearchChannel, float] = DEFAULT_WEIGHTS) -> list[FusedHit]:
        """Return the clips, best first.

        Of equal scores the better single channel decides, then the better match of terms, then video_id, which depends on the
        bytes of the video, and start. Row numbers, which depend on the order of indexing, decide nothing.
        """
        best, most = _best_passages(self.passages, weights), _most(weights)
        channels = _clip_scores(self.pictures, self.passages)
        ranks = {channel: _ranks(scores) for channel, scores in channels.items()}
        hits = []
        for clip in dict.fromkeys([*self.pictures, *best]):
            found = {channel: scores[clip] for channel, scores in channels.items() if clip in scores}
            passage, text = best.get(clip, (None, 0.0))
            score = math.sqrt((weights["visual"] * self.pictures.get(clip, 0.0) ** 2 + text) / most)
            hits.append(FusedHit(clip, score, found, {channel: ranks[channel][found[channel]] for channel in found}, passage))
        return sorted(hits, key=lambda hit: (*_preference(hit), self.clips[hit.clip].video_id, self.clips[hit.clip].start))


def _preference(hit: FusedHit) -> tuple[float, float, float]:
    by_terms = max(hit.scores.get(channel, 0.0) for channel in MEANING)
    return -hit.score, -max(hit.scores.values(), default=0.0), -by_terms


def _most(weights: Mapping[SearchChannel, float]) -> float:
    """Return the sum of weights of a clip that scores 1 everywhere; 1 if all channels are switched off."""
    return (weights["visual"] + max(weights[channel] + weights[MEANING[channel]] for channel in MEANING)) or 1.0


def _best_passages(
    passages: Mapping[int, PassageScores], weights: Mapping[SearchChannel, float]
) -> dict[int, tuple[int, float]]:
    """Return clip -> its best passage, of equal ones the earlier, and that passage's weighted sum of squares."""
    best: dict[int, tuple[int, float]] = {}
    for number, (clip, start, scores) in passages.items():
        score = sum(weights[channel] * score**2 for channel, score in scores.items())
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
