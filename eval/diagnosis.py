"""Does reranking help this corpus, by how much and at what cost; and what do its margins look like?

Needs the extra `eval`. This file reads no files and prints nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.calibration import BINS, Calibration, calibration
from rankvideo_rag.eval.compare import DEPTH, before_and_after, notes_on
from rankvideo_rag.eval.measures import mean_of, measure_each
from rankvideo_rag.eval.significance import CONFIDENCE, bootstrap_means, percentiles, randomisation_p
from rankvideo_rag.eval.variance import VarianceShares, variance_shares
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.schema import Record, Score


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
    verdict: Literal["helps", "hurts", "not shown"]
    pairs_per_query: float  # judged by the reranker, of queries with predictions
    seconds_per_query: float | None  # None: nobody timed it

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        says = {
            "helps": "Reranking helps: leave it on",
            "hurts": "Reranking hurts: switch it off",
            "not shown": "These queries do not show that reranking helps: leave it off, or judge more queries",
        }[self.verdict]
        cost = "" if self.seconds_per_query is None else f" and {self.seconds_per_query:g} s"
        return (
            f"{says}. {self.measure} {self.before:.4f} -> {self.after:.4f}, {self.difference:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}], p = {self.p:.4f}, over {self.queries} queries: "
            f"{self.better} better, {self.worse} worse, {self.equal} equal. "
            f"It costs {self.pairs_per_query:.1f} pairs{cost} a query."
        )


class Diagnosis(Record):
    """All that is known of a reranker on a corpus."""

    benefit: Benefit
    calibration: Calibration  # over pairs with a margin and a judgement
    variance: VarianceShares  # over pairs with a margin
    notes: tuple[str, ...]


def diagnose(
    verdicts: RelevanceScores,
    first_stage: TrecRun,
    qrels: Qrels,
    *,
    measure: str = "nDCG@10",
    depth: int = DEPTH,
    bins: int = BINS,
    edges: Sequence[float] | None = None,
    seconds_per_query: float | None = None,
) -> Diagnosis:
    """Hold a reranker's verdicts against the first stage and the judgements. Orders and raises as compare.compare does."""
    first, after = before_and_after(verdicts, first_stage, depth=depth)
    judged = {query: videos for query, videos in after.items() if query in qrels}
    if not judged:
        raise InputError("no query with predictions is judged: verdicts and qrels do not belong together")
    values = measure_each(first, qrels, [measure]), measure_each(judged, qrels, [measure])
    pairs = sum(len(scores.keys() & set(first[query][:depth])) for query, scores in verdicts.items() if query in first)
    margins = {query: _margins(scores) for query, scores in verdicts.items()}
    return Diagnosis(
        benefit=_benefit(*values, measure, pairs / len(after), seconds_per_query),
        calibration=_calibration(margins, qrels, bins, edges),
        variance=variance_shares(margins),
        notes=(*notes_on(verdicts, first, qrels, depth=depth), *_on_judgements(margins, qrels)),
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
    p = randomisation_p(gains)
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
        verdict="helps" if shown and low > 0 else "hurts" if shown and high < 0 else "not shown",
        pairs_per_query=pairs,
        seconds_per_query=seconds,
    )


def _margins(scores: Mapping[str, Score]) -> dict[str, float]:
    return {video: margin for video, score in scores.items() if (margin := score.margin) is not None}


def _calibration(
    margins: Mapping[str, Mapping[str, float]], qrels: Qrels, bins: int, edges: Sequence[float] | None
) -> Calibration:
    pairs = [
        (margin, qrels[query][video] >= 1)
        for query, of_query in margins.items()
        for video, margin in of_query.items()
        if video in qrels.get(query, {})
    ]
    return calibration([margin for margin, _ in pairs], [relevant for _, relevant in pairs], bins=bins, edges=edges)


def _on_judgements(margins: Mapping[str, Mapping[str, float]], qrels: Qrels) -> list[str]:
    unjudged = sum(video not in qrels.get(query, {}) for query, of_query in margins.items() for video in of_query)
    return [f"pairs with a margin and without a judgement, not counted in the calibration: {unjudged}"] if unjudged else []
