"""Score a report's folder: both runs, the answers of both variants, the reranker, and the stage of every failure."""

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from statistics import fmean

from rankvideo_rag.eval.answers.evaluate import evaluate_answers
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
from rankvideo_rag.eval.answers.records import Case, Reference, make_cases
from rankvideo_rag.eval.measures import DEFAULT_MEASURES, compute_measures
from rankvideo_rag.eval.report.answer_statistics import ScoredAnswers, compare_answers, count_answers
from rankvideo_rag.eval.report.failure_analysis import Trace, classify
from rankvideo_rag.eval.report.folder import ReportInputs
from rankvideo_rag.eval.report.records import (
    VARIANTS,
    ArchiveReport,
    CurvePoint,
    QuestionReport,
    QuestionTimings,
    Variant,
)
from rankvideo_rag.eval.reranking import RerankerReport, RerankingBenefit, evaluate_reranker, summarize_benefit
from rankvideo_rag.eval.retrieval import RetrievalEvaluation, RetrievalReport, evaluate_runs
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.trec import rank_documents

RUNS: dict[Variant, str] = {"without": "without reranking", "with": "with reranking"}
_CURVE_POINTS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)  # videos


def build_report(
    inputs: ReportInputs,
    judgements: JudgementCache,
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
) -> ArchiveReport:
    """Score a folder.

    Args:
        inputs: the folder's contents.
        judgements: a judge's decisions on the answers' claims.
        measures: names of measures as in ir-measures. The first one decides whether reranking helps.

    Raises InputError where runs, relevance judgements, answers and references have no ids in common.
    """
    runs = zip(RUNS.values(), (inputs.first_stage, inputs.reranked), strict=True)
    evaluation = evaluate_runs(runs, inputs.qrels, measures, labels=inputs.labels)
    main = evaluation.report.measures[0]
    reranker = _evaluate_reranker(inputs, main)
    scored = {variant: _score_answers(inputs, judgements, variant) for variant in VARIANTS}
    seconds = _mean_seconds(inputs.timings)
    return ArchiveReport(
        version=version("rankvideo-rag"),
        metadata=inputs.metadata,
        judges=judgements.judges,
        benefit=_benefit(evaluation.report, reranker, seconds["rerank"]),
        retrieval=evaluation.report,
        curve=_curve(inputs, main),
        seconds=seconds,
        calibration=reranker.calibration,
        variance=reranker.variance,
        measures=compare_answers(scored),
        counts={variant: count_answers(scored[variant]) for variant in VARIANTS},
        questions=_question_reports(inputs, evaluation, scored),
        notes=_notes(inputs, evaluation.report, reranker),
    )


def _has_relevant_only(inputs: ReportInputs) -> bool:
    return all(grade >= 1 for grades in inputs.qrels.values() for grade in grades.values())


def _evaluate_reranker(inputs: ReportInputs, measure: str) -> RerankerReport:
    """Evaluate the margins. If only relevant videos are judged, all other scored videos count as not relevant."""
    qrels = inputs.qrels
    if _has_relevant_only(inputs):
        qrels = {query: dict.fromkeys(inputs.margins.get(query, {}), 0) | grades for query, grades in qrels.items()}
    return evaluate_reranker(inputs.margins, inputs.first_stage, qrels, measure=measure)


def _benefit(retrieval: RetrievalReport, reranker: RerankerReport, seconds: float | None) -> RerankingBenefit:
    """Return the conclusion on the run as it was reranked, which may differ from the order of the margins alone."""
    found = retrieval.differences[0]
    before, after = (run.measures[found.measure].mean for run in retrieval.runs)
    return summarize_benefit(
        found,
        measure=found.measure,
        before=before,
        after=after,
        pairs_per_query=reranker.benefit.pairs_per_query,
        seconds_per_query=None if seconds is None else float(f"{seconds:.3g}"),
    )


