"""Randomization test, bootstrap and Holm's correction, compared with enumeration and binomials."""

import itertools
import math
import random

import numpy as np
import pytest

from rankvideo_rag.eval.significance import bootstrap_intervals, holm, paired_difference, permutation_p_value


def binomial_p(wins: int, losses: int) -> float:
    """Two-sided sign test: the randomization test where all differences have the same size."""
    n, far = wins + losses, abs(wins - losses)
    return float(sum(math.comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= far) / 2**n)


@pytest.mark.parametrize("seed", range(5))
def test_p_values_of_few_queries_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    differences = [rng.gauss(0.2, 0.5) for _ in range(9)]
    sums = [
        abs(sum(sign * d for sign, d in zip(signs, differences, strict=True))) for signs in itertools.product((-1, 1), repeat=9)
    ]
    expected = sum(total >= abs(sum(differences)) - 1e-9 for total in sums) / 2**9
    assert permutation_p_value(differences) == pytest.approx(expected)
    assert permutation_p_value([*differences, 0.0, 0.0]) == pytest.approx(expected)  # a query that did not change says nothing


def test_one_or_two_queries_are_never_significant() -> None:
    assert permutation_p_value([0.5]) == 1.0
    assert permutation_p_value([0.5, 0.5]) == 0.5
    assert permutation_p_value([0.1] * 6) == 2 / 64
    assert permutation_p_value([]) == permutation_p_value([0.0, 0.0]) == 1.0


@pytest.mark.parametrize(("wins", "losses"), [(20, 10), (16, 14), (60, 35)])
def test_p_values_of_many_queries_are_near_the_binomial(wins: int, losses: int) -> None:
    differences = [0.1] * wins + [-0.1] * losses
    assert permutation_p_value(differences) == pytest.approx(binomial_p(wins, losses), abs=0.012)
    assert permutation_p_value(differences) == permutation_p_value(differences)
    assert permutation_p_value([-d for d in differences]) == pytest.approx(binomial_p(wins, losses), abs=0.012)


def test_a_p_value_is_never_0() -> None:
    assert permutation_p_value([1.0] * 200, rounds=999) == 1 / 1000


def test_p_values_are_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(5)
    p_values = [permutation_p_value(rng.normal(size=25).tolist(), rounds=500) for _ in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
    assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.08)


def test_the_bootstrap_interval_of_a_share_is_that_of_the_binomial() -> None:
    values = np.array([1.0] * 200 + [0.0] * 200)[:, None]
    ((low, high),) = bootstrap_intervals(values)
    assert (low, high) == pytest.approx((0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025), abs=0.003)


def test_columns_share_their_draws() -> None:
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
