"""Fit the weights by which quotes are chosen, and the probability from which they are shown, on labelled questions.

The model is a conditional logit over the candidates of a question and "none of them" (`answering.quote_model`), with a ridge
penalty. Questions of one video are left out together when it is cross-validated.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.answering.features import Features
from rankvideo_rag.answering.quote_model import QuoteModel
from rankvideo_rag.backends import import_optional
from rankvideo_rag.errors import InputError
from rankvideo_rag.ranking.relevance import Platt

optimize = import_optional("scipy.optimize", "bench quotes")

RIDGE = 3.0  # weight of the penalty on squared weights of standardised features
_Matrix = NDArray[np.float64]


class LabelledQuestion(NamedTuple):
    """The candidates of a question, or of one part of it."""

    group: str  # questions of one group, such as a video, are left out together
    answerable: bool
    features: _Matrix  # (candidates, features), as `as_matrix` returns them
    right: NDArray[np.bool_]  # (candidates,): whether each answers


class Prediction(NamedTuple):
    """What a fitted model answers."""

    score: float  # of the best candidate, less that of none
    right: bool


class FittedWeights(NamedTuple):
    """The weights of features and the score of no answer."""

    weights: _Matrix  # (features,)
    none: float


def fit(questions: Sequence[LabelledQuestion]) -> FittedWeights:
    """Return the most likely weights under a ridge penalty. Raises InputError unless some question has a right candidate."""
    if not any(question.right.any() for question in questions):
        raise InputError("no candidate of any question is right: weights cannot be fitted")
    filled = [question for question in questions if len(question.features)]
    stacked = np.concatenate([question.features for question in filled])
    used = stacked.std(axis=0) > 1e-9
    scale = np.where(used, 1.0 / np.where(used, stacked.std(axis=0), 1.0), 0.0)
    rows = stacked * scale
    right = np.concatenate([question.right for question in filled])
    starts = np.cumsum([0, *(len(question.features) for question in filled)])[:-1]
    owner = np.repeat(np.arange(len(filled)), [len(question.features) for question in filled])
    has_right = np.logical_or.reduceat(right, starts)

    def loss(parameters: _Matrix) -> tuple[float, _Matrix]:
        weights, none = parameters[:-1], parameters[-1]
        scores = rows @ weights - none
        largest = np.maximum(np.maximum.reduceat(scores, starts), 0.0)
        odds = np.exp(scores - largest[owner])
        total = np.add.reduceat(odds, starts) + np.exp(-largest)
        good = np.add.reduceat(odds * right, starts)
        target = np.where(has_right, np.maximum(good, 1e-300), np.exp(-largest))
        share = odds / total[owner]
        aim = np.where(right, odds / np.maximum(good, 1e-300)[owner], 0.0)
        slope = share - aim
        gradient = np.append(rows.T @ slope + RIDGE * weights, -slope.sum())
        return float(-np.log(target / total).sum() + 0.5 * RIDGE * weights @ weights), gradient

    found = optimize.minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 200})
    return FittedWeights(found.x[:-1] * scale, float(found.x[-1]))


def predict(question: LabelledQuestion, fitted: FittedWeights) -> Prediction:
    """Return the score of the best candidate, and whether it is right; minus infinity without candidates."""
    if not len(question.features):
        return Prediction(-np.inf, False)
    scores = question.features @ fitted.weights - fitted.none
    best = int(scores.argmax())
    return Prediction(float(scores[best]), bool(question.right[best]))


def calibrate(predictions: Sequence[Prediction], *, fitted_on: str) -> Platt:
    """Return the map from scores to the probability of a right answer that is most likely."""
    known = [prediction for prediction in predictions if np.isfinite(prediction.score)]
    scores = np.array([prediction.score for prediction in known])
    right = np.array([prediction.right for prediction in known], dtype=np.float64)

    def loss(parameters: _Matrix) -> tuple[float, _Matrix]:
        logits = parameters[0] * scores + parameters[1]
        slope = 1.0 / (1.0 + np.exp(-logits)) - right
        return float(np.logaddexp(0.0, logits).sum() - right @ logits), np.array([slope @ scores, slope.sum()])

    found = optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    return Platt(slope=round(float(found[0]), 4), intercept=round(float(found[1]), 4), fitted_on=fitted_on)


def cross_validate(questions: Sequence[LabelledQuestion]) -> list[Prediction]:
    """Return a prediction for each question, by weights fitted on the questions of other groups."""
    fitted = {
        group: fit([question for question in questions if question.group != group])
        for group in {question.group for question in questions}
    }
    return [predict(question, fitted[question.group]) for question in questions]


def as_model(fitted: FittedWeights, calibration: Platt, *, min_probability: float, fitted_on: str) -> QuoteModel:
    """Return the weights in the form that the package reads."""
    named = {name: round(float(weight), 4) for name, weight in zip(Features._fields, fitted.weights, strict=True)}
    return QuoteModel(
        weights={name: weight for name, weight in named.items() if weight},
        none=round(fitted.none, 4),
        calibration=calibration,
        min_probability=min_probability,
        fitted_on=fitted_on,
    )
