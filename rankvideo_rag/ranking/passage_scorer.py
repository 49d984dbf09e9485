"""Score how likely a passage of text answers a question.

`CrossEncoderScorer` reads both with a model. Without one, `TermScorer` weighs how much of the question's information the
passage has: by words, each by its rarity in the archive, and by meaning where there is a text embedder.

A passage that only repeats the question, because somebody asks it or because it announces a topic, has no answer: questions in
it count as neither words nor meaning, and it must say something that the question does not.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.ranking.relevance import Platt, sigmoid
from rankvideo_rag.text import content_terms, stem, terms

_QUESTION = re.compile(r"[^.!?。！？؟]*[?？؟]")


class PassageScorer(Protocol):
    """Scores passages for a question."""

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability, from 0 to 1, that each passage answers the question."""


class SupportsScore(Protocol):
    """A cross-encoder: a logit for each pair of a question and a passage."""

    def score(self, question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        """Return a logit for each passage."""


class SupportsEmbedding(Protocol):
    """A text embedder: unit vectors whose inner product is the similarity in meaning."""

    def embed_queries(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return an (n, dim) array."""

    def embed_passages(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return an (n, dim) array."""


class SupportsIdf(Protocol):
    """How often terms occur in an archive."""

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a term, at least 0."""


TermStatisticsLookup = Callable[[Sequence[str]], SupportsIdf]
"""Terms -> their statistics in the archive."""


class CrossEncoderScorer:
    """Probabilities of a cross-encoder's logits."""

    def __init__(self, cross_encoder: SupportsScore, calibration: Platt) -> None:
        self._cross_encoder, self._calibration = cross_encoder, calibration

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        logits = self._cross_encoder.score(question, passages)
        return [self._calibration.probability(float(logit)) for logit in logits]


class TermWeights(NamedTuple):
    """Weights of a logistic regression over what `TermScorer` measures."""

    intercept: float
    coverage: float  # of the share of the question's information, by words
    meaning: float  # of the cosine of question and passage


BY_TERMS = TermWeights(intercept=-4.0, coverage=6.0, meaning=0.0)
BY_TERMS_AND_MEANING = TermWeights(intercept=-6.0, coverage=5.0, meaning=5.0)


class TermScorer:
    """Probabilities by the terms that a passage shares with the question and, with an embedder, by meaning.

    Args:
        term_statistics: terms -> their statistics; None: all terms weigh the same.
        embedder: compares meaning; None: words only.
    """

    def __init__(self, term_statistics: TermStatisticsLookup | None = None, embedder: SupportsEmbedding | None = None) -> None:
        self._term_statistics, self._embedder = term_statistics, embedder

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        statements = [_without_questions(passage) for passage in passages]
        asked = {stem(term): term for term in content_terms(question)}
        statistics = self._term_statistics(list(asked.values())) if self._term_statistics else None
        weights = {key: statistics.idf(term) if statistics else 1.0 for key, term in asked.items()}
        coverages = [_coverage(weights, statement) for statement in statements]
        if self._embedder is None:
            return [sigmoid(BY_TERMS.intercept + BY_TERMS.coverage * coverage) for coverage in coverages]
        query = self._embedder.embed_queries([question])[0]
        cosines = self._embedder.embed_passages(statements) @ query
        model = BY_TERMS_AND_MEANING
        return [
            sigmoid(model.intercept + model.coverage * coverage + model.meaning * float(cosine))
            for coverage, cosine in zip(coverages, cosines, strict=True)
        ]


def _coverage(weights: dict[str, float], statement: str) -> float:
    """Return the share of the question's information that a statement has; 0 if it says nothing else."""
    stated = {stem(term) for term in content_terms(statement)} if terms(statement) else set()
    total = sum(weights.values())
    if not total or stated <= weights.keys():
        return 0.0
    return sum(weight for term, weight in weights.items() if term in stated) / total


def _without_questions(passage: str) -> str:
    return " ".join(_QUESTION.sub(" ", passage).split())
