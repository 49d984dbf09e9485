"""Score how likely a passage of text answers a question.

`CrossEncoderScorer` reads both with a model. Without one, `TermScorer` weighs how much of the question's information the
passage has: by words, each by its rarity in the archive, and by meaning where there is a text embedder.

A passage that only repeats the question, because somebody asks it or because it announces a topic, has no answer: questions in
it count as neither words nor meaning, and one that says nothing that the question does not counts half.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from rankvideo_rag.backends import check_backend
from rankvideo_rag.models.cross_encoders import CrossEncoder, load_cross_encoder
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.ranking.relevance import Platt, sigmoid, text_calibration
from rankvideo_rag.schema import Record
from rankvideo_rag.text import found_terms, query_terms, stem

# Words that ask for a kind of answer or of evidence, such as "which number does the sign show": a passage need not repeat them.
_KINDS = frozenset(
    map(
        stem,
        "number year name date day time place sign board screen caption written narrator speaker voice spoken".split(),
    )
)
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


class LazyPassageScorer:
    """A scorer that is loaded at the first question. Safe under concurrent questions."""

    def __init__(self, load: Callable[[], PassageScorer]) -> None:
        self._load = load
        self._scorer: PassageScorer | None = None
        self._loading = threading.Lock()

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        with self._loading:
            scorer = self._scorer = self._scorer or self._load()
        return scorer.score(question, passages)


class CrossEncoderScorer:
    """Probabilities of a cross-encoder's logits."""

    def __init__(self, cross_encoder: CrossEncoder, calibration: Platt) -> None:
        self._cross_encoder, self._calibration = cross_encoder, calibration

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        return [self._calibration.probability(float(logit)) for logit in self._cross_encoder.score(question, passages)]


def load_passage_scorer(backend: str, model: str | None = None, *, device: str | None = None) -> PassageScorer:
    """Return a scorer by a cross-encoder, which is loaded at the first question. Raises InputError for an unknown backend."""
    check_backend("rankvideo_rag.models.cross_encoders", backend)
    calibration = text_calibration(model)
    return LazyPassageScorer(lambda: CrossEncoderScorer(load_cross_encoder(backend, model, device=device), calibration))


class TermWeights(Record):
    """Weights of a logistic regression over what `TermScorer` measures, and what they were fitted on."""

    intercept: float
    coverage: float  # of the share of the question's information that the passage's words have, from 0 to 1
    meaning: float = 0.0  # of the cosine of question and passage
    fitted_on: str

    def probability(self, coverage: float, cosine: float = 0.0) -> float:
        """Return the probability that a passage answers the question."""
        return sigmoid(self.intercept + self.coverage * coverage + self.meaning * cosine)


_FITTED_ON = (
    "the 40 likeliest passages of each of the 120 questions of the realistic set and of 149 about 120 rendered clips "
    "(plan_clips, seed 5), both sets weighing the same; a passage is right if it overlaps the span that answers"
)
WORDS = TermWeights(intercept=-5.1, coverage=8.5, fitted_on=_FITTED_ON)
# Cosines of two embedders are not comparable: one without an entry counts for nothing.
WORDS_AND_MEANING = {
    "bundled:static-en": TermWeights(intercept=-7.4, coverage=7.1, meaning=4.2, fitted_on=_FITTED_ON),
    "BAAI/bge-small-en-v1.5": TermWeights(intercept=-11.1, coverage=4.8, meaning=12.3, fitted_on=_FITTED_ON),
}


class TermScorer:
    """Probabilities by the terms that a passage shares with the question and, with an embedder, by meaning.

    Args:
        term_statistics: terms -> their statistics; None: all terms weigh the same.
        embedder: compares meaning; None, or one without fitted weights: words only.
    """

    def __init__(self, term_statistics: TermStatisticsLookup | None = None, embedder: TextEmbedder | None = None) -> None:
        self._term_statistics = term_statistics
        self._weights = WORDS_AND_MEANING.get(embedder.info.model or "", WORDS) if embedder else WORDS
        self._embedder = embedder if self._weights.meaning else None

    def score(self, question: str, passages: Sequence[str]) -> list[float]:
        """Return the probability that each passage answers the question."""
        if not passages:
            return []
        statements = [_without_questions(passage) for passage in passages]
        asked = query_terms(question)
        statistics = self._term_statistics(asked) if self._term_statistics else None
        weights = {term: statistics.idf(term) if statistics else 1.0 for term in asked}
        coverages = [_coverage(question, weights, statement) for statement in statements]
        if self._embedder is None:
            return [self._weights.probability(coverage) for coverage in coverages]
        cosines = self._embedder.embed_passages(statements) @ self._embedder.embed_queries([question])[0]
        return [self._weights.probability(coverage, float(cosine)) for coverage, cosine in zip(coverages, cosines, strict=True)]


def _coverage(question: str, weights: Mapping[str, float], statement: str) -> float:
    """Return the share of the question's information that a statement has; half of it if it says nothing else."""
    found = {term for term, is_found in found_terms(question, statement).items() if is_found}
    needed = [term for term in weights if term in found or term not in _KINDS]
    total = sum(weights[term] for term in needed)
    if not total or not statement:
        return 0.0
    share = sum(weights[term] for term in found) / total
    only_repeats = _QUESTION.search(question) is not None and weights.keys() >= set(query_terms(statement))
    return share / 2 if only_repeats else share


def _without_questions(passage: str) -> str:
    return " ".join(_QUESTION.sub(" ", passage).split())
