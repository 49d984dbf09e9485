"""Everything in a report's folder, measured: both runs, both sides' answers, the reranker, and the stage of every wrong answer.

This file reads no files, and asks nobody but the judge of answers that it is given.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from statistics import fmean
from typing import NamedTuple

from rankvideo_rag.eval.answers.evaluate import AnswerReport, evaluate_answers
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
from rankvideo_rag.eval.answers.records import Case, Reference, make_cases
from rankvideo_rag.eval.measures import DEFAULT_MEASURES, compute_measures
from rankvideo_rag.eval.report.estimates import Column, estimates_of, gains_of
from rankvideo_rag.eval.report.failure_analysis import NOT_KNOWN, RIGHT, AnswerOutcome, Trace, classify
from rankvideo_rag.eval.report.folder import ReportInputs
from rankvideo_rag.eval.report.records import (
    VARIANTS,
    AnswerCounts,
    AnswerMeasure,
    ArchiveReport,
    CurvePoint,
    Estimate,
    QuestionReport,
    QuestionTimings,
    Variant,
)
from rankvideo_rag.eval.report.replies import ReportedAnswer
from rankvideo_rag.eval.reranking import RerankerReport, RerankingBenefit, evaluate_reranker, summarize_benefit
from rankvideo_rag.eval.retrieval import RetrievalEvaluation, RetrievalReport, evaluate_runs
from rankvideo_rag.eval.significance import permutation_p_value
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.formats.trec import Qrels, rank_documents
from rankvideo_rag.ranking.scores import rank_by_margin
from rankvideo_rag.schema import Score

RUNS: dict[Variant, str] = {"without": "without reranking", "with": "with reranking"}
RIGHT_ANSWERS = "Right"
_WATCHED = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
_NOT_WATCHED = Score(status="failed", reason="not watched")


class _Answers(NamedTuple):
    """One side's answers, measured."""

    report: AnswerReport
    outcomes: dict[str, AnswerOutcome]  # by query id


def build_report(
    material: ReportInputs, judged: JudgementCache, *, judges: Sequence[str] = (), measures: Sequence[str] = DEFAULT_MEASURES
) -> ArchiveReport:
    """Score a folder. The first of the measures decides whether reranking helps; `judges` names those behind `judged`.

    Raises InputError where runs, judgements, answers and references do not belong together.
    """
    evaluation = evaluate_runs(
        ((RUNS[side], run) for side, run in zip(VARIANTS, (material.first_stage, material.reranked), strict=True)),
        material.qrels,
        measures,
        labels=material.labels,
    )
    retrieval, main = evaluation.report, evaluation.report.measures[0]
    assumed = _names_relevant_only(material.qrels)
    qrels = _filled(material.qrels, material.margins) if assumed else material.qrels
    diagnosis = evaluate_reranker(material.margins, material.first_stage, qrels, measure=main)
    answers = {side: _answers(material, judged, side) for side in VARIANTS}
    seconds = _seconds(material.seconds)
    return ArchiveReport(
        version=version("rankvideo-rag"),
        about=material.about,
        judges=tuple(judges),
        benefit=_benefit(retrieval, diagnosis, seconds["rerank"]),
        retrieval=retrieval,
        curve=_curve(material, main),
        seconds=seconds,
        calibration=diagnosis.calibration,
        variance=diagnosis.variance,
        measures=_measures(answers),
        counts={side: _counts(answers[side], material.replies[side]) for side in VARIANTS},
        questions=_questions(material, evaluation, answers),
        notes=_notes(material, retrieval, diagnosis, assumed=assumed),
    )


def _names_relevant_only(qrels: Qrels) -> bool:
    return all(grade >= 1 for grades in qrels.values() for grade in grades.values())


def _filled(qrels: Qrels, margins: RelevanceScores) -> Qrels:
    """The judgements, with all videos that were watched and not judged taken for not relevant."""
    return {query: dict.fromkeys(margins.get(query, {}), 0) | grades for query, grades in qrels.items()}


