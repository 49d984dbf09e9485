"""Differences that are more than chance: tests against enumeration and binomials, intervals, slices, and the report."""

import itertools
import math
import random
from collections.abc import Iterator

import numpy as np
import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.eval.retrieval import evaluate_runs, per_query_rows
from rankvideo_rag.eval.significance import bootstrap_intervals, holm, paired_difference, permutation_p_value
from rankvideo_rag.eval.slices import NO_LABEL, slice_queries
from rankvideo_rag.formats.trec import Qrels, TrecRun, rank_documents


def binomial_p(wins: int, losses: int) -> float:
    """Two-sided sign test: the randomization test where all differences have the same size."""
    n, far = wins + losses, abs(wins - losses)
    return sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= far) / 2**n


@pytest.mark.parametrize("seed", range(5))
def test_few_queries_are_tested_exactly(seed: int) -> None:
    rng = random.Random(seed)
    differences = [rng.gauss(0.2, 0.5) for _ in range(9)]
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) for signs in itertools.product((-1, 1), repeat=9)
    ]
    expected = sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / 2**9
    assert permutation_p_value(differences) == pytest.approx(expected)
    assert permutation_p_value([*differences, 0.0, 0.0]) == pytest.approx(expected)  # a query that did not change says nothing


def test_by_hand_one_or_two_queries_can_never_be_significant() -> None:
    assert permutation_p_value([0.5]) == 1.0
    assert permutation_p_value([0.5, 0.5]) == 0.5
    assert permutation_p_value([0.1] * 6) == 2 / 64
    assert permutation_p_value([]) == permutation_p_value([0.0, 0.0]) == 1.0


@pytest.mark.parametrize(("wins", "losses"), [(20, 10), (16, 14), (60, 35)])
def test_many_queries_are_tested_by_drawing(wins: int, losses: int) -> None:
    differences = [0.1] * wins + [-0.1] * losses
    assert permutation_p_value(differences) == pytest.approx(binomial_p(wins, losses), abs=0.012)
    assert permutation_p_value(differences) == permutation_p_value(differences)
    assert permutation_p_value([-d for d in differences]) == pytest.approx(binomial_p(wins, losses), abs=0.012)


def test_a_p_value_is_never_0() -> None:
    assert permutation_p_value([1.0] * 200, rounds=999) == 1 / 1000


def test_under_no_difference_p_values_are_spread_evenly() -> None:
    rng = np.random.default_rng(5)
    p_values = [permutation_p_value(rng.normal(size=25).tolist(), rounds=500) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_the_bootstrap_interval_of_a_share_is_that_of_the_binomial() -> None:
    values = np.array([1.0] * 200 + [0.0] * 200)[:, None]
    ((low, high),) = bootstrap_intervals(values)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.003)


def test_columns_share_their_draws_so_that_a_constant_difference_has_no_spread() -> None:
    values = np.random.default_rng(0).random((50, 1))
    first, second = bootstrap_intervals(np.hstack([values, values + 0.25]), rounds=300)
    assert second - first == pytest.approx([0.25, 0.25])
    assert bootstrap_intervals(values, rounds=300)[0] == pytest.approx(first)  # and so do separate calls


def test_a_bootstrap_in_many_batches_has_the_spread_of_the_mean() -> None:
    ((low, high),) = bootstrap_intervals(np.arange(9000.0)[:, None], rounds=1000)  # more draws than are held at once
    error = 9000 / math.sqrt(12) / math.sqrt(9000)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert (low + high) / 2 == pytest.approx(4499.5, abs=error / 4)


@pytest.mark.parametrize("size", [8, 40])
def test_the_bootstrap_interval_is_that_of_resampling_by_hand(size: int) -> None:
    values = np.random.default_rng(size).random(size)
    rng = np.random.default_rng(1)
    means = [rng.choice(values, size=size).mean() for _ in range(20_000)]
    ((low, high),) = bootstrap_intervals(values[:, None])
    assert (low, high) == pytest.approx(np.quantile(means, [0.025, 0.975]).tolist(), abs=0.01)


def test_one_query_has_an_interval_without_width() -> None:
    assert bootstrap_intervals(np.array([[0.25, 1.0]])).tolist() == [[0.25, 0.25], [1.0, 1.0]]


