"""Calibration error and reliability bins."""

import math
import random

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.calibration_error import measure_calibration


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_the_calibration_error_by_hand() -> None:
    # Two bins of two pairs: .1 and .3 with none relevant, .6 and .8 with both relevant.
    found = measure_calibration([logit(p) for p in (0.8, 0.1, 0.6, 0.3)], [True, False, True, False], bins=2)
    assert found.error == pytest.approx(0.5 * 0.2 + 0.5 * 0.3)
    assert (found.pairs, found.relevant) == (4, 2)
    assert [(b.pairs, round(b.low, 9), round(b.high, 9), round(b.p_yes, 9), b.relevant) for b in found.bins] == [
        (2, 0.1, 0.3, 0.2, 0.0),
        (2, 0.6, 0.8, 0.7, 1.0),
    ]


def test_bins_hold_equally_many_pairs_and_equal_scores_stay_together() -> None:
    rng = random.Random(0)
    even = measure_calibration([rng.gauss(0, 3) for _ in range(103)], [True] * 103, bins=10)
    assert [one.pairs for one in even.bins] == [10, 10, 10, 11, 10, 10, 11, 10, 10, 11]
    tied = measure_calibration([0.0] * 7 + [1.0] * 3, [True] * 10, bins=5)
    assert [(one.pairs, one.low) for one in tied.bins] == [(7, 0.5), (3, pytest.approx(1 / (1 + math.exp(-1))))]
    assert [one.pairs for one in measure_calibration([2.0, 1.0], [True, False], bins=10).bins] == [1, 1]


def test_given_edges_include_the_lower_one_and_empty_bins_are_left_out() -> None:
    found = measure_calibration([logit(0.2), 0.0, logit(0.9)], [False, True, True], edges=[0, 0.5, 0.6, 0.7, 1])
    assert [(one.pairs, round(one.p_yes, 9)) for one in found.bins] == [(1, 0.2), (1, 0.5), (1, 0.9)]
    assert found.error == pytest.approx((0.2 + 0.5 + 0.1) / 3)


def test_large_margins_do_not_overflow() -> None:
    found = measure_calibration([1e6, -1e6, 800.0, -800.0], [True, False, True, False], bins=2)
    assert found.error == 0.0


def test_pairs_drawn_from_their_own_probabilities_are_calibrated() -> None:
    rng = random.Random(1)
    margins = [rng.gauss(0, 2) for _ in range(20_000)]
    found = measure_calibration(margins, [rng.random() < 1 / (1 + math.exp(-m)) for m in margins], bins=15)
    assert found.error is not None
    assert found.error < 0.02


def test_without_pairs_there_is_a_reason_instead_of_an_error() -> None:
    found = measure_calibration([], [])
    assert (found.error, found.reason) == (None, "no pair has both a margin and a judgement")


@pytest.mark.parametrize("edges", [[0.5], [0, 0.5], [0.1, 1], [0, 0.7, 0.3, 1], [0, 0.5, 0.5, 1]])
def test_invalid_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError, match="run from 0 to 1 and ascend"):
        measure_calibration([0.0], [True], edges=edges)
