"""What a run's equal scores leave open: the measures in the worst and in the best order that they allow.

trec_eval orders equal scores by descending document id, other tools otherwise; on runs with many ties that alone can move
nDCG further than any model. This file reads no files.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.eval.measures import compute_per_query, is_bounded_by_grade, mean_of
from rankvideo_rag.formats.trec import Qrels, TrecRun, as_compared

PerQueryValues = Mapping[str, Mapping[str, float]]  # query id -> measure -> value


class TieBounds(NamedTuple):
    """The mean of a measure, however equal scores are ordered."""

    worst: float
    best: float


def tied_queries(run: TrecRun) -> list[str]:
    """The queries in which two documents have scores that are equal to trec_eval."""
    return [query for query, scores in run.items() if any(one == other for one, other in pairwise(sorted(as_compared(scores))))]


def tie_bounds(run: TrecRun, qrels: Qrels, values: PerQueryValues) -> dict[str, TieBounds | None]:
    """Measure -> its bounds, given its value for every judged query; None for one whose extremes a grade does not tell.

    Those of nDCG, RR, AP, R, P and Success: equal documents by grade, ascending for the worst and descending for the best.
    """
    names = list(next(iter(values.values())))
    bounded = [name for name in names if is_bounded_by_grade(name)]
    tied = {query: qrels[query] for query in tied_queries(run) if query in qrels}
    worst, best = ({**values, **_measured(run, tied, bounded, sign)} for sign in (-1, 1))
    return {name: TieBounds(_mean(worst, name), _mean(best, name)) if name in bounded else None for name in names}


def _mean(values: PerQueryValues, name: str) -> float:
    return mean_of([of_query[name] for of_query in values.values()])


def _measured(run: TrecRun, tied: Qrels, names: Sequence[str], sign: int) -> dict[str, dict[str, float]]:
    if not (tied and names):
        return {}
    rankings = {query: _by_score_and_grade(run[query], grades, sign) for query, grades in tied.items()}
    return compute_per_query(rankings, tied, names)


def _by_score_and_grade(scores: Mapping[str, float], grades: Mapping[str, int], sign: int) -> list[str]:
    keys = {
        document: (-score, -sign * max(grades.get(document, 0), 0))
        for document, score in zip(scores, as_compared(scores), strict=True)
    }
    return sorted(keys, key=keys.__getitem__)
