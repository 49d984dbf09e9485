"""Shares of variance compared with least squares."""

import random
from collections.abc import Mapping

import numpy as np
import pytest

from rankvideo_rag.eval.variance import explain_variance


def least_squares(scores: Mapping[str, Mapping[str, float]], *, query: bool, video: bool) -> float:
    """R squared by dummy variables."""
    rows = [(q, v, s) for q, of_query in scores.items() for v, s in of_query.items()]
    keys = sorted({("q", q) for q, _, _ in rows if query} | {("v", v) for _, v, _ in rows if video})
    table = np.array([[float(key in (("q", q), ("v", v))) for key in keys] for q, v, _ in rows])
    values = np.array([s for *_, s in rows])
    fit = table @ np.linalg.lstsq(table, values, rcond=None)[0]
    return float(1 - ((values - fit) ** 2).sum() / ((values - values.mean()) ** 2).sum())


@pytest.mark.parametrize(
    ("queries", "videos", "filled"), [(6, 5, 0.6), (12, 20, 0.15), (8, 8, 1.0), (3, 60, 0.4), (25, 25, 0.08)]
)
def test_shares_are_those_of_least_squares_with_pairs_missing(queries: int, videos: int, filled: float) -> None:
    rng = random.Random(queries)
    scores = {
        f"q{q}": {f"v{v}": rng.gauss(0, 1) + 0.3 * q + 0.2 * v for v in range(videos) if rng.random() < filled} | {"v0": 0.5}
        for q in range(queries)
    }
    found = explain_variance(scores)
    assert found.query == pytest.approx(least_squares(scores, query=True, video=False))
    assert found.video == pytest.approx(least_squares(scores, query=False, video=True))
    assert found.additive == pytest.approx(least_squares(scores, query=True, video=True))


def test_scoring_by_video_alone_is_detected_where_the_published_formula_fails() -> None:
    scores = {"q1": {"a": 1.0, "b": 2.0}, "q2": {"b": 2.0, "c": 9.0}, "q3": {"a": 1.0, "c": 9.0, "d": 4.0}}
    found = explain_variance(scores)
    assert found.video == pytest.approx(1.0)
    assert found.additive == pytest.approx(1.0)
    assert found.query is not None
    assert found.query < 0.5
    assert found.published_additive is not None
    assert found.published_additive < 0.9  # mean_q + mean_v - mean counts the videos' effect twice


def test_on_balanced_data_the_published_formula_is_the_least_squares_fit() -> None:
    rng = random.Random(9)
    found = explain_variance({f"q{q}": {f"v{v}": rng.random() for v in range(7)} for q in range(5)})
    assert found.published_additive == pytest.approx(found.additive)
    assert found.query is not None
    assert found.additive == pytest.approx(found.query + (found.video or 0))


def test_shares_of_random_scores_are_near_chance() -> None:
    rng = random.Random(3)
    found = explain_variance({f"q{q}": {f"v{rng.randrange(400)}": rng.gauss(0, 1) for _ in range(10)} for q in range(200)})
    assert found.video == pytest.approx(found.video_by_chance, abs=0.05)
    assert found.query == pytest.approx(found.query_by_chance, abs=0.05)


@pytest.mark.parametrize("scores", [{}, {"q": {"v": 1.0}}, {"q": {"v": 1.0, "w": 1.0}}])
def test_without_variance_there_is_a_reason_instead_of_shares(scores: dict[str, dict[str, float]]) -> None:
    found = explain_variance(scores)
    assert (found.query, found.additive, found.video_by_chance) == (None, None, None)
    assert found.reason == "fewer than two pairs, or all their scores equal"
