"""Fit the weights by which quotes are chosen, on questions with known answers about transcripts and on synthetic sentences.

The candidates are those that `rankvideo ask` would choose from. Thresholds are compared on predictions of weights that were
fitted on the questions about other videos.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractor import Extractor, MeasuredCandidate, as_quote
from rankvideo_rag.answering.node_evidence import nodes_to_evidence
from rankvideo_rag.answering.questions import analyse_question, split_question
from rankvideo_rag.answering.quote_model import QuoteModel, as_matrix, load_quote_models
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.eval.answers.quote_fit import (
    FittedWeights,
    LabelledQuestion,
    Prediction,
    as_model,
    calibrate,
    cross_validate,
    fit,
    predict,
)
from rankvideo_rag.eval.benchmarks.answer_rule import Question, is_right_quote, read_questions
from rankvideo_rag.eval.benchmarks.answers import build_archive
from rankvideo_rag.models.text_embedders import load_text_embedder
from rankvideo_rag.ranking.passage_scorer import load_passage_scorer
from rankvideo_rag.ranking.relevance import Platt
from rankvideo_rag.schema import Record, TextChannel, TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic.facts import written_facts, written_signs
from rankvideo_rag.text import query_terms, text_terms

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
MAX_FALSE_ANSWERS = 0.2  # share of the questions without an answer that may get one, at the threshold that is chosen
_OTHERS = 4  # sentences that a synthetic question is asked of beside its own


class OperatingPoint(Record):
    """Outcomes at one threshold. A question of several parts is right if each part is."""

    threshold: float
    right: int
    wrong: int
    false_abstentions: int
    false_answers: int


class QuoteFit(Record):
    """A fitted model and what it answers."""

    model: QuoteModel
    answerable: int
    not_answerable: int
    fitted: list[OperatingPoint]  # on the questions that it was fitted on
    cross_validated: list[OperatingPoint]
    held_out: list[OperatingPoint]  # on another folder; empty without one


class _Part(NamedTuple):
    """One part of a question."""

    question: Question
    labelled: LabelledQuestion


def fit_quotes(
    folder: Path,
    work: Path,
    settings: Settings,
    *,
    held_out: Path | None = None,
    on_question: Callable[[], None] = lambda: None,
) -> QuoteFit:
    """Fit a model on the questions of `folder` and on synthetic sentences, for the text models of the settings.

    The threshold is the lowest at which the cross-validated predictions answer at most `MAX_FALSE_ANSWERS` of the questions
    that have no answer.
    """
    parts = _label(folder, work / folder.name, settings, on_question)
    others = _label(held_out, work / held_out.name, settings, on_question) if held_out else []
    questions = [*(part.labelled for part in parts), *synthetic_questions(settings)]
    described = f"the questions of {folder.name} and the sentences of the synthetic data set"
    weights = fit(questions)
    validated = cross_validate(questions)
    calibration = calibrate(validated, fitted_on=described)
    points = _points(parts, validated[: len(parts)], calibration)
    unanswerable = len({part.question.id for part in parts if not part.question.answerable})
    allowed = [point.threshold for point in points if point.false_answers <= MAX_FALSE_ANSWERS * unanswerable]
    return QuoteFit(
        model=as_model(weights, calibration, min_probability=min(allowed, default=THRESHOLDS[-1]), fitted_on=described),
        answerable=len({part.question.id for part in parts}) - unanswerable,
        not_answerable=unanswerable,
        fitted=_points(parts, _predict(parts, weights), calibration),
        cross_validated=points,
        held_out=_points(others, _predict(others, weights), calibration) if others else [],
    )


def save_model(path: Path, model: QuoteModel, settings: Settings) -> None:
    """Write a model to a file of quote models, in the place of the one for the same text models."""
    models = load_quote_models(path)
    kind = "terms" if settings.text_embedder == "none" else "meaning"
    updated = models.model_copy(update={kind if settings.cross_encoder == "none" else "cross_encoder": model})
    path.write_text(updated.model_dump_json(indent=1) + "\n", encoding="utf-8")


def _label(folder: Path, work: Path, settings: Settings, on_question: Callable[[], None]) -> list[_Part]:
    """Return the parts of all questions with their candidates, each labelled as right or not."""
    parts = []
    with VideoArchive.open(build_archive(folder / "transcripts", work, settings), settings) as archive:
        retriever, reranker, extractor = archive.as_retriever(), archive.as_reranker(), archive.extractor()
        for question in read_questions(folder / "questions.jsonl"):
            nodes = retriever.retrieve(question.question)
            if reranker:
                nodes = reranker.postprocess_nodes(nodes, query_str=question.question)
            evidence = nodes_to_evidence(nodes, archive.store.spans)
            parts += [_part(question, part, evidence, extractor) for part in split_question(question.question)]
            on_question()
    return parts


def _part(question: Question, text: str, evidence: Sequence[Evidence], extractor: Extractor) -> _Part:
    analysed = analyse_question(text)
    measured = extractor.measure(analysed, evidence)
    quotes = [as_quote(analysed, one) for one in measured]
    right = [is_right_quote(question, quote.evidence.path, quote.start, quote.end, quote.text) for quote in quotes]
    video = question.video or (question.lure.video if question.lure else "none")
    return _Part(question, _labelled(video, question.answerable, measured, right))


def _labelled(group: str, answerable: bool, measured: Sequence[MeasuredCandidate], right: Sequence[bool]) -> LabelledQuestion:
    return LabelledQuestion(group, answerable, as_matrix([one.features for one in measured]), np.array(right, dtype=bool))


def _predict(parts: Sequence[_Part], weights: FittedWeights) -> list[Prediction]:
    return [predict(part.labelled, weights) for part in parts]


def _points(parts: Sequence[_Part], predictions: Sequence[Prediction], calibration: Platt) -> list[OperatingPoint]:
    by_question: dict[str, tuple[bool, list[Prediction]]] = {}
    for part, found in zip(parts, predictions, strict=True):
        by_question.setdefault(part.question.id, (part.question.answerable, []))[1].append(found)
    return [_point(list(by_question.values()), calibration, threshold) for threshold in THRESHOLDS]


def _point(questions: Sequence[tuple[bool, list[Prediction]]], calibration: Platt, threshold: float) -> OperatingPoint:
    counts = dict.fromkeys(("right", "wrong", "false_abstentions", "false_answers"), 0)
    for answerable, found in questions:
        shown = [one.right for one in found if calibration.probability(one.score) >= threshold]
        if not answerable:
            counts["false_answers"] += bool(shown)
        elif not shown:
            counts["false_abstentions"] += 1
        else:
            counts["right" if len(shown) == len(found) and all(shown) else "wrong"] += 1
    return OperatingPoint(threshold=threshold, **counts)


class _Sentence(NamedTuple):
    question: str
    text: str
    answer: str
    channel: TextChannel


class _Idf:
    """How rare terms are in some texts, by BM25's formula."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._count = len(texts)
        self._frequencies = Counter(term for text in texts for term in text_terms(text))

    def idf(self, term: str) -> float:
        found = self._frequencies[term]
        return math.log(1 + (self._count - found + 0.5) / (found + 0.5))


