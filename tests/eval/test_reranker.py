"""What a reranker is worth: calibration by hand, variance shares by least squares, and the verdict on or off."""

import math
import random
from collections.abc import Mapping

import numpy as np
import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.calibration_error import measure_calibration
from rankvideo_rag.eval.reranking import evaluate_reranker
from rankvideo_rag.eval.variance import explain_variance
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.schema import Score


def logit(p: float) -> float:
    return math.log(p / (1 - p))


# --- calibration ----------------------------------------------------------------------------------------------------


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


def test_stated_bins_hold_their_lower_edge_and_empty_ones_are_left_out() -> None:
    found = measure_calibration([logit(0.2), 0.0, logit(0.9)], [False, True, True], edges=[0, 0.5, 0.6, 0.7, 1])
    assert [(one.pairs, round(one.p_yes, 9)) for one in found.bins] == [(1, 0.2), (1, 0.5), (1, 0.9)]
    assert found.error == pytest.approx((0.2 + 0.5 + 0.1) / 3)


def test_margins_of_any_size_are_calibrated_without_overflow() -> None:
    found = measure_calibration([1e6, -1e6, 800.0, -800.0], [True, False, True, False], bins=2)
    assert found.error == 0.0


def test_pairs_drawn_from_their_own_probabilities_are_calibrated() -> None:
    rng = random.Random(1)
    margins = [rng.gauss(0, 2) for _ in range(20_000)]
    found = measure_calibration(margins, [rng.random() < 1 / (1 + math.exp(-m)) for m in margins], bins=15)
    assert found.error is not None
    assert found.error < 0.02


def test_without_pairs_there_is_no_error_but_a_reason() -> None:
    found = measure_calibration([], [])
    assert (found.error, found.reason) == (None, "no pair has both a margin and a judgement")


@pytest.mark.parametrize("edges", [[0.5], [0, 0.5], [0.1, 1], [0, 0.7, 0.3, 1], [0, 0.5, 0.5, 1]])
def test_bins_that_do_not_part_the_probabilities_are_refused(edges: list[float]) -> None:
    with pytest.raises(InputError, match="run from 0 to 1 and ascend"):
        measure_calibration([0.0], [True], edges=edges)


# --- variance -------------------------------------------------------------------------------------------------------


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


def test_a_reranker_that_scores_the_video_alone_is_found_out_where_the_published_formula_fails() -> None:
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


def test_scores_without_structure_show_about_what_chance_shows() -> None:
    rng = random.Random(3)
    found = explain_variance({f"q{q}": {f"v{rng.randrange(400)}": rng.gauss(0, 1) for _ in range(10)} for q in range(200)})
    assert found.video == pytest.approx(found.video_by_chance, abs=0.05)
    assert found.query == pytest.approx(found.query_by_chance, abs=0.05)


@pytest.mark.parametrize("scores", [{}, {"q": {"v": 1.0}}, {"q": {"v": 1.0, "w": 1.0}}])
def test_where_nothing_varies_there_is_a_reason_and_no_number(scores: dict[str, dict[str, float]]) -> None:
    found = explain_variance(scores)
    assert (found.query, found.additive, found.video_by_chance) == (None, None, None)
    assert found.reason == "fewer than two pairs, or all their scores equal"


# --- on or off ------------------------------------------------------------------------------------------------------


def verdicts(margins: Mapping[str, Mapping[str, float | None]]) -> RelevanceScores:
    return {
        query: {v: Score(status="failed", reason="model: …") if m is None else Score(margin=m) for v, m in of_query.items()}
        for query, of_query in margins.items()
    }


FIRST = {f"q{i}": {"a": 3.0, "b": 2.0, "c": 1.0} for i in range(8)}


def test_reranking_that_lifts_every_query_helps() -> None:
    given = verdicts({query: {"a": -1.0, "b": -2.0, "c": 3.0} for query in FIRST})
    found = evaluate_reranker(given, FIRST, {query: {"c": 1} for query in FIRST}, measure="RR", seconds_per_query=1.5)
    benefit = found.benefit
    assert (benefit.before, benefit.after, benefit.mean) == pytest.approx((1 / 3, 1.0, 2 / 3))
    assert (benefit.p, benefit.conclusion, benefit.better, benefit.pairs_per_query) == (2 / 2**8, "helps", 8, 3.0)
    assert benefit.summary.startswith("Reranking helps: leave it on. RR 0.3333 -> 1.0000, +0.6667")
    assert "3.0 pairs and 1.5 s a query" in benefit.summary


def test_reranking_that_lowers_every_query_hurts_and_four_queries_show_nothing() -> None:
    given = verdicts({query: {"a": -1.0, "b": 2.0, "c": 3.0} for query in FIRST})
    qrels = {query: {"a": 1} for query in FIRST}
    assert evaluate_reranker(given, FIRST, qrels, measure="RR").benefit.conclusion == "hurts"
    few = evaluate_reranker(given, FIRST, {query: {"a": 1} for query in list(FIRST)[:4]}, measure="RR").benefit
    assert (few.conclusion, few.p, few.seconds_per_query) == ("not shown", 0.125, None)
    assert "leave it off, or judge more queries" in few.summary
    assert " s a query" not in few.summary


def test_calibration_takes_judged_pairs_with_a_margin_and_counts_the_others() -> None:
    given = verdicts({"q0": {"a": 0.0, "b": None, "c": 2.0}, "q1": {"a": 1.0}})
    found = evaluate_reranker(given, FIRST, {"q0": {"a": 1, "b": 1}, "q1": {"b": 1}})
    assert (found.calibration.pairs, found.calibration.relevant, found.calibration.error) == (1, 1, 0.5)
    assert found.variance.pairs == 3
    assert "pairs with a margin and without a judgement, not counted in the calibration: 2" in found.notes
    assert "pairs among the first 1000 that could not be scored, put at the end of the reranked block: 1" in found.notes


def test_verdicts_and_judgements_that_do_not_meet_are_an_error() -> None:
    with pytest.raises(InputError, match="no query with predictions is judged"):
        evaluate_reranker(verdicts({"q0": {"a": 1.0}}), FIRST, {"q1": {"a": 1}})
