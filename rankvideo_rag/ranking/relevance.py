"""Calibrated probabilities of relevance, and their combination over senses.

A model's score says which of two clips is better, not how likely either is relevant, and scores of two models are not
comparable. Platt scaling (Platt 1999) maps each to a probability, p = sigmoid(slope * score + intercept), with two numbers
fitted on labelled pairs. The senses are then combined by a noisy-or (Pearl 1988, section 4.3.2): a clip is irrelevant only if
each sense finds it so, and a sense that could not be scored counts neither for nor against.
"""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from rankvideo_rag.schema import Record


class Platt(Record):
    """A map from a model's score to a probability, and what it was fitted on."""

    slope: float  # positive: a greater score is never less likely
    intercept: float
    fitted_on: str | None = None  # None: not fitted, the model's own decision is taken

    def probability(self, score: float) -> float:
        """Return the probability that belongs to a score.

        >>> Platt(slope=2.0, intercept=-1.0).probability(0.5)
        0.5
        """
        return sigmoid(self.slope * score + self.intercept)


class Relevance(NamedTuple):
    """The probabilities, from 0 to 1, that a clip is relevant to a question; None for what was not scored."""

    picture: float | None = None
    text: float | None = None

    @property
    def combined(self) -> float | None:
        """The noisy-or of the senses that were scored."""
        return noisy_or([self.picture, self.text])


MODEL_DECISION = Platt(slope=1.0, intercept=0.0)
"""p_yes, with temperature 1: the model's own decision. RankVideo and other VLMs have no fitted calibration yet."""

_PICTURE: Mapping[str, Platt] = {}


def picture_calibration(model: str | None) -> Platt:
    """Return the calibration of a reranker's margins; MODEL_DECISION for one without."""
    return _PICTURE.get(model or "", MODEL_DECISION)


_TEXT: Mapping[str, Platt] = {}


def text_calibration(model: str | None) -> Platt:
    """Return the calibration of a cross-encoder's logits; MODEL_DECISION for one without."""
    return _TEXT.get(model or "", MODEL_DECISION)


def noisy_or(probabilities: Iterable[float | None]) -> float | None:
    """Return the probability that at least one of several independent findings is true; None if there is none.

    >>> noisy_or([0.5, None, 0.5]), noisy_or([None])
    (0.75, None)
    """
    known = [probability for probability in probabilities if probability is not None]
    return 1.0 - math.prod(1.0 - probability for probability in known) if known else None


def sigmoid(logit: float) -> float:
    """Return 1 / (1 + exp(-logit)), without overflow.

    >>> sigmoid(0.0), sigmoid(-1000.0), sigmoid(1000.0)
    (0.5, 0.0, 1.0)
    """
    # exp of a positive number would overflow beyond 709.
    return 1.0 / (1.0 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1.0 + math.exp(logit))