@pytest.mark.parametrize(
    ("differences", "significant", "counts"),
    [
        ([0.5] * 9 + [0.0], True, (9, 0, 1)),
        ([-0.5] * 9 + [0.0], True, (0, 9, 1)),
        ([0.5] * 4, False, (4, 0, 0)),  # p = 2 / 16, though the interval excludes 0
        ([1.0, -1.0] * 10, False, (10, 10, 0)),
    ],
)
def test_a_paired_difference_is_significant_where_test_and_interval_agree(
    differences: list[float], significant: bool, counts: tuple[int, int, int]
) -> None:
    found = paired_difference(differences)
    assert (found.better, found.worse, found.equal) == counts
    assert found.is_significant == significant
    assert found.mean == pytest.approx(sum(differences) / len(differences))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([0.01], [0.01]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x .01, 2 x .03, then no less than that
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, 0.02], [0.04, 0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(given: list[float], expected: list[float]) -> None:
    assert holm(given) == pytest.approx(expected)


# --- slices ---------------------------------------------------------------------------------------------------------


def test_every_query_stands_in_a_slice_and_one_with_two_labels_in_two() -> None:
    values = {"run": {"q1": {"RR": 1.0}, "q2": {"RR": 0.5}, "q3": {"RR": 0.0}}}
    found = slice_queries({"language": {"q1": ("en",), "q2": ("en", "ar"), "strange": ("ko",)}}, values)
    assert [(one.facet, one.label, one.queries, one.means) for one in found] == [
        ("language", "en", 2, {"run": {"RR": 0.75}}),
        ("language", NO_LABEL, 1, {"run": {"RR": 0.0}}),
        ("language", "ar", 1, {"run": {"RR": 0.5}}),
    ]


# --- the report -----------------------------------------------------------------------------------------------------

QRELS: Qrels = {f"q{i}": {"a": 1, "b": 0} for i in range(10)}
BAD: TrecRun = {query: {"b": 2.0, "a": 1.0} for query in QRELS}
GOOD: TrecRun = {query: {"b": 1.0, "a": 2.0} for query in QRELS}


def test_runs_are_held_against_the_first() -> None:
    half = {query: (GOOD if i < 5 else BAD)[query] for i, query in enumerate(QRELS)}
    report = evaluate_runs([("bad", BAD), ("good", GOOD), ("half", half)], QRELS, ["RR"]).report
    assert [run.measures["RR"].mean for run in report.runs] == [0.5, 1.0, 0.75]
    good, half_ = report.differences
    assert (good.run, good.against, good.mean, good.better, good.worse, good.equal) == ("good", "bad", 0.5, 10, 0, 0)
    assert (good.p, good.p_holm) == (2 / 2**10, 4 / 2**10)
    assert (good.low, good.high) == (0.5, 0.5)
    assert (half_.mean, half_.p, half_.p_holm, half_.equal) == (0.25, 2 / 2**5, 2 / 2**5, 5)
    assert half_.low < 0.25 < half_.high


def test_an_interval_holds_its_mean_and_all_queries_count() -> None:
    report = evaluate_runs([("some", {query: GOOD[query] for query in list(QRELS)[:4]})], QRELS, ["RR"]).report
    figure = report.runs[0].measures["RR"]
    assert report.queries == 10
    assert figure.mean == 0.4
    assert figure.low < 0.4 < figure.high
    assert report.runs[0].notes == ("judged queries that the run lacks, counted 0: 6 ('q4', 'q5', 'q6', …)",)


def test_what_does_not_belong_together_is_counted() -> None:
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


def test_means_of_the_report_are_those_of_measure_and_per_query_rows_add_up() -> None:
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


def test_runs_are_taken_one_at_a_time() -> None:
    given: list[str] = []

    def each() -> Iterator[tuple[str, TrecRun]]:
        for name in ("x", "y"):
            given.append(name)
            yield name, dict(GOOD)

    assert [run.name for run in evaluate_runs(each(), QRELS, ["RR"]).report.runs] == given == ["x", "y"]


def test_two_runs_of_one_name_or_none_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="two runs are called 'x'"):
        evaluate_runs([("x", GOOD), ("x", BAD)], QRELS)
    with pytest.raises(InputError, match="no run was given"):
        evaluate_runs([], QRELS)


def test_the_order_of_measures_is_kept_and_one_named_twice_stands_once() -> None:
    assert evaluate_runs([("x", GOOD)], QRELS, ["RR", "AP", "RR"]).report.measures == ("RR", "AP")
