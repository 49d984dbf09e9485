"""Calibrated probabilities of relevance, and their combination over modalities.

A model's score says which of two clips is better, not how likely either is relevant, and scores of two models are not
comparable. Platt scaling (Platt 1999) maps each to a probability, p = sigmoid(slope * score + intercept), with two numbers
fitted on labelled pairs. The modalities are then combined by a noisy-or (Pearl 1988, section 4.3.2): a clip is irrelevant only
if each modality finds it so, and a modality that could not be scored counts neither for nor against.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rankvideo_rag.errors import InputError
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
        """The noisy-or of the modalities that were scored."""
        return noisy_or([self.picture, self.text])


MODEL_DECISION = Platt(slope=1.0, intercept=0.0)
"""sigmoid(score): the model's own decision, at a temperature of 1 that is not fitted."""

_PICTURE: Mapping[str, Platt] = {
    "bundled:tiny-reranker": Platt(
        slope=0.95,
        intercept=-1.93,
        fitted_on="51 visual questions about 90 rendered clips (plan_clips, seed 5), with the first 50 clips of search: 2,550 "
        "pairs, 168 of them right",
    ),
}

MS_MARCO = Platt(
    slope=0.26,
    intercept=-0.43,
    fitted_on="ms-marco-MiniLM-L-12 (int8) on the 91 English questions of the realistic set, with the 8 best passages by words "
    "and meaning and the 6 best by bge-small: 958 pairs, 174 of them right",
)
_TEXT: Mapping[str, Platt] = {"BAAI/bge-reranker-v2-m3": MODEL_DECISION}  # trained on binary labels


def picture_calibration(model: str | None) -> Platt:
    """Return the calibration of a reranker's margins; MODEL_DECISION for one without, such as RankVideo."""
    return _PICTURE.get(model or "", MODEL_DECISION)


def text_calibration(model: str | None) -> Platt:
    """Return the calibration of a cross-encoder's logits; MS_MARCO, which has their usual range, for one without."""
    return _TEXT.get(model or "", MS_MARCO)


def fit_platt(scores: Sequence[float], labels: Sequence[bool], *, fitted_on: str) -> Platt:
    """Fit the map from scores to probabilities by maximum likelihood, with Platt's targets, which are not quite 0 and 1.

    Raises InputError unless there are labels of both kinds, or if greater scores are not likelier to be right.
    """
    right, wrong = sum(labels), len(labels) - sum(labels)
    if not right or not wrong:
        raise InputError(f"{right} right and {wrong} wrong pairs: a calibration needs both kinds")
    design = np.column_stack([np.asarray(scores, dtype=np.float64), np.ones(len(labels))])
    targets = np.where(labels, (right + 1) / (right + 2), 1 / (wrong + 2))
    weights = np.zeros(2)
    for _ in range(50):  # Newton's method; the loss is convex
        probabilities = np.array([sigmoid(logit) for logit in design @ weights])
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design
        weights = weights + np.linalg.lstsq(curvature, design.T @ (targets - probabilities), rcond=None)[0]
    slope, intercept = map(float, weights)
    if not slope > 0:
        raise InputError(f"the slope is {slope:.2g}: greater scores are not likelier to be right, so they cannot be calibrated")
    return Platt(slope=slope, intercept=intercept, fitted_on=fitted_on)


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
