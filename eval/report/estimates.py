"""Means over questions with their intervals, for columns of which each has numbers on some of the questions. Pure."""

from collections.abc import Mapping

import numpy as np

from rankvideo_rag.eval.measures import mean_of
from rankvideo_rag.eval.report.records import Estimate
from rankvideo_rag.eval.significance import bootstrap_means, percentiles

Column = Mapping[str, float]  # query id -> value, of those on which there is one


def gains_of(before: Column, after: Column) -> Column:
    """What changed, on the questions that have both."""
    return {query: value - before[query] for query, value in after.items() if query in before}


def estimates_of(columns: Mapping[str, Column]) -> dict[str, Estimate]:
    """The mean of each column with its interval; columns over the same questions share their draws."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, column in columns.items():
        alike.setdefault(tuple(column), []).append(name)
    found: dict[str, Estimate] = {}
    for queries, names in alike.items():
        if not queries:
            found |= dict.fromkeys(names, Estimate(mean=None, reason="measured on no question"))
            continue
        table = np.array([[columns[name][query] for name in names] for query in queries], dtype=np.float64)
        for name, column, (low, high) in zip(names, table.T, percentiles(bootstrap_means(table)), strict=True):
            found[name] = Estimate(mean=mean_of(column.tolist()), low=low, high=high, questions=len(queries))
    return found
