"""Runs measured side by side."""

import random
from collections.abc import Iterator

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.eval.retrieval import evaluate_runs, per_query_rows
from rankvideo_rag.formats.trec import Qrels, TrecRun, rank_documents

QRELS: Qrels = {f"q{i}": {"a": 1, "b": 0} for i in range(10)}


BAD: TrecRun = {query: {"b": 2.0, "a": 1.0} for query in QRELS}


GOOD: TrecRun = {query: {"b": 1.0, "a": 2.0} for query in QRELS}


def test_runs_are_compared_with_the_first() -> None:
    half = {query: (GOOD if i < 5 else BAD)[query] for i, query in enumerate(QRELS)}
    report = evaluate_runs([("bad", BAD), ("good", GOOD), ("half", half)], QRELS, ["RR"]).report
    assert [run.measures["RR"].mean for run in report.runs] == [0.5, 1.0, 0.75]
    good, half_ = report.differences
    assert (good.run, good.against, good.mean, good.better, good.worse, good.equal) == ("good", "bad", 0.5, 10, 0, 0)
    assert (good.p, good.p_holm) == (2 / 2**10, 4 / 2**10)
    assert (good.low, good.high) == (0.5, 0.5)
    assert (half_.mean, half_.p, half_.p_holm, half_.equal) == (0.25, 2 / 2**5, 2 / 2**5, 5)
    assert half_.low < 0.25 < half_.high


def test_an_interval_contains_its_mean_and_all_queries_count() -> None:
    report = evaluate_runs([("some", {query: GOOD[query] for query in list(QRELS)[:4]})], QRELS, ["RR"]).report
    figure = report.runs[0].measures["RR"]
    assert report.queries == 10
    assert figure.mean == 0.4
    assert figure.low < 0.4 < figure.high
    assert report.runs[0].notes == ("judged queries that the run lacks, counted 0: 6 ('q4', 'q5', 'q6', …)",)


def test_mismatched_inputs_are_noted() -> None:
    qrels = {**QRELS, "hopeless": {"a": 0}}
    run = {**GOOD, "q0": {"a": 1.0, "b": 1.0}, "unjudged": {"a": 1.0}, "hopeless": {"a": 1.0}}
    claims = {"q0": {"s": frozenset("a"), "t": frozenset()}, "strange": {"s": frozenset("a")}}
    report = evaluate_runs([("run", run)], qrels, ["RR", "StRecall@5"], claims=claims).report
    assert report.runs[0].notes == (
        "judged queries without a relevant document, counted 0: 1 ('hopeless')",
        "ranked queries without judgements, not counted: 1 ('unjudged')",
        "queries in which equal scores leave the order open: 1 ('q0')",
        "judged queries without a claim that a document supports, counted 0 by measures of claims: 10 ('q1', 'q2', 'q3', …)",
        "queries with claims and without judgements, not counted: 1 ('strange')",
        "claims that no document supports, left out: 1",
    )
    figure = report.runs[0].measures["RR"]
    assert (figure.mean, figure.worst, figure.best) == pytest.approx((9.5 / 11, 9.5 / 11, 10 / 11))


def test_report_means_equal_compute_measures_and_per_query_rows() -> None:
    rng = random.Random(4)
    qrels = {f"q{i}": {f"d{j}": rng.randint(0, 3) for j in range(12)} for i in range(25)}
    runs = {name: {q: {d: rng.random() for d in docs if rng.random() < 0.7} for q, docs in qrels.items()} for name in "xy"}
    names = ["nDCG@10", "R@5", "AP"]
    found = evaluate_runs(runs.items(), qrels, names)
    for run in found.report.runs:
        means = {name: figure.mean for name, figure in run.measures.items()}
        assert means == pytest.approx(compute_measures(rank_documents(runs[run.name]), qrels, names))
        assert found.values[run.name] == compute_per_query(rank_documents(runs[run.name]), qrels, names)
    rows = per_query_rows(found.values)
    assert [row["query_id"] for row in rows] == list(qrels)
    gains = [row["differences"]["y"]["AP"] for row in rows]  # type: ignore[index]
    assert sum(gains) / 25 == pytest.approx(next(d.mean for d in found.report.differences if d.measure == "AP"))


def test_runs_are_consumed_one_by_one() -> None:
    given: list[str] = []

    def each() -> Iterator[tuple[str, TrecRun]]:
        for name in ("x", "y"):
            given.append(name)
            yield name, dict(GOOD)

    assert [run.name for run in evaluate_runs(each(), QRELS, ["RR"]).report.runs] == given == ["x", "y"]


def test_repeated_run_names_and_no_run_are_refused() -> None:
    with pytest.raises(InputError, match="two runs are called 'x'"):
        evaluate_runs([("x", GOOD), ("x", BAD)], QRELS)
    with pytest.raises(InputError, match="no run was given"):
        evaluate_runs([], QRELS)


def test_measures_keep_their_order_without_repetition() -> None:
    assert evaluate_runs([("x", GOOD)], QRELS, ["RR", "AP", "RR"]).report.measures == ("RR", "AP")
