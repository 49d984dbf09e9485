"""Measure what reranking changes: recall and nDCG before and after, whether it helps, and how its margins behave.

RankVideo's evaluation leaves out queries without predictions and queries without a relevant video; here every judged query
counts, and the original's way of counting is computed beside it, so that published numbers can be compared with either.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.calibration_error import BINS, CalibrationReport, measure_calibration
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.eval.retrieval import list_queries, queries_missing, queries_without_relevant, quote_some
from rankvideo_rag.eval.significance import PairedDifference, paired_difference
from rankvideo_rag.eval.variance import VarianceShares, explain_variance
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.ranking.scores import first_stage_order, rerank_by_margin
from rankvideo_rag.schema import Record

CUTOFFS = (5, 10, 20, 50, 100)
MEASURES = tuple(f"{name}@{k}" for name in ("R", "nDCG") for k in CUTOFFS)
DEPTH = 1000  # as in RankVideo's evaluation

Rankings = dict[str, list[str]]  # query -> videos, best first


class StageMeans(NamedTuple):
    """Means over the same queries, measure -> value."""

    queries: int
    first_stage: dict[str, float]
    reranked: dict[str, float]


class StageComparison(NamedTuple):
    """Both stages counted our way and the original's, and what lies between the two."""

    ours: StageMeans  # every query of the qrels; those without predictions count 0 after reranking
    original: StageMeans | None  # queries with predictions and a relevant video only; None where there is none
    notes: tuple[str, ...]


class RerankingBenefit(PairedDifference):
    """Whether reranking helps these queries, by how much and at what cost."""

    measure: str
    queries: int
    before: float
    after: float
    conclusion: Literal["helps", "hurts", "not shown"]
    pairs_per_query: float  # scored by the reranker, of queries with predictions
    seconds_per_query: float | None  # None where it was not timed

    @property
    def summary(self) -> str:
        """The conclusion in sentences."""
        advice = {
            "helps": "Reranking helps: leave it on",
            "hurts": "Reranking hurts: switch it off",
            "not shown": "These queries do not show that reranking helps: leave it off, or judge more queries",
        }[self.conclusion]
        cost = "" if self.seconds_per_query is None else f" and {self.seconds_per_query:g} s"
        return (
            f"{advice}. {self.measure} {self.before:.4f} -> {self.after:.4f}, {self.mean:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}], p = {self.p:.4f}, over {self.queries} queries: "
            f"{self.better} better, {self.worse} worse, {self.equal} equal. "
            f"It costs {self.pairs_per_query:.1f} pairs{cost} a query."
        )


class RerankerReport(Record):
    """What is known of a reranker on a corpus."""

    benefit: RerankingBenefit
    calibration: CalibrationReport  # over pairs with a margin and a judgement
    variance: VarianceShares  # over pairs with a margin
    notes: tuple[str, ...]


def compare_stages(scores: RelevanceScores, first_stage: TrecRun, qrels: Qrels, *, depth: int = DEPTH) -> StageComparison:
    """Measure the first stage, and its first `depth` videos reordered by margin.

    The first stage is ordered by (-score, id), the reranked block by (-margin, -first-stage score, id); pairs without a
    margin end the block in their order, and the rest of the first stage follows.

    Raises InputError when no query of the scores is in the first stage, or none of the first stage in the qrels.
    """
    first, after = _rankings(scores, first_stage, depth)
    relevant = {query: grades for query, grades in qrels.items() if query in after and max(grades.values(), default=0) > 0}
    # No predicted query may be judged: all count 0 then, where `compute_measures` would see files that do not match.
    judged = {query: videos for query, videos in after.items() if query in qrels}
    return StageComparison(
        ours=StageMeans(len(qrels), *(compute_measures(order, qrels, MEASURES) for order in (first, judged))),
        original=StageMeans(len(relevant), *(compute_measures(order, relevant, MEASURES) for order in (first, after)))
        if relevant
        else None,
        notes=_mismatches(scores, first, qrels, depth),
    )


def evaluate_reranker(
    scores: RelevanceScores,
    first_stage: TrecRun,
    qrels: Qrels,
    *,
    measure: str = "nDCG@10",
    depth: int = DEPTH,
    bins: int = BINS,
    edges: Sequence[float] | None = None,
    seconds_per_query: float | None = None,
) -> RerankerReport:
    """Measure a reranker's benefit, calibration and variance. Orders and raises as `compare_stages` does."""
    first, after = _rankings(scores, first_stage, depth)
    judged = {query: videos for query, videos in after.items() if query in qrels}
    if not judged:
        raise InputError("no query with predictions is judged: relevance scores and qrels do not belong together")
    before, reordered = (
        [values[measure] for values in compute_per_query(order, qrels, [measure]).values()] for order in (first, judged)
    )
    pairs = sum(len(of_query.keys() & set(first[query][:depth])) for query, of_query in scores.items() if query in first)
    margins = {query: _margins(scores, query) for query in scores}
    return RerankerReport(
        benefit=summarize_benefit(
            paired_difference([new - old for old, new in zip(before, reordered, strict=True)]),
            measure=measure,
            before=fmean(before),
            after=fmean(reordered),
            pairs_per_query=pairs / len(after),
            seconds_per_query=seconds_per_query,
        ),
        calibration=_calibration(margins, qrels, bins, edges),
        variance=explain_variance(margins),
        notes=(*_mismatches(scores, first, qrels, depth), *_unjudged_pairs(margins, qrels)),
    )


