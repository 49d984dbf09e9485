"""Bound measures over every order that the equal scores of a run allow.

trec_eval orders equal scores by descending document id, other tools differ; on runs with many ties that alone can move nDCG
further than a better model.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from rankvideo_rag.eval.measures import PerQueryValues, compute_per_query, is_bounded_by_grade
from rankvideo_rag.formats.trec import Qrels, TrecRun, to_float32


class TieBounds(NamedTuple):
    """The mean of a measure with equal scores in the worst and in the best order."""

    worst: float
    best: float


def tied_queries(run: TrecRun) -> list[str]:
    """Return the queries in which two documents have scores that are equal to trec_eval."""
    return [query for query, scores in run.items() if any(one == other for one, other in pairwise(sorted(to_float32(scores))))]


def tie_bounds(run: TrecRun, qrels: Qrels, values: PerQueryValues) -> dict[str, TieBounds | None]:
    """Return each measure's bounds, given its value for every judged query; None for a measure without known extremes.

    Equal documents are ordered by grade, ascending for the worst and descending for the best: see `is_bounded_by_grade`.
    """
    names = list(next(iter(values.values())))
    bounded = [name for name in names if is_bounded_by_grade(name)]
    tied = {query: qrels[query] for query in tied_queries(run) if query in qrels}
    worst, best = ({**values, **_reordered(run, tied, bounded, sign)} for sign in (-1, 1))
    return {name: TieBounds(_mean(worst, name), _mean(best, name)) if name in bounded else None for name in names}


def _mean(values: PerQueryValues, name: str) -> float:
    return fmean(of_query[name] for of_query in values.values())


def _reordered(run: TrecRun, tied: Qrels, names: Sequence[str], sign: int) -> PerQueryValues:
    if not (tied and names):
        return {}
    rankings = {query: _by_score_and_grade(run[query], grades, sign) for query, grades in tied.items()}
    return compute_per_query(rankings, tied, names)


def _by_score_and_grade(scores: Mapping[str, float], grades: Mapping[str, int], sign: int) -> list[str]:
    keys = {
        document: (-score, -sign * max(grades.get(document, 0), 0))
        for document, score in zip(scores, to_float32(scores), strict=True)
    }
    return sorted(keys, key=keys.__getitem__)
