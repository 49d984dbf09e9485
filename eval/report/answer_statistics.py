"""Compare the answers of both variants: means with intervals, paired differences and counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from rankvideo_rag.eval.answers.evaluate import AnswerReport
from rankvideo_rag.eval.answers.records import SystemAnswer
from rankvideo_rag.eval.report.failure_analysis import NOT_KNOWN, RIGHT, AnswerOutcome
from rankvideo_rag.eval.report.records import VARIANTS, AnswerCounts, AnswerMeasure, Estimate, Variant
from rankvideo_rag.eval.significance import bootstrap_intervals, permutation_p_value

RIGHT_ANSWERS = "Right"  # the measure of right answers, as defined in failure_analysis.py
Column = Mapping[str, float]
"""Query id -> value, for the queries that have one."""


class ScoredAnswers(NamedTuple):
    """The answers of one variant with their scores."""

    answers: Mapping[str, SystemAnswer]
    report: AnswerReport
    outcomes: Mapping[str, AnswerOutcome]  # by query id


def compare_answers(scored: Mapping[Variant, ScoredAnswers]) -> tuple[AnswerMeasure, ...]:
    """Return every measure of both variants and its difference, over the questions that have both values."""
    before, after = (_columns(scored[variant]) for variant in VARIANTS)
    by_question = [_compare(name, before[name], column) for name, column in after.items()]
    overall = [_compare_overall(name, scored) for name in scored["with"].report.measures if name not in after]
    return (*by_question, *overall)


def count_answers(scored: ScoredAnswers) -> AnswerCounts:
    """Return what the measures of one variant rest on."""
    answers, statuses = scored.answers.values(), Counter(one.status for one in scored.outcomes.values())
    return AnswerCounts(
        **scored.report.counts.model_dump(),
        visual_statements=sum(statement.visual for answer in answers for statement in answer.statements),
        quotes=sum(answer.quotes for answer in answers),
        verified_quotes=sum(answer.verified_quotes for answer in answers),
        right=statuses[RIGHT],
        not_known=statuses[NOT_KNOWN],
        failures=Counter(one.stage for one in scored.outcomes.values() if one.stage),
    )


def _columns(scored: ScoredAnswers) -> dict[str, Column]:
    """Return the values of each measure on the questions that have one; None is left out."""
    columns: dict[str, dict[str, float]] = {RIGHT_ANSWERS: {}}
    for query, outcome in scored.outcomes.items():
        if outcome.status != NOT_KNOWN:
            columns[RIGHT_ANSWERS][query] = float(outcome.status == RIGHT)
    for query, values in scored.report.by_question.items():
        for name, value in values.items():
            column = columns.setdefault(name, {})
            if value.value is not None:
                column[query] = value.value
    return dict(columns)


def _compare(name: str, before: Column, after: Column) -> AnswerMeasure:
    gains = [value - before[query] for query, value in after.items() if query in before]
    return AnswerMeasure(
        name=name,
        estimates={"without": _estimate([*before.values()]), "with": _estimate([*after.values()])},
        difference=_estimate(gains),
        p=permutation_p_value(gains) if gains else None,
    )


def _estimate(values: Sequence[float]) -> Estimate:
    """Return the mean with its interval. Measures on equally many questions share bootstrap draws."""
    if not values:
        return Estimate(mean=None, reason="measured on no question")
    (low, high), *_ = bootstrap_intervals(np.array(values, dtype=np.float64)[:, None])
    return Estimate(mean=fmean(values), low=low, high=high, questions=len(values))


def _compare_overall(name: str, scored: Mapping[Variant, ScoredAnswers]) -> AnswerMeasure:
    """Compare a measure that is computed over all questions at once."""
    values = {variant: scored[variant].report.measures[name] for variant in VARIANTS}
    before, after = (values[variant].value for variant in VARIANTS)
    return AnswerMeasure(
        name=name,
        estimates={
            variant: Estimate(mean=value.value, questions=scored[variant].report.counts.questions, reason=value.reason)
            for variant, value in values.items()
        },
        difference=Estimate(
            mean=None if before is None or after is None else after - before,
            questions=scored["with"].report.counts.questions,
            reason="computed over all questions at once",
        ),
        p=None,
    )