def summarize_benefit(
    difference: PairedDifference,
    *,
    measure: str,
    before: float,
    after: float,
    pairs_per_query: float,
    seconds_per_query: float | None = None,
) -> RerankingBenefit:
    """Draw the conclusion from a paired difference of a measure."""
    shown = "helps" if difference.mean > 0 else "hurts"
    return RerankingBenefit(
        **difference.model_dump(include=set(PairedDifference.model_fields)),
        measure=measure,
        queries=difference.better + difference.worse + difference.equal,
        before=before,
        after=after,
        conclusion=shown if difference.is_significant else "not shown",
        pairs_per_query=pairs_per_query,
        seconds_per_query=seconds_per_query,
    )


def _rankings(scores: RelevanceScores, first_stage: TrecRun, depth: int) -> tuple[Rankings, Rankings]:
    """Return the order of the first stage, and the reranked one of the queries with scores."""
    if not scores.keys() & first_stage.keys():
        scored, found = quote_some(list(scores)), quote_some(list(first_stage))
        raise InputError(f"no query is in both: relevance scores of {scored}, a first stage for {found}")
    first = first_stage_order(first_stage)
    return first, {q: rerank_by_margin(videos, _margins(scores, q), depth=depth) for q, videos in first.items() if q in scores}


def _margins(scores: RelevanceScores, query: str) -> dict[str, float]:
    return {video: margin for video, score in scores[query].items() if (margin := score.margin) is not None}


def _calibration(
    margins: Mapping[str, Mapping[str, float]], qrels: Qrels, bins: int, edges: Sequence[float] | None
) -> CalibrationReport:
    pairs = [
        (margin, qrels[query][video] >= 1)
        for query, of_query in margins.items()
        for video, margin in of_query.items()
        if video in qrels.get(query, {})
    ]
    return measure_calibration([margin for margin, _ in pairs], [relevant for _, relevant in pairs], bins=bins, edges=edges)


def _mismatches(scores: RelevanceScores, first: Rankings, qrels: Qrels, depth: int) -> tuple[str, ...]:
    """Count what of the scores, the first stage and the judgements does not belong together."""
    absent, without_relevant = queries_missing(qrels, first), queries_without_relevant(qrels)
    unpredicted = queries_missing(qrels, {*scores, *absent})
    queries = {
        "judged queries not in the first stage, 0 in both rows": absent,
        "judged queries without predictions, 0 after reranking (the original leaves them out of both rows)": unpredicted,
        "judged queries without a relevant video, 0 in both rows (the original leaves them out)": without_relevant,
        "queries with predictions and without judgements, not counted": queries_missing(scores, qrels),
        "queries with predictions of which none has a margin, left in the first stage's order": [
            query for query in scores if not _margins(scores, query)
        ],
    }
    return (*list_queries(queries), *_mismatched_pairs(scores, first, depth))


def _mismatched_pairs(scores: RelevanceScores, first: Rankings, depth: int) -> list[str]:
    unscored = absent = unknown = deeper = zeros = 0
    for query, of_query in scores.items():
        order = first.get(query, [])
        block, everything = set(order[:depth]), set(order)
        absent += len(block - of_query.keys())
        unknown += len(of_query.keys() - everything)
        deeper += len((of_query.keys() & everything) - block)
        unscored += sum(of_query[video].margin is None for video in of_query.keys() & block)
        zeros += sum((score.reason or "").startswith("zeros") for score in of_query.values())
    counts = {
        f"pairs among the first {depth} that could not be scored, put at the end of the reranked block": unscored,
        f"pairs among the first {depth} without a prediction, put at the end of the reranked block": absent,
        f"predictions on videos below the first {depth}, not used": deeper,
        "predictions on videos that the first stage lacks, not used": unknown,
        "pairs of zeros, which the original would rank as margins of 0.0": zeros,
    }
    return [f"{what}: {count}" for what, count in counts.items() if count]


def _unjudged_pairs(margins: Mapping[str, Mapping[str, float]], qrels: Qrels) -> list[str]:
    unjudged = sum(video not in qrels.get(query, {}) for query, of_query in margins.items() for video in of_query)
    return [f"pairs with a margin and without a judgement, not counted in the calibration: {unjudged}"] if unjudged else []
