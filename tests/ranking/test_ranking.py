"""Margins, order, windows and what becomes of them, the band of doubt. Expected numbers are made by hand."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.vlm import LabelLogprobs
from rankvideo_rag.ranking.reasoning import MarginBand, Reasoning, calibrate_band, reasoned_share
from rankvideo_rag.ranking.scores import rank_by_margin, score_from_logprobs
from rankvideo_rag.ranking.windows import Span, Windowing, combine_windows, noisy_or, plan_coarse_pass, plan_windows
from rankvideo_rag.schema import Score


def test_the_margin_is_the_difference_of_the_log_probabilities() -> None:
    # P(yes) = .30 + .05 over its variants, P(no) = .10: log(.35 / .10) and .35 / .45.
    found = score_from_logprobs(LabelLogprobs((math.log(0.35), math.log(0.10))))
    assert found.margin == pytest.approx(1.252763, abs=5e-7)
    assert found.p_yes == pytest.approx(0.777778, abs=5e-7)
    assert (found.logprob_yes, found.logprob_no) == (math.log(0.35), math.log(0.10))


@pytest.mark.parametrize("values", [(-math.inf, -1.0), (-1.0, -math.inf), (math.nan, -1.0), (-math.inf, -math.inf)])
def test_a_margin_that_is_no_number_is_none_with_a_reason(values: tuple[float, float]) -> None:
    found = score_from_logprobs(LabelLogprobs(values))
    assert (found.margin, found.p_yes, found.status) == (None, None, "failed")
    assert "no finite margin" in (found.reason or "")


@pytest.mark.parametrize("values", [(), (-1.0,), (-1.0, -2.0, -3.0), (1e308, -1.0), (0.5, -1.0)])
def test_numbers_that_are_no_log_probabilities_of_yes_and_no_give_no_margin(values: tuple[float, ...]) -> None:
    assert score_from_logprobs(LabelLogprobs(values)).status == "failed"


def test_a_pair_without_yes_or_no_does_not_outrank_a_true_negative() -> None:
    # The original gives it the margin 0.0, above every negative one.
    lost = score_from_logprobs(LabelLogprobs(None, "no single token reads as yes"))
    negative = score_from_logprobs(LabelLogprobs((math.log(0.1), math.log(0.9))))
    assert rank_by_margin([lost, negative]) == [1, 0]


def test_a_judge_that_abstains_is_told_from_one_that_broke() -> None:
    assert score_from_logprobs(LabelLogprobs(None, "nothing to say", abstained=True)).status == "abstained"
    assert score_from_logprobs(LabelLogprobs(None, "token missing")).status == "failed"


def test_extreme_margins_do_not_overflow() -> None:
    assert score_from_logprobs(LabelLogprobs((-800.0, 0.0))).p_yes == 0.0
    assert score_from_logprobs(LabelLogprobs((0.0, -800.0))).p_yes == 1.0


@given(st.lists(st.one_of(st.none(), st.floats(-50, 50))))
def test_the_order_is_by_margin_with_the_unscored_last_and_ties_as_they_came(margins: list[float | None]) -> None:
    scores = [Score(margin=m) if m is not None else Score(status="failed", reason="x") for m in margins]
    found = rank_by_margin(scores)
    assert sorted(found) == list(range(len(margins)))
    scored = [margins[i] for i in found if margins[i] is not None]
    assert scored == sorted(scored, key=lambda m: -m)  # type: ignore[operator]
    assert found[len(scored) :] == [i for i, m in enumerate(margins) if m is None]
    for first, second in itertools.pairwise(found):
        assert margins[first] != margins[second] or first < second


# Windows

MARGINS = (-1.0, 3.0, 2.0)


def in_windows(*margins: float | None) -> dict[Span, Score]:
    """Windows of ten seconds with these margins."""
    scores = [Score(margin=m, p_yes=0.5) if m is not None else Score(status="failed", reason="timeout: x") for m in margins]
    return {Span(10.0 * i, 10.0 * (i + 1)): score for i, score in enumerate(scores)}


@pytest.mark.parametrize(
    ("start", "end", "windows", "expected"),
    [
        (0, 90, Windowing(seconds=30), [(0, 30), (30, 60), (60, 90)]),
        (0, 75, Windowing(seconds=30), [(0, 30), (30, 60), (45, 75)]),
        (5, 30, Windowing(seconds=30), [(5, 30)]),
        (0, 30, Windowing(seconds=30), [(0, 30)]),
        (10, 60, Windowing(seconds=20, overlap=5), [(10, 30), (25, 45), (40, 60)]),
        (0, 0.3, Windowing(seconds=0.1), [(0, 0.1), (0.1, 0.2), (0.2, 0.3)]),
        (0, 1000, Windowing(), [(0, 1000)]),
    ],
)
def test_windows_cover_the_clip_and_none_is_short(
    start: float, end: float, windows: Windowing, expected: list[tuple[float, float]]
) -> None:
    assert [tuple(span) for span in plan_windows(start, end, windows)] == [pytest.approx(span) for span in expected]


@given(st.floats(0, 100), st.floats(0.1, 500), st.floats(0.5, 60), st.floats(0, 0.9))
def test_every_moment_of_a_clip_lies_in_a_window(start: float, length: float, seconds: float, share: float) -> None:
    spans = plan_windows(start, start + length, Windowing(seconds=seconds, overlap=share * seconds))
    assert (spans[0].start, spans[-1].end) == pytest.approx((start, start + length), abs=0.002)
    assert all(one.end >= next_one.start - 0.002 for one, next_one in itertools.pairwise(spans))
    if length > seconds:
        assert all(span.end - span.start == pytest.approx(seconds, abs=0.002) for span in spans)


def test_windows_that_overlap_by_their_whole_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap \(10\.0 s\) must be less than seconds \(10\.0 s\)"):
        Windowing(seconds=10, overlap=10)


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        (Windowing(seconds=10), 3.0),
        (Windowing(seconds=10, aggregate="top-mean", top=2), 2.5),
        (Windowing(seconds=10, aggregate="top-mean", top=9), 4 / 3),
        # 1 - (1 - 1/(1+e)) (1 - 1/(1+e^-3)) (1 - 1/(1+e^-2)) = 1 - .731059 * .047426 * .119203 = .995867; odds 240.96
        (Windowing(seconds=10, aggregate="noisy-or"), math.log(0.995867 / 0.004133)),
    ],
)
def test_the_score_of_a_clip_comes_from_its_windows_and_names_the_best(windows: Windowing, expected: float) -> None:
    found = combine_windows(in_windows(*MARGINS), windows)
    assert found.margin == pytest.approx(expected, abs=5e-4)
    assert (found.start, found.end) == (10.0, 20.0)


def test_of_windows_with_one_margin_the_first_is_the_evidence() -> None:
    found = combine_windows(in_windows(2.0, 2.0), Windowing(seconds=10))
    assert (found.start, found.end) == (0.0, 10.0)


def test_a_window_that_failed_is_left_out_and_said() -> None:
    found = combine_windows(in_windows(None, -3.0), Windowing(seconds=10))
    assert (found.margin, found.status, found.start) == (-3.0, "ok", 10.0)
    assert found.reason == "1 of 2 windows not scored, first: timeout: x"
    assert combine_windows(in_windows(None, None), Windowing(seconds=10)) == Score(status="failed", reason="timeout: x")


def test_noisy_or_neither_overflows_nor_loses_small_odds() -> None:
    assert noisy_or([-800.0, -800.0]) == pytest.approx(-800 + math.log(2))
    assert noisy_or([800.0, -800.0]) == pytest.approx(800)
    assert noisy_or([-20.0, -21.0]) == pytest.approx(math.log(math.exp(-20) + math.exp(-21)), rel=1e-6)


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=8))
def test_noisy_or_is_at_least_the_best_and_at_most_their_number_times_as_likely(margins: list[float]) -> None:
    found = noisy_or(margins)
    assert math.isfinite(found)
    assert found >= max(margins) - 1e-6
    if max(margins) < -10:
        assert found <= max(margins) + math.log(len(margins)) + 1e-3


def test_a_coarse_look_costs_no_more_than_its_budget() -> None:
    spans = plan_windows(0, 300, Windowing(seconds=30))
    roomy = plan_coarse_pass(spans, budget=2 * 32, max_frames=32)  # 64 frames for 10 windows: 6 each
    assert (roomy.frames, len(roomy.parts)) == (6, 10)
    tight = plan_coarse_pass(spans, budget=2 * 4, max_frames=4)  # 8 frames for 10 windows: 2 each would be 20, so 3 together
    assert (tight.frames, list(tight.parts)) == (2, [(0, 90), (90, 180), (180, 270), (270, 300)])
    assert [len(windows) for windows in tight.parts.values()] == [3, 3, 3, 1]


@given(st.integers(1, 500), st.integers(1, 20), st.integers(2, 64))
def test_the_budget_of_a_coarse_look_is_kept_for_any_number_of_windows(windows: int, closely: int, frames: int) -> None:
    spans = [Span(float(i), float(i + 1)) for i in range(windows)]
    coarse = plan_coarse_pass(spans, budget=closely * frames, max_frames=frames)
    assert len(coarse.parts) * coarse.frames <= closely * frames
    assert [span for part in coarse.parts.values() for span in part] == spans


# Reasoning


def test_only_margins_inside_the_band_are_in_doubt() -> None:
    auto = Reasoning(mode="auto", band=MarginBand(-2.0, 1.0))
    assert [auto.applies_to(Score(margin=m)) for m in (-2.0, -1.9, 0.0, 0.9, 1.0)] == [False, True, True, True, False]
    assert not auto.applies_to(Score(status="failed", reason="x"))
    assert not Reasoning(band=MarginBand(-2.0, 1.0)).applies_to(Score(margin=0.0))
    assert Reasoning(mode="always").applies_to(Score(margin=50.0))
    assert Reasoning(mode="auto", band=MarginBand(None, None)).applies_to(Score(margin=50.0))


def test_the_band_is_what_lies_between_bounds_beyond_which_errors_are_rare_enough() -> None:
    margins = [-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0]
    relevant = [False, True, False, False, True, False, True, True]
    # Without errors: yes only from 3 on (2.0 is irrelevant), no only up to -4 (-3.0 is relevant).
    assert calibrate_band(margins, relevant, max_error=0.0) == MarginBand(-4.0, 3.0)
    # One in four may be wrong: 1 of 4 at or above 0 is irrelevant, 1 of 4 at or below 0 is relevant: no doubt at all.
    assert calibrate_band(margins, relevant, max_error=0.25) == MarginBand(0.0, 0.0)
    # One in five is stricter than every other bound here: 1 of 3 up to -2, 1 of 2 up to -3, 1 of 3 from 2 on.
    assert calibrate_band(margins, relevant, max_error=0.2) == MarginBand(-4.0, 3.0)


def test_a_side_on_which_no_bound_is_good_enough_has_none() -> None:
    assert calibrate_band([1.0, 2.0, -1.0], [True, False, False], max_error=0.1) == MarginBand(-0.0, None)
    assert calibrate_band([], []) == MarginBand(None, None)


def test_a_band_needs_a_label_for_every_margin() -> None:
    with pytest.raises(InputError, match="2 margins and 1 labels"):
        calibrate_band([1.0, 2.0], [True])
    with pytest.raises(InputError, match=r"max_error = 1\.5"):
        calibrate_band([1.0], [True], max_error=1.5)


def test_the_share_of_pairs_that_reasoned_is_of_those_with_a_verdict() -> None:
    scores = [Score(margin=1.0), Score(margin=0.1, rationale="", tokens=3), Score(status="failed", reason="x")]
    assert reasoned_share(scores) == 0.5
    assert reasoned_share(scores[2:]) is None
