"""Fusing lists, turning log-probabilities into margins, ordering by them. Expected numbers are worked out by hand."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankvideo_rag.ranking.fusion import reciprocal_rank_fusion
from rankvideo_rag.ranking.pointwise import order, score
from rankvideo_rag.schema import Score
from rankvideo_rag.vlm import LabelLogprobs


def test_lists_meet_by_reciprocal_rank_with_weights() -> None:
    fused = reciprocal_rank_fusion({"visual": [7, 8], "speech": [8, 9]}, weights={"visual": 1.0, "speech": 2.0})
    assert [hit.item for hit in fused] == [8, 9, 7]
    assert [hit.score for hit in fused] == pytest.approx([1 / 62 + 2 / 61, 2 / 62, 1 / 61])
    assert fused[0].ranks == {"visual": 2, "speech": 1}


def test_items_of_equal_score_stand_in_order_of_item() -> None:
    assert [hit.item for hit in reciprocal_rank_fusion({"a": [5], "b": [3]}, weights={})] == [3, 5]


def test_no_list_gives_no_item() -> None:
    assert reciprocal_rank_fusion({}, weights={}) == []


def test_the_margin_is_the_difference_of_the_log_probabilities() -> None:
    # P(yes) = .30 + .05 over its variants, P(no) = .10: log(.35 / .10) and .35 / .45.
    found = score(LabelLogprobs((math.log(0.35), math.log(0.10))))
    assert found.margin == pytest.approx(1.252763, abs=5e-7)
    assert found.p_yes == pytest.approx(0.777778, abs=5e-7)


@pytest.mark.parametrize("values", [(-math.inf, -1.0), (-1.0, -math.inf), (math.nan, -1.0), (-math.inf, -math.inf)])
def test_a_margin_that_is_no_number_is_none_with_a_reason(values: tuple[float, float]) -> None:
    found = score(LabelLogprobs(values))
    assert (found.margin, found.p_yes, found.status) == (None, None, "failed")
    assert "no finite margin" in (found.reason or "")


def test_a_judge_that_abstains_is_told_from_one_that_broke() -> None:
    assert score(LabelLogprobs(None, "nothing to say", abstained=True)).status == "abstained"
    assert score(LabelLogprobs(None, "token missing")).status == "failed"


def test_extreme_margins_do_not_overflow() -> None:
    assert score(LabelLogprobs((-800.0, 0.0))).p_yes == 0.0
    assert score(LabelLogprobs((0.0, -800.0))).p_yes == 1.0


@given(st.lists(st.one_of(st.none(), st.floats(-50, 50))))
def test_the_order_is_by_margin_with_the_unscored_last_and_ties_as_they_came(margins: list[float | None]) -> None:
    scores = [Score(margin=m) if m is not None else Score(status="failed", reason="x") for m in margins]
    found = order(scores)
    assert sorted(found) == list(range(len(margins)))
    scored = [margins[i] for i in found if margins[i] is not None]
    assert scored == sorted(scored, key=lambda m: -m)  # type: ignore[operator]
    assert found[len(scored) :] == [i for i, m in enumerate(margins) if m is None]
    for first, second in itertools.pairwise(found):
        assert margins[first] != margins[second] or first < second
