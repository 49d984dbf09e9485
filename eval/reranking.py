"""What reranking changed: recall and nDCG of the first stage and of the reranked order. Needs the extra `eval`.

RankVideo's evaluation leaves out queries without predictions and queries without a relevant video; here every judged query
counts, and its way of counting is computed beside ours, so that published numbers can be compared with either.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.calibration_error import BINS, CalibrationReport, measure_calibration
from rankvideo_rag.eval.measures import compute_measures, compute_per_query, mean_of
from rankvideo_rag.eval.significance import CONFIDENCE, bootstrap_means, percentiles, permutation_p_value
from rankvideo_rag.eval.variance import VarianceShares, explain_variance
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.ranking.scores import first_stage_order, rerank_by_margin
from rankvideo_rag.schema import Record, Score

CUTOFFS = (5, 10, 20, 50, 100)
MEASURES = tuple(f"{name}@{k}" for name in ("R", "nDCG") for k in CUTOFFS)
DEPTH = 1000  # the original's


class StageMeans(NamedTuple):
    """Means over the same queries, measure -> value."""

    queries: int
    first_stage: dict[str, float]
    reranked: dict[str, float]


class RerankingComparison(NamedTuple):
    """Both stages counted our way and the original's, and what lies between the two."""

    ours: StageMeans  # every query of the qrels; those without predictions count 0 after reranking
    original: StageMeans | None  # queries with predictions and a relevant video only; None where there is none
    notes: tuple[str, ...]


class StageRankings(NamedTuple):
    """Query -> videos, best first."""

    first_stage: dict[str, list[str]]
    reranked: dict[str, list[str]]  # queries with predictions only


def compare_reranking(
    verdicts: RelevanceScores, first_stage: TrecRun, qrels: Qrels, *, depth: int = DEPTH
) -> RerankingComparison:
    """Measure the first stage, and the order in which its first `depth` videos stand by margin.

    The first stage is ordered by (-score, id), the reranked block by (-margin, -first-stage score, id); pairs without a
    margin end the block as they stood, and the rest of the first stage follows.

    Raises InputError when no query of the verdicts is in the first stage, or none of the first stage in the qrels.
    """
    first, after = stage_rankings(verdicts, first_stage, depth=depth)
    counted = {query: grades for query, grades in qrels.items() if query in after and max(grades.values(), default=0) > 0}
    return RerankingComparison(
        ours=StageMeans(len(qrels), compute_measures(first, qrels, MEASURES), _measured(after, qrels)),
        original=StageMeans(
            len(counted), compute_measures(first, counted, MEASURES), compute_measures(after, counted, MEASURES)
        )
        if counted
        else None,
        notes=count_mismatches(verdicts, first, qrels, depth=depth),
    )


def stage_rankings(verdicts: RelevanceScores, first_stage: TrecRun, *, depth: int = DEPTH) -> StageRankings:
    """The order of the first stage and, for the queries of the verdicts, the reranked one: see `compare`."""
    if not verdicts.keys() & first_stage.keys():
        raise InputError(f"no query is in both: verdicts on {_some(verdicts)}, a first stage for {_some(first_stage)}")
    first = first_stage_order(first_stage)
    return StageRankings(
        first,
        {query: rerank_by_margin(first[query], _margins(verdicts, query), depth=depth) for query in first if query in verdicts},
    )


def count_mismatches(verdicts: RelevanceScores, first: Mapping[str, list[str]], qrels: Qrels, *, depth: int) -> tuple[str, ...]:
    """What of the verdicts, the first stage and the judgements does not belong together, counted."""
    return (*_on_queries(verdicts, first, qrels), *_on_pairs(verdicts, first, depth))


def _measured(after: Mapping[str, list[str]], qrels: Qrels) -> dict[str, float]:
    # None of them judged: they count 0 as all that are absent do, where `measure` would see two files that do not match.
    return compute_measures({query: videos for query, videos in after.items() if query in qrels}, qrels, MEASURES)


def _margins(verdicts: RelevanceScores, query: str) -> dict[str, float | None]:
    return {video: score.margin for video, score in verdicts[query].items()}


def _on_queries(verdicts: RelevanceScores, first: Mapping[str, list[str]], qrels: Qrels) -> list[str]:
    found = {
        "judged queries not in the first stage, 0 in both rows": [q for q in qrels if q not in first],
        "judged queries without predictions, 0 after reranking (the original leaves them out of both rows)": [
            q for q in qrels if q in first and q not in verdicts
        ],
        "judged queries without a relevant video, 0 in both rows (the original leaves them out)": [
            q for q, grades in qrels.items() if max(grades.values(), default=0) <= 0
        ],
        "queries with predictions and without judgements, not counted": [q for q in verdicts if q not in qrels],
        "queries with predictions of which none has a margin, left in the first stage's order": [
            q for q, scores in verdicts.items() if all(score.margin is None for score in scores.values())
        ],
    }
    return [f"{what}: {len(queries)} ({_some(queries)})" for what, queries in found.items() if queries]


