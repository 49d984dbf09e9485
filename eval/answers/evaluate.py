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
from rankvideo_rag.eval.answers.abstention import abstention
from rankvideo_rag.eval.answers.alce import alce
from rankvideo_rag.eval.answers.correctness import correctness
from rankvideo_rag.eval.answers.judgement_cache import Verdicts
from rankvideo_rag.eval.answers.mirage import mirage
from rankvideo_rag.eval.answers.mirage_original import mirage_original
from rankvideo_rag.eval.answers.nuggets import nuggets
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.temporal import temporal
from rankvideo_rag.eval.answers.values import Value

MICRO = "(micro)"


class AnswerReport(NamedTuple):
    """What was measured."""

    measures: dict[str, Value]  # means over the questions on which there is a number; abstention and (micro) over all at once
    by_question: dict[str, dict[str, Value]]  # query id -> measure -> value, of the questions that the archive answers
    not_measured: dict[str, dict[str, int]]  # measure -> reason -> questions that are not in its mean
    questions: int
    answerable: int
    absent: int  # questions without an answer
    verdicts: int  # that all this rests on
    none_verdicts: dict[str, int]  # reason -> verdicts without a label


def evaluate(cases: Sequence[Case], verdicts: Verdicts, *, original: bool = False) -> AnswerReport:
    """Measure answers. With a judge of footage, also MiRAGE against the collection, and citations by what is seen in them.

    `original` adds MiRAGE as its published code counts, under names that end so. Raises InputError where there is no case.
    """
    if not cases:
        raise InputError("there is no question to measure")
    answerable = [case for case in cases if case.reference.answerable]
    measured = verdicts.settle([partial(_of_one, case, verdicts, original=original) for case in answerable])
    return _report(cases, {case.reference.query_id: one for case, one in zip(answerable, measured, strict=True)}, verdicts)


def as_contract(report: AnswerReport) -> dict[str, Any]:
    """The report as `--json` prints it: {measure: value}, and under "counts" what they rest on and leave out."""
    counts = {
        "questions": report.questions,
        "answerable": report.answerable,
        "absent": report.absent,
        "verdicts": report.verdicts,
        "none_verdicts": sum(report.none_verdicts.values()),
        "none_verdicts_by_reason": report.none_verdicts,
        "not_measured": report.not_measured,
    }
    return {name: value.value for name, value in report.measures.items()} | {"counts": counts}


class _Measured(NamedTuple):
    """Of one question."""

    values: dict[str, Value]
    tally: argue.Tally


def _of_one(case: Case, verdicts: Verdicts, *, original: bool) -> _Measured:
    watch = verdicts.watches
    tally = argue.tally(case, verdicts, watch=watch)
    found = mirage(case, verdicts, watch=watch) | nuggets(case, verdicts) | alce(case, verdicts, watch=watch)
    found |= argue.scores(tally) | temporal(case) | correctness(case, verdicts)
    return _Measured(found | mirage_original(case, verdicts, watch=watch) if original else found, tally)


def _report(cases: Sequence[Case], measured: Mapping[str, _Measured], verdicts: Verdicts) -> AnswerReport:
    each = {query: one.values for query, one in measured.items()}
    micro = argue.scores(argue.total([argue.Tally(), *(one.tally for one in measured.values())]), average=MICRO)
    used = verdicts.used.values()
    return AnswerReport(
        measures=_means(each) | micro | abstention(cases),
        by_question=each,
        not_measured=_left_out(each),
        questions=len(cases),
        answerable=len(measured),
        absent=sum(case.absent for case in cases),
        verdicts=len(used),
        none_verdicts=dict(Counter(verdict.reason or "no reason" for verdict in used if verdict.label is None)),
    )


def _means(each: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    names = dict.fromkeys(name for values in each.values() for name in values)
    found = {}
    for name in names:
        known = [value.value for values in each.values() if (value := values.get(name)) and value.value is not None]
        found[name] = Value(math.fsum(known) / len(known)) if known else Value(None, "measured on no question")
    return found


def _left_out(each: Mapping[str, Mapping[str, Value]]) -> dict[str, dict[str, int]]:
    found: dict[str, Counter[str]] = {}
    for values in each.values():
        for name, value in values.items():
            if value.value is None:
                found.setdefault(name, Counter())[value.reason or "no reason"] += 1
    return {name: dict(reasons) for name, reasons in found.items()}