def _benefit(retrieval: RetrievalReport, diagnosis: RerankerReport, seconds: float | None) -> RerankingBenefit:
    """The verdict on the run as it was reranked; the diagnosis knows the margins alone."""
    found = retrieval.differences[0]
    before, after = (run.measures[found.measure].mean for run in retrieval.runs)
    return summarize_benefit(
        found,
        measure=found.measure,
        before=before,
        after=after,
        pairs_per_query=diagnosis.benefit.pairs_per_query,
        seconds_per_query=None if seconds is None else float(f"{seconds:.3g}"),
    )


def _curve(material: ReportInputs, main: str) -> tuple[CurvePoint, ...]:
    """The first measure, had only so many videos been watched: by the same margins and the same rule."""
    first = rank_documents(material.first_stage)
    most = max(map(len, material.margins.values()), default=0)
    points = sorted({*(k for k in _WATCHED if k < most), most})
    return tuple(
        CurvePoint(watched=k, mean=compute_measures(_reranked(material, first, k), material.qrels, [main])[main])
        for k in points
    )


def _reranked(material: ReportInputs, first: Mapping[str, list[str]], depth: int) -> dict[str, list[str]]:
    found = {}
    for query, videos in first.items():
        of_query = material.margins.get(query, {})
        block = [of_query.get(video, _NOT_WATCHED) for video in videos[:depth]]
        places = rank_by_margin(block, keep_below=material.about.keep_order_below)
        found[query] = [*(videos[place] for place in places), *videos[depth:]]
    return found


def _answers(material: ReportInputs, judged: JudgementCache, side: Variant) -> _Answers:
    replies = material.replies[side]
    cases = make_cases(material.references, {query: reply.answer for query, reply in replies.items()})
    report = evaluate_answers(cases, judged)
    trails = [_trail(material, case, replies.get(case.reference.query_id)) for case in cases]
    outcomes = judged.settle([partial(classify, trail, judged, watch=judged.watches) for trail in trails])
    return _Answers(report, dict(zip(material.references, outcomes, strict=True)))


def _trail(material: ReportInputs, case: Case, reply: ReportedAnswer | None) -> Trace:
    query = case.reference.query_id
    first = material.replies["without"].get(query)
    return Trace(
        case=case,
        targets=_targets(case.reference, material.qrels.get(query, {})),
        indexed=material.indexed,
        candidates=material.margins.get(query) or material.first_stage.get(query, {}),
        first_shown={clip.video for clip in first.clips} if first else (),
        shown=reply.clips if reply else (),
        seen=reply.seen if reply else frozenset(),
    )


def _targets(reference: Reference, grades: Mapping[str, int]) -> dict[str, tuple[Moment, ...]]:
    videos = [video for video, grade in grades.items() if grade >= 1]
    spans = [span for claim in reference.claims for span in claim.spans]
    return {
        video: tuple(span for span in spans if span.video == video) for video in dict.fromkeys([*videos, *reference.videos])
    }


def _seconds(rows: Sequence[QuestionTimings]) -> dict[str, float | None]:
    """The mean of each step, None where it was not timed on every question."""
    found: dict[str, float | None] = {}
    for step in ("retrieve", "rerank", "without", "with_"):
        taken = [seconds for row in rows if (seconds := getattr(row, step)) is not None]
        found[step.rstrip("_")] = fmean(taken) if taken and len(taken) == len(rows) else None
    return found


