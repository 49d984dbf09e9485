"""Compute all measures of answers over all questions: by question, their means, and counts of what could not be measured.

Measures of claims and citations are computed over the questions that the archive answers; on the others, abstention is
measured.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers import argue
from rankvideo_rag.eval.answers.abstention import abstention_scores
from rankvideo_rag.eval.answers.alce import alce_scores
from rankvideo_rag.eval.answers.correctness import correctness_scores
from rankvideo_rag.eval.answers.judge import Judgement
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
from rankvideo_rag.eval.answers.mirage import mirage_scores
from rankvideo_rag.eval.answers.mirage_original import original_mirage_scores
from rankvideo_rag.eval.answers.nuggets import nugget_scores
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.temporal import temporal_scores
from rankvideo_rag.eval.answers.values import MeasureValue, share
from rankvideo_rag.schema import Record

MICRO = "(micro)"


class EvaluationCounts(Record):
    """What the measures rest on and what they leave out."""

    questions: int
    answerable: int  # questions that the archive answers
    absent: int  # questions without an answer
    judgements: int  # of judges, that the measures rest on
    undecided_by_reason: dict[str, int]  # reason -> judgements without a label
    not_measured: dict[str, dict[str, int]]  # measure -> reason -> questions that are not in its mean


class AnswerReport(NamedTuple):
    """Measures of the answers of one system."""

    measures: dict[str, MeasureValue]  # means over the questions with a value; abstention and (micro): over all at once
    by_question: dict[str, dict[str, MeasureValue]]  # query id -> measure -> value, for questions that the archive answers
    counts: EvaluationCounts


def evaluate_answers(cases: Sequence[Case], judgements: JudgementCache, *, original: bool = False) -> AnswerReport:
    """Measure answers. With a video judge, also MiRAGE against the collection, and citations by what their spans show.

    Args:
        cases: questions with answers and references.
        judgements: the judge's decisions on claims.
        original: also count MiRAGE as its published code does, under names that end in "(original)".

    Raises InputError where there is no case.
    """
    if not cases:
        raise InputError("there is no question to measure")
    answerable = [case for case in cases if case.reference.answerable]
    measured = judgements.run_batched([partial(_measure, case, judgements, original=original) for case in answerable])
    by_question = {case.reference.query_id: one.values for case, one in zip(answerable, measured, strict=True)}
    micro = argue.argue_scores(argue.sum_counts(one.argue_counts for one in measured), average=MICRO)
    counts = EvaluationCounts(
        questions=len(cases),
        answerable=len(answerable),
        absent=sum(case.absent for case in cases),
        judgements=len(judgements.used),
        undecided_by_reason=_undecided(judgements.used.values()),
        not_measured=_not_measured(by_question),
    )
    return AnswerReport(_means(by_question) | micro | abstention_scores(cases), by_question, counts)


def to_json(report: AnswerReport) -> dict[str, Any]:
    """Return the report as `--json` prints it: {measure: value}, and "counts"."""
    counts = report.counts.model_dump() | {"undecided_judgements": sum(report.counts.undecided_by_reason.values())}
    return {name: value.value for name, value in report.measures.items()} | {"counts": counts}


class _Measured(NamedTuple):
    """Measures of one question."""

    values: dict[str, MeasureValue]
    argue_counts: argue.ArgueCounts


def _measure(case: Case, ask: JudgementCache, *, original: bool) -> _Measured:
    counts = argue.argue_counts(case, ask)
    values = mirage_scores(case, ask) | nugget_scores(case, ask) | alce_scores(case, ask) | argue.argue_scores(counts)
    values |= temporal_scores(case) | correctness_scores(case, ask)
    return _Measured(values | original_mirage_scores(case, ask) if original else values, counts)


def _means(by_question: Mapping[str, Mapping[str, MeasureValue]]) -> dict[str, MeasureValue]:
    names = dict.fromkeys(name for values in by_question.values() for name in values)
    means = {
        name: share((values[name].value for values in by_question.values() if name in values), of="questions") for name in names
    }
    missing = MeasureValue(None, "measured on no question")
    return {name: missing if mean.value is None else mean for name, mean in means.items()}


def _undecided(judgements: Iterable[Judgement]) -> dict[str, int]:
    return Counter(judgement.reason or "no reason" for judgement in judgements if judgement.label is None)


def _not_measured(by_question: Mapping[str, Mapping[str, MeasureValue]]) -> Mapping[str, Mapping[str, int]]:
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for values in by_question.values():
        for name, value in values.items():
            if value.value is None:
                found[name][value.reason or "no reason"] += 1
    return dict(found)
