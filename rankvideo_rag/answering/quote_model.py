"""The probability that the best candidate answers a question, from weights that are fitted on labelled questions.

A candidate's score is a weighted sum of its features. The weights are those of a conditional logit over the candidates of a
question and "none of them" (McFadden 1974); the score of the best candidate then gives the probability that it is right, by
Platt scaling on cross-validated scores. Features that only compare the candidates of one question (lengths) are standardised
within the question. `rankvideo bench quotes` fits the weights.
"""

import json
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.answering.features import Features
from rankvideo_rag.ranking.relevance import Platt
from rankvideo_rag.schema import Record

DEFAULT_FILE = Path(__file__).with_name("quote_models.json")
STANDARDISED = ("words", "sentences", "adds")


class QuoteModel(Record):
    """Fitted weights, for words alone or with a cross-encoder."""

    weights: dict[str, float]  # feature -> weight of its value; features that are absent have none
    none: float  # score of "no candidate answers"
    calibration: Platt  # from the score of the best candidate, less that of none, to the probability that it is right
    min_probability: float  # from which the best candidate is an answer
    fitted_on: str

    def scores(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the (n,) scores of (n, features) candidates, less that of none."""
        weights = np.array([self.weights.get(name, 0.0) for name in Features._fields])
        scores: NDArray[np.float64] = features @ weights - self.none
        return scores


class QuoteModels(Record):
    """The models of a file."""

    terms: QuoteModel
    cross_encoder: QuoteModel


@lru_cache
def load_quote_models(path: Path = DEFAULT_FILE) -> QuoteModels:
    """Return the models of a file, by default those that ship with the package."""
    return QuoteModels.model_validate(json.loads(path.read_text(encoding="utf-8")))


def as_matrix(rows: list[Features]) -> NDArray[np.float64]:
    """Return (n, features), with lengths standardised over the candidates."""
    matrix = np.array(rows, dtype=np.float64).reshape(len(rows), len(Features._fields))
    for name in STANDARDISED:
        column = matrix[:, Features._fields.index(name)]
        column -= column.mean() if len(rows) else 0.0
        column /= column.std() + 1e-3 if len(rows) else 1.0
    return matrix
