"""Score how likely a passage of text answers a question.

`CrossEncoderScorer` reads both with a model. Without one, `TermScorer` weighs how much of the question's information the
passage has: by words, each by its rarity in the archive, and by meaning where there is a text embedder.

A passage that only repeats the question, because somebody asks it or because it announces a topic, has no answer: questions in
it count as neither words nor meaning, and it must say something that the question does not.
"""

import re
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from rankvideo_rag.backends import check_backend
from rankvideo_rag.models.cross_encoders import CrossEncoder, load_cross_encoder
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.ranking.relevance import Platt, sigmoid, text_calibration
from rankvideo_rag.text import query_terms

_QUESTION = re.compile(r"[^.!?。！？؟]*[?？؟]")


@runtime_checkable
class PassageScorer(Protocol):
    """Scores passages for a question."""

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability, from 0 to 1, that each passage answers the question."""


class SupportsIdf(Protocol):
    """How often terms occur in an archive."""

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a term, at least 0."""


TermStatisticsLookup = Callable[[Sequence[str]], SupportsIdf]
"""Terms -> their statistics in the archive."""


class CrossEncoderScorer:
    """Probabilities of a cross-encoder's logits.

    Args:
        load: returns the model; called at the first question.
        calibration: turns its logits into probabilities.
    """

    def __init__(self, load: Callable[[], CrossEncoder], calibration: Platt) -> None:
        self._load, self._calibration = load, calibration
        self._cross_encoder: CrossEncoder | None = None
        self._loading = threading.Lock()

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        logits = self._loaded().score(question, passages)
        return [self._calibration.probability(float(logit)) for logit in logits]

    def _loaded(self) -> CrossEncoder:
        with self._loading:
            if self._cross_encoder is None:
                self._cross_encoder = self._load()
            return self._cross_encoder


def load_passage_scorer(backend: str, model: str | None = None, *, device: str | None = None) -> PassageScorer:
    """Return a scorer by a cross-encoder, which is loaded at the first question. Raises InputError for an unknown backend."""
    check_backend("rankvideo_rag.models.cross_encoders", backend)
    return CrossEncoderScorer(lambda: load_cross_encoder(backend, model, device=device), text_calibration(model))


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

    def __init__(self, term_statistics: TermStatisticsLookup | None = None, embedder: TextEmbedder | None = None) -> None:
        self._term_statistics, self._embedder = term_statistics, embedder

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        statements = [_without_questions(passage) for passage in passages]
        asked = query_terms(question)
        statistics = self._term_statistics(asked) if self._term_statistics else None
        weights = {term: statistics.idf(term) if statistics else 1.0 for term in asked}
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
    stated = set(query_terms(statement))
    total = sum(weights.values())
    if not total or stated <= weights.keys():
        return 0.0
    return sum(weight for term, weight in weights.items() if term in stated) / total


def _without_questions(passage: str) -> str:
    return " ".join(_QUESTION.sub(" ", passage).split())