def _curve(inputs: ReportInputs, measure: str) -> tuple[CurvePoint, ...]:
    """Compute a measure as if fewer videos had been scored: those in the order that they have among all scored ones."""
    rankings = rank_documents(inputs.first_stage)
    most = max(map(len, inputs.margins.values()), default=0)
    points = sorted({*(count for count in _CURVE_POINTS if count < most), most})
    return tuple(
        CurvePoint(videos=count, mean=compute_measures(_reranked(inputs, rankings, count), inputs.qrels, [measure])[measure])
        for count in points
    )


def _reranked(inputs: ReportInputs, rankings: Mapping[str, list[str]], depth: int) -> dict[str, list[str]]:
    reranked = rank_documents(inputs.reranked)
    found = {}
    for query, videos in rankings.items():
        ranks = {video: rank for rank, video in enumerate(reranked.get(query, []))}
        block = sorted(videos[:depth], key=lambda video: ranks.get(video, len(ranks)))
        found[query] = [*block, *videos[depth:]]
    return found


def _score_answers(inputs: ReportInputs, judgements: JudgementCache, variant: Variant) -> ScoredAnswers:
    answers = inputs.answers[variant]
    cases = make_cases(inputs.references, answers)
    report = evaluate_answers(cases, judgements)
    outcomes = judgements.run_batched([partial(classify, _trace(inputs, case), judgements) for case in cases])
    return ScoredAnswers(answers, report, dict(zip(inputs.references, outcomes, strict=True)))


def _trace(inputs: ReportInputs, case: Case) -> Trace:
    query = case.reference.query_id
    baseline = inputs.answers["without"].get(query)
    return Trace(
        case=case,
        targets=_targets(case.reference, inputs.qrels.get(query, {})),
        indexed=inputs.indexed,
        candidates=inputs.margins.get(query) or inputs.first_stage.get(query, {}),
        baseline_videos={clip.video for clip in baseline.clips} if baseline else (),
    )


def _targets(reference: Reference, grades: Mapping[str, int]) -> dict[str, tuple[Moment, ...]]:
    relevant = [video for video, grade in grades.items() if grade >= 1]
    spans = [span for claim in reference.claims for span in claim.spans]
    return {
        video: tuple(span for span in spans if span.video == video) for video in dict.fromkeys([*relevant, *reference.videos])
    }


def _mean_seconds(timings: Sequence[QuestionTimings]) -> dict[str, float | None]:
    """Return the mean of each step; None where it was not timed on every question."""
    means: dict[str, float | None] = {}
    for step in ("retrieve", "rerank", "answer_without", "answer_with"):
        seconds = [value for one in timings if (value := getattr(one, step)) is not None]
        means[step] = fmean(seconds) if seconds and len(seconds) == len(timings) else None
    return means


def _question_reports(
    inputs: ReportInputs, evaluation: RetrievalEvaluation, scored: Mapping[Variant, ScoredAnswers]
) -> tuple[QuestionReport, ...]:
    main, (before, after) = evaluation.report.measures[0], (evaluation.values[name] for name in RUNS.values())
    return tuple(
        QuestionReport(
            query_id=query,
            question=reference.question,
            answerable=reference.answerable,
            gain=after[query][main] - before[query][main] if query in before else None,
            answers={
                variant: answer.display_text if (answer := inputs.answers[variant].get(query)) else None for variant in VARIANTS
            },
            outcomes={variant: scored[variant].outcomes[query] for variant in VARIANTS},
        )
        for query, reference in inputs.references.items()
    )


def _notes(inputs: ReportInputs, retrieval: RetrievalReport, reranker: RerankerReport) -> tuple[str, ...]:
    notes = [*inputs.metadata.notes, *inputs.notes]
    notes += [f"{run.name}: {line}" for run in retrieval.runs for line in run.notes]
    notes += reranker.notes
    if _has_relevant_only(inputs):
        notes.append("only relevant videos are judged: for the calibration, as for nDCG, all others count as not relevant")
    if inputs.indexed is None:
        notes.append("what is indexed is unknown (no indexed.jsonl): videos that are not indexed count as not retrieved")
    for variant in VARIANTS:
        unknown = sum(query not in inputs.references for query in inputs.answers[variant])
        if unknown:
            notes.append(f"{RUNS[variant]}: answers without a reference, not measured: {unknown}")
    return tuple(dict.fromkeys(notes))