def _on_pairs(verdicts: RelevanceScores, first: Mapping[str, list[str]], depth: int) -> list[str]:
    unscored = absent = strange = deeper = zeros = 0
    for query, scores in verdicts.items():
        order = first.get(query, [])
        block, everything = set(order[:depth]), set(order)
        absent += len(block - scores.keys())
        strange += len(scores.keys() - everything)
        deeper += len((scores.keys() & everything) - block)
        unscored += sum(scores[video].margin is None for video in scores.keys() & block)
        zeros += sum((score.reason or "").startswith("zeros") for score in scores.values())
    found = {
        f"pairs among the first {depth} that could not be scored, put at the end of the reranked block": unscored,
        f"pairs among the first {depth} without a prediction, put at the end of the reranked block": absent,
        f"predictions on videos below the first {depth}, not used": deeper,
        "predictions on videos that the first stage has not, not used": strange,
        "pairs of zeros, which the original would rank as margins of 0.0": zeros,
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def _some(queries: Mapping[str, object] | list[str]) -> str:
    names = list(queries)
    return ", ".join(repr(name) for name in names[:3]) + (", …" if len(names) > 3 else "")


class Benefit(Record):
    """The verdict: on where reranking helps, off where it hurts, or where the queries do not show that it helps."""

    measure: str
    queries: int
    before: float
    after: float
    difference: float
    low: float  # bootstrap interval of the difference
    high: float
    p: float  # randomisation test, two-sided
    better: int  # queries
    worse: int
    equal: int
    conclusion: Literal["helps", "hurts", "not shown"]
    pairs_per_query: float  # judged by the reranker, of queries with predictions
    seconds_per_query: float | None  # None: nobody timed it

    @property
    def summary(self) -> str:
        """The verdict as a sentence."""
        says = {
            "helps": "Reranking helps: leave it on",
            "hurts": "Reranking hurts: switch it off",
            "not shown": "These queries do not show that reranking helps: leave it off, or judge more queries",
        }[self.conclusion]
        cost = "" if self.seconds_per_query is None else f" and {self.seconds_per_query:g} s"
        return (
            f"{says}. {self.measure} {self.before:.4f} -> {self.after:.4f}, {self.difference:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}], p = {self.p:.4f}, over {self.queries} queries: "
            f"{self.better} better, {self.worse} worse, {self.equal} equal. "
            f"It costs {self.pairs_per_query:.1f} pairs{cost} a query."
        )


class RerankerReport(Record):
    """All that is known of a reranker on a corpus."""

    benefit: Benefit
    calibration: CalibrationReport  # over pairs with a margin and a judgement
    variance: VarianceShares  # over pairs with a margin
    notes: tuple[str, ...]


def evaluate_reranker(
    verdicts: RelevanceScores,
    first_stage: TrecRun,
    qrels: Qrels,
    *,
    measure: str = "nDCG@10",
    depth: int = DEPTH,
    bins: int = BINS,
    edges: Sequence[float] | None = None,
    seconds_per_query: float | None = None,
) -> RerankerReport:
    """Hold a reranker's verdicts against the first stage and the judgements. Orders and raises as compare_reranking does."""
    first, after = stage_rankings(verdicts, first_stage, depth=depth)
    judged = {query: videos for query, videos in after.items() if query in qrels}
    if not judged:
        raise InputError("no query with predictions is judged: verdicts and qrels do not belong together")
    values = compute_per_query(first, qrels, [measure]), compute_per_query(judged, qrels, [measure])
    pairs = sum(len(scores.keys() & set(first[query][:depth])) for query, scores in verdicts.items() if query in first)
    margins = {query: _known_margins(scores) for query, scores in verdicts.items()}
    return RerankerReport(
        benefit=_benefit(*values, measure, pairs / len(after), seconds_per_query),
        calibration=_calibration(margins, qrels, bins, edges),
        variance=explain_variance(margins),
        notes=(*count_mismatches(verdicts, first, qrels, depth=depth), *_on_judgements(margins, qrels)),
    )


def _benefit(
    before: Mapping[str, Mapping[str, float]],
    after: Mapping[str, Mapping[str, float]],
    measure: str,
    pairs: float,
    seconds: float | None,
) -> Benefit:
    gains = [after[query][measure] - before[query][measure] for query in before]
    low, high = percentiles(bootstrap_means(np.array(gains)[:, None]))[0]
    p = permutation_p_value(gains)
    shown = p <= 1 - CONFIDENCE
    return Benefit(
        measure=measure,
        queries=len(gains),
        before=mean_of([values[measure] for values in before.values()]),
        after=mean_of([values[measure] for values in after.values()]),
        difference=mean_of(gains),
        low=low,
        high=high,
        p=p,
        better=sum(gain > 0 for gain in gains),
        worse=sum(gain < 0 for gain in gains),
        equal=sum(gain == 0 for gain in gains),
        conclusion="helps" if shown and low > 0 else "hurts" if shown and high < 0 else "not shown",
        pairs_per_query=pairs,
        seconds_per_query=seconds,
    )


def _known_margins(scores: Mapping[str, Score]) -> dict[str, float]:
    return {video: margin for video, score in scores.items() if (margin := score.margin) is not None}


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


def _on_judgements(margins: Mapping[str, Mapping[str, float]], qrels: Qrels) -> list[str]:
    unjudged = sum(video not in qrels.get(query, {}) for query, of_query in margins.items() for video in of_query)
    return [f"pairs with a margin and without a judgement, not counted in the calibration: {unjudged}"] if unjudged else []
