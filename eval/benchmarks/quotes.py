"""Fit the weights by which quotes are chosen, on questions with known answers about transcripts.

The candidates are those that `rankvideo ask` would choose from. Thresholds are compared on predictions of weights that were
fitted on the questions about other videos.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

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
from rankvideo_rag.ranking.relevance import Platt
from rankvideo_rag.schema import Record
from rankvideo_rag.settings import Settings

THRESHOLDS = tuple(percent / 100 for percent in range(20, 61))
MAX_FALSE_ANSWERS = 0.2  # share of the questions without an answer that may get one, at the threshold that is chosen


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

    folder: Path
    question: Question
    labelled: LabelledQuestion


def fit_quotes(
    folders: Sequence[Path],
    work: Path,
    settings: Settings,
    *,
    held_out: Path | None = None,
    others: Sequence[LabelledQuestion] = (),
    on_question: Callable[[], None] = lambda: None,
) -> QuoteFit:
    """Fit a model on the questions of the folders and on `others`, for the text models of the settings.

    The figures and the probabilities are those of the questions of the folders. The threshold is the lowest at which the
    cross-validated predictions answer at most `MAX_FALSE_ANSWERS` of those that have no answer.
    """
    parts = [part for folder in folders for part in _label(folder, work, settings, on_question)]
    unseen = _label(held_out, work, settings, on_question) if held_out else []
    questions = [*(part.labelled for part in parts), *others]
    described = f"{len(parts)} questions of {' and '.join(folder.name for folder in folders)}, {len(others)} synthetic ones"
    weights = fit(questions)
    validated = cross_validate(questions)
    calibration = calibrate(validated[: len(parts)], fitted_on=described)
    points = _points(parts, validated[: len(parts)], calibration)
    asked = {(part.folder, part.question.id): part.question.answerable for part in parts}
    unanswerable = sum(not answerable for answerable in asked.values())
    allowed = [point.threshold for point in points if point.false_answers <= MAX_FALSE_ANSWERS * unanswerable]
    return QuoteFit(
        model=as_model(weights, calibration, min_probability=min(allowed, default=THRESHOLDS[-1]), fitted_on=described),
        answerable=len(asked) - unanswerable,
        not_answerable=unanswerable,
        fitted=_points(parts, _predict(parts, weights), calibration),
        cross_validated=points,
        held_out=_points(unseen, _predict(unseen, weights), calibration) if unseen else [],
    )


def save_model(path: Path, model: QuoteModel, settings: Settings) -> None:
    """Write a model to a file of quote models, in the place of the one for the same text models."""
    models = load_quote_models(path)
    updated = models.model_copy(update={"terms" if settings.cross_encoder == "none" else "cross_encoder": model})
    path.write_text(updated.model_dump_json(indent=1) + "\n", encoding="utf-8")
    load_quote_models.cache_clear()


def _label(folder: Path, work: Path, settings: Settings, on_question: Callable[[], None]) -> list[_Part]:
    """Return the parts of all questions with their candidates, each labelled as right or not."""
    parts = []
    place = work / folder.resolve().relative_to("/")
    with VideoArchive.open(build_archive(folder / "transcripts", place, settings), settings) as archive:
        retriever, reranker, extractor = archive.as_retriever(), archive.as_reranker(), archive.extractor()
        for question in read_questions(folder / "questions.jsonl"):
            nodes = retriever.retrieve(question.question)
            if reranker:
                nodes = reranker.postprocess_nodes(nodes, query_str=question.question)
            evidence = nodes_to_evidence(nodes, archive.store.spans)
            parts += [_part(folder, question, part, evidence, extractor) for part in split_question(question.question)]
            on_question()
    return parts


def _part(folder: Path, question: Question, text: str, evidence: Sequence[Evidence], extractor: Extractor) -> _Part:
    analysed = analyse_question(text)
    measured = extractor.measure(analysed, evidence)
    quotes = [as_quote(analysed, one) for one in measured]
    right = [is_right_quote(question, quote.evidence.path, quote.start, quote.end, quote.text) for quote in quotes]
    video = question.video or (question.lure.video if question.lure else "none")
    return _Part(folder, question, label_candidates(f"{folder} {video}", question.answerable, measured, right))


def label_candidates(
    group: str, answerable: bool, measured: Sequence[MeasuredCandidate], right: Sequence[bool]
) -> LabelledQuestion:
    """Return the candidates of a question in the form that weights are fitted on."""
    return LabelledQuestion(group, answerable, as_matrix([one.features for one in measured]), np.array(right, dtype=bool))


def _predict(parts: Sequence[_Part], weights: FittedWeights) -> list[Prediction]:
    return [predict(part.labelled, weights) for part in parts]


def _points(parts: Sequence[_Part], predictions: Sequence[Prediction], calibration: Platt) -> list[OperatingPoint]:
    by_question: dict[tuple[Path, str], tuple[bool, list[Prediction]]] = {}
    for part, found in zip(parts, predictions, strict=True):
        by_question.setdefault((part.folder, part.question.id), (part.question.answerable, []))[1].append(found)
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
