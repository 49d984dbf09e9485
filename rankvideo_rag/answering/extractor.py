"""Find the sentences of the evidence that answer a question, each with its probability."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rankvideo_rag.answering.candidates import Candidate, Scene, find_candidates
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.features import Features, lacks_condition, measure, shorten, term_weights
from rankvideo_rag.answering.questions import AnalysedQuestion, analyse_question, split_question
from rankvideo_rag.answering.quote_model import QuoteModel, as_matrix, load_quote_models
from rankvideo_rag.ranking.passage_scorer import PassageScorer, TermStatisticsLookup
from rankvideo_rag.schema import Citation, TextChannel, TextSpan

MAX_QUOTES = 3  # of a part of a question
CROSS_ENCODED = 16  # candidates of a question that a cross-encoder reads: the best by the other features


class Quote(NamedTuple):
    """A run of sentences that may answer a question."""

    text: str
    start: float  # seconds
    end: float
    channel: TextChannel
    evidence: Evidence
    probability: float  # that it answers
    score: float  # log odds against "no candidate answers"

    def cite(self) -> Citation:
        """Return the citation of the quoted sentences."""
        return self.evidence.cite((self.start, self.end), quote=self.text, channel=self.channel)

    def overlaps(self, other: "Quote") -> bool:
        """Return whether two quotes share a moment of a video."""
        same = self.evidence.video_id == other.evidence.video_id
        return same and self.start < other.end and self.end > other.start


class MeasuredCandidate(NamedTuple):
    """A candidate with its clip and what was measured of it."""

    evidence: Evidence
    candidate: Candidate
    features: Features


@dataclass(frozen=True)
class Extractor:
    """Finds quotes that answer questions.

    Attributes:
        term_statistics: terms -> how rare they are in the archive; None: all weigh the same.
        cross_encoder: scores passages; None: words decide.
        min_probability: from which a quote is an answer; None: that of the fitted model.
    """

    term_statistics: TermStatisticsLookup | None = None
    cross_encoder: PassageScorer | None = None
    min_probability: float | None = None

    def answer_parts(self, question: str, evidence: Sequence[Evidence]) -> list[list[Quote]]:
        """Return the quotes that answer each part of a question, best first; empty where no quote is probable enough."""
        threshold = self.threshold
        return [[q for q in quotes if q.probability >= threshold] for quotes in self.find_quotes(question, evidence)]

    def find_quotes(self, question: str, evidence: Sequence[Evidence]) -> list[list[Quote]]:
        """Return the best quotes for each part of a question, best first. None overlaps a better one."""
        return _find_quotes(self, question, tuple(evidence))

    @property
    def threshold(self) -> float:
        """The probability from which a quote is an answer."""
        return self.model.min_probability if self.min_probability is None else self.min_probability

    @property
    def model(self) -> QuoteModel:
        """The weights that belong to the evidence that this extractor has."""
        models = load_quote_models()
        return models.terms if self.cross_encoder is None else models.cross_encoder

    def measure(self, question: AnalysedQuestion, evidence: Sequence[Evidence]) -> list[MeasuredCandidate]:
        """Return all candidates that meet the question's conditions, with their features."""
        statistics = self.term_statistics(question.terms) if self.term_statistics else None
        weights = term_weights(question, statistics.idf if statistics else lambda term: 1.0)
        measured = []
        for piece, candidate in _candidates(evidence):
            features = measure(question, weights, candidate, rank=piece.number)
            if not lacks_condition(question, candidate, features):
                measured.append(MeasuredCandidate(piece, candidate, features))
        return self._cross_encode(question.text, measured) if self.cross_encoder else measured

    def _cross_encode(self, question: str, measured: Sequence[MeasuredCandidate]) -> list[MeasuredCandidate]:
        """Return the best candidates by the other features, with the cross-encoder's log odds."""
        assert self.cross_encoder
        scores = load_quote_models().terms.scores(as_matrix([one.features for one in measured]))
        best = [measured[i] for i in np.argsort(-scores, kind="stable")[:CROSS_ENCODED]]
        chances = self.cross_encoder.score(question, [one.candidate.text_with_context for one in best])
        return [
            one._replace(features=one.features._replace(cross=_log_odds(chance)))
            for one, chance in zip(best, chances, strict=True)
        ]


def _log_odds(probability: float) -> float:
    bounded = min(max(probability, 1e-4), 1 - 1e-4)
    return float(np.log(bounded / (1 - bounded)))


@lru_cache(maxsize=8)
def _find_quotes(extractor: Extractor, question: str, evidence: tuple[Evidence, ...]) -> list[list[Quote]]:
    return [_quotes_of_part(extractor, analyse_question(part), evidence) for part in split_question(question)]


def _quotes_of_part(extractor: Extractor, question: AnalysedQuestion, evidence: Sequence[Evidence]) -> list[Quote]:
    measured = extractor.measure(question, evidence)
    if not measured:
        return []
    model = extractor.model
    scores = model.scores(as_matrix([one.features for one in measured]))
    quotes: list[Quote] = []
    for number in np.argsort(-scores, kind="stable"):
        one, score = measured[number], float(scores[number])
        quote = as_quote(question, one, score=score, probability=model.calibration.probability(score))
        if not any(quote.overlaps(other) or _same(quote.text, other.text) for other in quotes):
            quotes.append(quote)
        if len(quotes) == MAX_QUOTES:
            break
    return quotes


def as_quote(question: AnalysedQuestion, one: MeasuredCandidate, *, score: float = 0.0, probability: float = 0.0) -> Quote:
    """Return a candidate as a quote, without sentences at its ends that the question does not need."""
    candidate = shorten(question, one.candidate)
    return Quote(candidate.text, candidate.start, candidate.end, candidate.channel, one.evidence, probability, score)


def _same(text: str, other: str) -> bool:
    return text.casefold() == other.casefold()


def _candidates(evidence: Sequence[Evidence]) -> Iterable[tuple[Evidence, Candidate]]:
    """Yield the candidates of all clips, each once, with the best clip that holds it."""
    seen: set[tuple[str, float, float, str]] = set()
    for piece in evidence:
        scene = _scene(piece.title, piece.around or piece.spans)
        for candidate in find_candidates(scene, piece.start, piece.end):
            key = (piece.video_id, candidate.start, candidate.end, candidate.text)
            if key not in seen:
                seen.add(key)
                yield piece, candidate


@lru_cache(maxsize=64)
def _scene(title: str, spans: tuple[TextSpan, ...]) -> Scene:
    return Scene.of(title, spans)


DEFAULT_EXTRACTOR = Extractor()
