"""All measures of answers over all questions: per question, their means, and what could not be measured, counted.

Measures of claims and citations are taken over the questions that the archive answers: for the others, abstention is what is
measured. This file reads no files and knows no judges.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers import argue
from rankvideo_rag.eval.answers.abstention import abstention_scores
from rankvideo_rag.eval.answers.alce import alce_scores
from rankvideo_rag.eval.answers.correctness import correctness_scores
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
from rankvideo_rag.eval.answers.mirage import mirage_scores
from rankvideo_rag.eval.answers.mirage_original import original_mirage_scores
from rankvideo_rag.eval.answers.nuggets import nugget_scores
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.temporal import temporal_scores
from rankvideo_rag.eval.answers.values import MeasureValue

MICRO = "(micro)"


class AnswerReport(NamedTuple):
    """What was measured."""

    measures: dict[str, MeasureValue]  # means over questions with a number; abstention and (micro): over all at once
    by_question: dict[str, dict[str, MeasureValue]]  # query id -> measure -> value, of the questions that the archive answers
    not_measured: dict[str, dict[str, int]]  # measure -> reason -> questions that are not in its mean
    questions: int
    answerable: int
    absent: int  # questions without an answer
    verdicts: int  # that all this rests on
    undecided_verdicts: dict[str, int]  # reason -> verdicts without a label


def evaluate_answers(cases: Sequence[Case], verdicts: JudgementCache, *, original: bool = False) -> AnswerReport:
    """Measure answers. With a judge of video, also MiRAGE against the collection, and citations by what is seen in them.

    `original` adds MiRAGE as its published code counts, under names that end so. Raises InputError where there is no case.
    """
    if not cases:
        raise InputError("there is no question to measure")
    answerable = [case for case in cases if case.reference.answerable]
    measured = verdicts.settle([partial(_of_one, case, verdicts, original=original) for case in answerable])
    return _report(cases, {case.reference.query_id: one for case, one in zip(answerable, measured, strict=True)}, verdicts)


def to_json(report: AnswerReport) -> dict[str, Any]:
    """The report as `--json` prints it: {measure: value}, and under "counts" what they rest on and leave out."""
    counts = {
        "questions": report.questions,
        "answerable": report.answerable,
        "absent": report.absent,
        "verdicts": report.verdicts,
        "undecided_verdicts": sum(report.undecided_verdicts.values()),
        "undecided_by_reason": report.undecided_verdicts,
        "not_measured": report.not_measured,
    }
    return {name: value.value for name, value in report.measures.items()} | {"counts": counts}


class _Measured(NamedTuple):
    """Of one question."""

    values: dict[str, MeasureValue]
    tally: argue.ArgueCounts


def _of_one(case: Case, verdicts: JudgementCache, *, original: bool) -> _Measured:
    watch = verdicts.watches
    tally = argue.count_answer(case, verdicts, watch=watch)
    found = (
        mirage_scores(case, verdicts, watch=watch) | nugget_scores(case, verdicts) | alce_scores(case, verdicts, watch=watch)
    )
    found |= argue.argue_scores(tally) | temporal_scores(case) | correctness_scores(case, verdicts)
    return _Measured(found | original_mirage_scores(case, verdicts, watch=watch) if original else found, tally)


def _report(cases: Sequence[Case], measured: Mapping[str, _Measured], verdicts: JudgementCache) -> AnswerReport:
    each = {query: one.values for query, one in measured.items()}
    micro = argue.argue_scores(
        argue.sum_counts([argue.ArgueCounts(), *(one.tally for one in measured.values())]), average=MICRO
    )
    used = verdicts.used.values()
    return AnswerReport(
        measures=_means(each) | micro | abstention_scores(cases),
        by_question=each,
        not_measured=_left_out(each),
        questions=len(cases),
        answerable=len(measured),
        absent=sum(case.absent for case in cases),
        verdicts=len(used),
        undecided_verdicts=dict(Counter(verdict.reason or "no reason" for verdict in used if verdict.label is None)),
    )


def _means(each: Mapping[str, Mapping[str, MeasureValue]]) -> dict[str, MeasureValue]:
    names = dict.fromkeys(name for values in each.values() for name in values)
    found = {}
    for name in names:
        known = [value.value for values in each.values() if (value := values.get(name)) and value.value is not None]
        found[name] = MeasureValue(math.fsum(known) / len(known)) if known else MeasureValue(None, "measured on no question")
    return found


def _left_out(each: Mapping[str, Mapping[str, MeasureValue]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for values in each.values():
        for name, value in values.items():
            if value.value is None:
                found.setdefault(name, Counter())[value.reason or "no reason"] += 1
    return {name: dict(reasons) for name, reasons in found.items()}