def _measures(answers: Mapping[Variant, _Answers]) -> tuple[AnswerMeasure, ...]:
    columns = {side: _columns(answers[side]) for side in VARIANTS}
    estimates = {side: estimates_of(columns[side]) for side in VARIANTS}
    gains = {name: gains_of(columns["without"][name], column) for name, column in columns["with"].items()}
    differences = estimates_of(gains)
    each = [
        AnswerMeasure(
            name=name,
            estimates={side: estimates[side][name] for side in VARIANTS},
            difference=differences[name],
            p=permutation_p_value(list(gains[name].values())) if gains[name] else None,
        )
        for name in gains
    ]
    over_all = [name for name in answers["with"].report.measures if name not in columns["with"]]
    return (*each, *(_over_all(name, answers) for name in over_all))


def _columns(answers: _Answers) -> dict[str, Column]:
    values = answers.report.by_question
    names = dict.fromkeys(name for of_query in values.values() for name in of_query)
    right = {query: float(one.verdict == RIGHT) for query, one in answers.outcomes.items() if one.verdict != NOT_KNOWN}
    columns: dict[str, Column] = {
        name: {query: value for query, of_query in values.items() if (value := of_query[name].value) is not None}
        for name in names
    }
    return {RIGHT_ANSWERS: right} | columns


def _over_all(name: str, answers: Mapping[Variant, _Answers]) -> AnswerMeasure:
    values = {side: answers[side].report.measures[name] for side in VARIANTS}
    before, after = (values[side].value for side in VARIANTS)
    return AnswerMeasure(
        name=name,
        estimates={
            side: Estimate(mean=value.value, questions=answers[side].report.questions, reason=value.reason)
            for side, value in values.items()
        },
        difference=Estimate(
            mean=None if before is None or after is None else after - before,
            questions=answers["with"].report.questions,
            reason="counted over all questions at once",
        ),
        p=None,
    )


def _counts(answers: _Answers, replies: Mapping[str, ReportedAnswer]) -> AnswerCounts:
    report, verdicts = answers.report, Counter(one.verdict for one in answers.outcomes.values())
    stages = Counter(one.stage for one in answers.outcomes.values() if one.stage)
    return AnswerCounts(
        questions=report.questions,
        answerable=report.answerable,
        absent=report.absent,
        verdicts=report.verdicts,
        undecided_verdicts=report.undecided_verdicts,
        not_measured=report.not_measured,
        seen=sum(len(reply.seen) for reply in replies.values()),
        quotes=sum(reply.quotes for reply in replies.values()),
        quotes_found=sum(reply.quotes_found for reply in replies.values()),
        right=verdicts[RIGHT],
        not_known=verdicts[NOT_KNOWN],
        failures=dict(stages),
    )


def _questions(
    material: ReportInputs, evaluation: RetrievalEvaluation, answers: Mapping[Variant, _Answers]
) -> tuple[QuestionReport, ...]:
    main, values = evaluation.report.measures[0], [evaluation.values[RUNS[side]] for side in VARIANTS]
    return tuple(
        QuestionReport(
            query_id=query,
            question=reference.question,
            answerable=reference.answerable,
            gain=values[1][query][main] - values[0][query][main] if query in values[0] else None,
            answers={side: reply.text if (reply := material.replies[side].get(query)) else None for side in VARIANTS},
            outcomes={side: answers[side].outcomes[query] for side in VARIANTS},
        )
        for query, reference in material.references.items()
    )


def _notes(material: ReportInputs, retrieval: RetrievalReport, diagnosis: RerankerReport, *, assumed: bool) -> tuple[str, ...]:
    found = [*material.about.notes, *material.notes]
    found += [f"{run.name}: {line}" for run in retrieval.runs for line in run.notes]
    found += diagnosis.notes
    if assumed:
        found.append("the judgements name relevant videos only: for the calibration, as for nDCG, all others are not relevant")
    if material.indexed is None:
        found.append("what is indexed is not known (no indexed.jsonl): what is not indexed counts as not retrieved")
    for side in VARIANTS:
        strange = sum(query not in material.references for query in material.replies[side])
        if strange:
            found.append(f"{RUNS[side]}: answers without a reference, not measured: {strange}")
    return tuple(dict.fromkeys(found))