def synthetic_questions(settings: Settings) -> list[LabelledQuestion]:
    """Return questions about spoken and written sentences of the synthetic data set, with and without their own sentence.

    The other sentences are those that share most with the question.
    """
    spoken = [_Sentence(one.question, " ".join(one.sentences), one.sentences[0], "speech") for one in written_facts()]
    shown = [_Sentence(one.question, one.text, one.text, "on_screen") for one in written_signs()]
    items = [*spoken, *shown]
    statistics = _Idf([item.text for item in items])
    extractor = Extractor(term_statistics=lambda terms: statistics, **_text_models(settings))
    return [
        _synthetic(item, _similar(item, items, statistics), extractor, answerable=answerable, group=f"synthetic {number % 6}")
        for number, item in enumerate(items)
        for answerable in (True, False)
    ]


def _text_models(settings: Settings) -> dict[str, Any]:
    models: dict[str, Any] = {}
    if settings.text_embedder != "none":
        embedder = load_text_embedder(settings.text_embedder, settings.text_embedder_model, device=settings.device)
        models["embedder"] = lambda: embedder
    if settings.cross_encoder != "none":
        models["cross_encoder"] = load_passage_scorer(
            settings.cross_encoder, settings.cross_encoder_model, device=settings.device
        )
    return models


def _similar(item: _Sentence, items: Sequence[_Sentence], statistics: _Idf) -> list[_Sentence]:
    asked = frozenset(query_terms(item.question))
    others = [one for one in items if one.answer != item.answer]
    return sorted(others, key=lambda one: -sum(map(statistics.idf, asked & set(text_terms(one.text)))))


def _synthetic(
    item: _Sentence, others: Sequence[_Sentence], extractor: Extractor, *, answerable: bool, group: str
) -> LabelledQuestion:
    pieces = [item, *others[:_OTHERS]] if answerable else others[: _OTHERS + 1]
    measured = extractor.measure(analyse_question(item.question), list(starmap(_evidence, enumerate(pieces, start=1))))
    right = [one.evidence.number == 1 and answerable and item.answer in one.candidate.text for one in measured]
    return _labelled(group, answerable, measured, right)


def _evidence(number: int, piece: _Sentence) -> Evidence:
    span = TextSpan(channel=piece.channel, text=piece.text, start=0.0, end=6.0, source="synthetic")
    return Evidence(number, f"video {number}", f"/{number}.mp4", "clip", 0.0, 10.0, (span,))
