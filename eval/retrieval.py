"""Measure runs side by side: means with intervals, the effect of ties, and paired differences from the first run."""

from collections.abc import Container, Iterable, Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import DEFAULT_MEASURES, PerQueryValues, compute_per_query
from rankvideo_rag.eval.significance import (
    CONFIDENCE,
    ROUNDS,
    SEED,
    PairedDifference,
    bootstrap_intervals,
    holm,
    paired_difference,
)
from rankvideo_rag.eval.slices import QueryLabels, QuerySlice, slice_queries
from rankvideo_rag.eval.ties import TieBounds, tie_bounds, tied_queries
from rankvideo_rag.formats.trec import Claims, Qrels, TrecRun, rank_documents
from rankvideo_rag.schema import Record

DEFAULT_WITH_CLAIMS = (*DEFAULT_MEASURES, "alpha_nDCG@10", "StRecall@10")


class MeasureEstimate(Record):
    """The mean of a measure over all judged queries."""

    mean: float
    low: float  # bootstrap interval over queries
    high: float
    worst: float | None  # with equal scores in the worst order; None for a measure without known bounds
    best: float | None


class RunMeasures(Record):
    """One run."""

    name: str
    measures: dict[str, MeasureEstimate]
    notes: tuple[str, ...]  # what was counted and what was not


class RunDifference(PairedDifference):
    """A run's measure less the first run's, over the same queries."""

    run: str
    against: str
    measure: str
    p_holm: float  # corrected over the runs that are compared with the first by this measure


class RetrievalReport(Record):
    """Runs compared; the values of each query are in RetrievalEvaluation."""

    queries: int
    measures: tuple[str, ...]
    runs: tuple[RunMeasures, ...]
    differences: tuple[RunDifference, ...]
    slices: tuple[QuerySlice, ...]
    confidence: float = CONFIDENCE
    rounds: int = ROUNDS
    seed: int = SEED


class RetrievalEvaluation(NamedTuple):
    """A report and the values that it summarizes."""

    report: RetrievalReport
    values: dict[str, PerQueryValues]  # by run


def evaluate_runs(
    runs: Iterable[tuple[str, TrecRun]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
    labels: QueryLabels | None = None,
) -> RetrievalEvaluation:
    """Measure named runs against the same judgements, and compare the others with the first.

    `names` are those of `compute_measures`. Every judged query counts in every run, 0 where the run lacks it. Runs are consumed
    one by one, so that only one need be in memory. Raises InputError as `compute_measures` does, and for a repeated run name.
    """
    names = tuple(dict.fromkeys(names))
    values: dict[str, PerQueryValues] = {}
    measured = []
    for name, run in runs:
        if name in values:
            raise InputError(f"two runs are called {name!r}: give each its own name (--run NAME=FILE)")
        values[name] = compute_per_query(rank_documents(run), qrels, names, claims=claims)
        estimates = _estimates(values[name], names, tie_bounds(run, qrels, values[name]))
        notes = (*_query_notes(run, qrels), *(_claim_notes(qrels, claims) if claims is not None else ()))
        measured.append(RunMeasures(name=name, measures=estimates, notes=notes))
    if not values:
        raise InputError("no run was given: there is nothing to measure")
    report = RetrievalReport(
        queries=len(qrels),
        measures=names,
        runs=tuple(measured),
        differences=tuple(difference for name in names for difference in _differences(values, name)),
        slices=slice_queries(labels, values) if labels else (),
    )
    return RetrievalEvaluation(report, values)


def per_query_rows(values: Mapping[str, PerQueryValues]) -> list[dict[str, object]]:
    """Return a row for each query: the values of every run, and the others' differences from the first."""
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


def queries_missing(queries: Iterable[str], known: Container[str]) -> list[str]:
    """Return the queries that are not among the known ones."""
    return [query for query in queries if query not in known]


def queries_without_relevant(qrels: Qrels) -> list[str]:
    """Return the judged queries without a relevant document."""
    return [query for query, grades in qrels.items() if max(grades.values(), default=0) < 1]


def list_queries(found: Mapping[str, Sequence[str]]) -> list[str]:
    """Return a note for each description that has queries: how many, and the first three."""
    return [f"{what}: {len(queries)} ({quote_some(queries)})" for what, queries in found.items() if queries]


def quote_some(names: Sequence[str]) -> str:
    """Return the first three names in quotes, for notes and errors."""
    return ", ".join(map(repr, names[:3])) + (", …" if len(names) > 3 else "")


def _estimates(
    values: PerQueryValues, names: Sequence[str], bounds: Mapping[str, TieBounds | None]
) -> dict[str, MeasureEstimate]:
    table = np.array([[of_query[name] for name in names] for of_query in values.values()], dtype=np.float64)
    found = {}
    for name, column, (low, high) in zip(names, table.T, bootstrap_intervals(table), strict=True):
        worst, best = bounds[name] or (None, None)
        found[name] = MeasureEstimate(mean=fmean(column), low=low, high=high, worst=worst, best=best)
    return found


def _differences(values: Mapping[str, PerQueryValues], name: str) -> list[RunDifference]:
    """Compare every other run with the first by one measure."""
    first, *others = values
    found = [
        paired_difference([values[run][query][name] - values[first][query][name] for query in values[run]]) for run in others
    ]
    corrected = holm([one.p for one in found])
    return [
        RunDifference(**one.model_dump(), run=run, against=first, measure=name, p_holm=p_holm)
        for one, run, p_holm in zip(found, others, corrected, strict=True)
    ]


def _query_notes(run: TrecRun, qrels: Qrels) -> list[str]:
    return list_queries(
        {
            "judged queries that the run lacks, counted 0": queries_missing(qrels, run),
            "judged queries without a relevant document, counted 0": queries_without_relevant(qrels),
            "ranked queries without judgements, not counted": queries_missing(run, qrels),
            "queries in which equal scores leave the order open": tied_queries(run),
        }
    )


def _claim_notes(qrels: Qrels, claims: Claims) -> list[str]:
    unsupported = sum(not documents for of_query in claims.values() for documents in of_query.values())
    notes = list_queries(
        {
            "judged queries without a claim that a document supports, counted 0 by measures of claims": [
                query for query in qrels if not any(claims.get(query, {}).values())
            ],
            "queries with claims and without judgements, not counted": queries_missing(claims, qrels),
        }
    )
    return [*notes, *([f"claims that no document supports, left out: {unsupported}"] if unsupported else [])]
