"""Means over questions with their intervals, for columns of which each has numbers on some of the questions."""

from collections.abc import Mapping
from statistics import fmean

import numpy as np

from rankvideo_rag.eval.report.records import Estimate
from rankvideo_rag.eval.significance import bootstrap_intervals

Column = Mapping[str, float]  # query id -> value, of those on which there is one


def gains_of(before: Column, after: Column) -> Column:
    """Return what changed, on the questions that have both."""
    return {query: value - before[query] for query, value in after.items() if query in before}


def estimates_of(columns: Mapping[str, Column]) -> dict[str, Estimate]:
    """Return the mean of each column with its interval; columns over equally many questions share their draws."""
    return {name: _estimate(list(column.values())) for name, column in columns.items()}


def _estimate(values: list[float]) -> Estimate:
    if not values:
        return Estimate(mean=None, reason="measured on no question")
    (low, high), *_ = bootstrap_intervals(np.array(values, dtype=np.float64)[:, None])
    return Estimate(mean=fmean(values), low=low, high=high, questions=len(values))
