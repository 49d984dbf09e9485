"""Runs measured side by side: means with intervals, what ties leave open, and paired differences from the first run.

The runs are taken one by one, so that only one need be in memory. This file reads no files and prints nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import DEFAULT_MEASURES, compute_per_query, mean_of
from rankvideo_rag.eval.significance import (
    CONFIDENCE,
    ROUNDS,
    SEED,
    Columns,
    bootstrap_means,
    holm,
    percentiles,
    permutation_p_value,
)
from rankvideo_rag.eval.slices import QueryLabels, QuerySlice, slice_queries
from rankvideo_rag.eval.ties import PerQueryValues, TieBounds, tie_bounds, tied_queries
from rankvideo_rag.formats.trec import Claims, Qrels, TrecRun, rank_documents
from rankvideo_rag.schema import Record

DEFAULT_WITH_CLAIMS = (*DEFAULT_MEASURES, "alpha_nDCG@10", "StRecall@10")


class MeasureEstimate(Record):
    """The mean of a measure over all judged queries."""

    mean: float
    low: float  # bootstrap interval over queries
    high: float
    worst: float | None  # were equal scores ordered otherwise; None for a measure whose extremes cannot be told
    best: float | None


class RunMeasures(Record):
    """One run."""

    name: str
    measures: dict[str, MeasureEstimate]  # by measure
    notes: tuple[str, ...]  # what was counted and what was not


class RunDifference(Record):
    """A run's mean less the first run's, over the same queries."""

    run: str
    against: str
    measure: str
    mean: float
    low: float  # bootstrap interval over queries
    high: float
    p: float  # randomisation test, two-sided
    p_holm: float  # corrected over the runs that are held against the first by this measure
    better: int  # queries
    worse: int
    equal: int


class RetrievalReport(Record):
    """All of it; `values` are kept apart, in RetrievalEvaluation."""

    queries: int
    measures: tuple[str, ...]
    runs: tuple[RunMeasures, ...]
    differences: tuple[RunDifference, ...]
    slices: tuple[QuerySlice, ...]
    confidence: float = CONFIDENCE
    rounds: int = ROUNDS
    seed: int = SEED


class RetrievalEvaluation(NamedTuple):
    """A report and the values it was made of: run -> query -> measure -> value."""

    report: RetrievalReport
    values: dict[str, PerQueryValues]


def evaluate_runs(
    runs: Iterable[tuple[str, TrecRun]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
    labels: QueryLabels | None = None,
) -> RetrievalEvaluation:
    """Measure named runs against the same judgements, and the others against the first. See measures.py for the names.

    Every judged query counts in every run, 0 where the run has it not. Raises InputError as `measure` does, and for a name that
    two runs bear.
    """
    names = tuple(dict.fromkeys(names))
    values: dict[str, PerQueryValues] = {}
    bounds: dict[str, dict[str, TieBounds | None]] = {}
    notes: dict[str, tuple[str, ...]] = {}
    for name, run in runs:
        if name in values:
            raise InputError(f"two runs are called {name!r}: give each its own name (--run NAME=FILE)")
        values[name] = compute_per_query(rank_documents(run), qrels, names, claims=claims)
        bounds[name] = tie_bounds(run, qrels, values[name])
        notes[name] = (*_on_queries(run, qrels), *_on_claims(qrels, claims))
    if not values:
        raise InputError("no run was given: there is nothing to measure")
    tables = {name: _table(by_query, names) for name, by_query in values.items()}
    means = _resampled(tables)
    report = RetrievalReport(
        queries=len(qrels),
        measures=names,
        runs=tuple(
            RunMeasures(name=name, measures=_figures(tables[name], names, means[name], bounds[name]), notes=notes[name])
            for name in values
        ),
        differences=_differences(tables, names, means),
        slices=slice_queries(labels, values) if labels else (),
    )
    return RetrievalEvaluation(report, values)


def per_query_rows(values: Mapping[str, PerQueryValues]) -> list[dict[str, object]]:
    """A row for each query: the values of every run, and the others' differences from the first."""
    first, *others = values
    return [
        {
            "query_id": query,
            "values": {run: dict(values[run][query]) for run in values},
            "differences": {
                run: {name: value - values[first][query][name] for name, value in values[run][query].items()} for run in others
            },
        }
        for query in values[first]
    ]


def _table(by_query: PerQueryValues, names: Sequence[str]) -> Columns:
    return np.array([[of_query[name] for name in names] for of_query in by_query.values()], dtype=np.float64)


def _resampled(tables: Mapping[str, Columns]) -> dict[str, Columns]:
    """Run -> bootstrap means: (rounds, measures). All runs from the same draws of queries, so that they stay paired."""
    means = np.split(bootstrap_means(np.hstack(list(tables.values()))), len(tables), axis=1)
    return dict(zip(tables, means, strict=True))


def _figures(
    table: Columns, names: Sequence[str], means: Columns, bounds: Mapping[str, TieBounds | None]
) -> dict[str, MeasureEstimate]:
    found = {}
    for name, column, (low, high) in zip(names, table.T, percentiles(means), strict=True):
        worst, best = bounds[name] or (None, None)
        found[name] = MeasureEstimate(mean=mean_of(column.tolist()), low=low, high=high, worst=worst, best=best)
    return found


def _differences(
    tables: Mapping[str, Columns], names: Sequence[str], means: Mapping[str, Columns]
) -> tuple[RunDifference, ...]:
    first, *others = tables
    gains = {run: tables[run] - tables[first] for run in others}  # (queries, measures)
    spans = {run: percentiles(means[run] - means[first]) for run in others}
    found = []
    for i, name in enumerate(names):
        p_values = [permutation_p_value(gains[run][:, i].tolist()) for run in others]
        found += [
            RunDifference(
                run=run,
                against=first,
                measure=name,
                mean=mean_of(gains[run][:, i].tolist()),
                low=spans[run][i, 0],
                high=spans[run][i, 1],
                p=p,
                p_holm=p_holm,
                better=int((gains[run][:, i] > 0).sum()),
                worse=int((gains[run][:, i] < 0).sum()),
                equal=int((gains[run][:, i] == 0).sum()),
            )
            for run, p, p_holm in zip(others, p_values, holm(p_values), strict=True)
        ]
    return tuple(found)


def _on_queries(run: TrecRun, qrels: Qrels) -> list[str]:
    found = {
        "judged queries that the run has not, counted 0": [query for query in qrels if query not in run],
        "judged queries without a relevant document, counted 0": [
            query for query, grades in qrels.items() if max(grades.values(), default=0) < 1
        ],
        "ranked queries without judgements, not counted": [query for query in run if query not in qrels],
        "queries in which equal scores leave the order open": tied_queries(run),
    }
    return [f"{what}: {len(queries)} ({_some(queries)})" for what, queries in found.items() if queries]


def _on_claims(qrels: Qrels, claims: Claims | None) -> list[str]:
    if claims is None:
        return []
    unheld = sum(not documents for of_query in claims.values() for documents in of_query.values())
    found = {
        "judged queries without a claim that a document holds, counted 0 by measures of claims": [
            query for query in qrels if not any(claims.get(query, {}).values())
        ],
        "queries with claims and without judgements, not counted": [query for query in claims if query not in qrels],
    }
    notes = [f"{what}: {len(queries)} ({_some(queries)})" for what, queries in found.items() if queries]
    return [*notes, *([f"claims that no document holds, left out: {unheld}"] if unheld else [])]


def _some(queries: Sequence[str]) -> str:
    return ", ".join(repr(query) for query in queries[:3]) + (", …" if len(queries) > 3 else "")
