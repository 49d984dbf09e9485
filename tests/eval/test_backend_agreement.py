"""Whether two backends give the same margins."""

from collections.abc import Sequence

import numpy as np
import pytest
from support.fake_server import serving

from rankvideo_rag.eval.backend_agreement import PairAgreement, compare_backends, summarize_agreement
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt, load_vlm


class Fixed:
    """Gives the margins it was made with; reads the tokens it was made with."""

    def __init__(self, name: str, margins: Sequence[float | None], tokens: Sequence[int] | None = (1, 2)) -> None:
        self.name = name
        self._margins = margins
        self._tokens = tokens

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        return [LabelLogprobs(None, "broken") if m is None else LabelLogprobs((m - 1.0, -1.0)) for m in self._margins]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        raise NotImplementedError

    def token_ids(self, prompt: Prompt) -> Sequence[int] | None:
        return self._tokens


PROMPTS = [Prompt("", (f"question {n}",)) for n in range(3)]


LABELS = ("yes", "no")


def pairs(first: Sequence[float], second: Sequence[float]) -> list[PairAgreement]:
    return [PairAgreement(first=a, second=b, difference=abs(a - b)) for a, b in zip(first, second, strict=True)]


def test_the_largest_difference_and_the_order_decide() -> None:
    found = compare_backends(Fixed("a", [1.0, 2.0, 3.0]), Fixed("b", [1.0, 2.01, 2.5]), PROMPTS, LABELS, tolerance=0.02)
    assert found.largest == pytest.approx(0.5)
    assert (found.agree, found.order_identical, found.tokens) == (False, True, "same")
    assert found.reasons == ("the largest difference, 0.5, exceeds the tolerance of 0.02",)


def test_equal_within_the_tolerance_is_agreement() -> None:
    found = compare_backends(Fixed("a", [1.0, 2.0, 3.0]), Fixed("b", [1.01, 2.0, 2.99]), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.reasons) == (True, ())


def test_near_ties_may_change_places() -> None:
    found = summarize_agreement("a", "b", pairs([1.0, 1.001], [1.001, 1.0]), tolerance=0.02)
    assert (found.agree, found.order_identical) == (True, False)


def test_pairs_beyond_the_tolerance_must_keep_their_order() -> None:
    found = summarize_agreement("a", "b", pairs([1.0, 1.5, 9.0], [1.5, 1.0, 9.0]), tolerance=0.4)
    assert not found.agree
    assert "1 times two pairs change places" in " ".join(found.reasons)


def test_different_tokens_are_a_difference_despite_equal_margins() -> None:
    found = compare_backends(Fixed("a", [1.0] * 3), Fixed("b", [1.0] * 3, tokens=(1, 7, 2)), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.tokens) == (False, "different")
    assert "different tokens in 3 pairs" in found.reasons[0]


def test_unreported_tokens_are_not_compared() -> None:
    found = compare_backends(Fixed("a", [1.0] * 3), Fixed("b", [1.0] * 3, tokens=None), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.tokens) == (True, "unknown")


def test_a_margin_from_one_backend_only_is_a_difference() -> None:
    found = compare_backends(Fixed("a", [1.0, 2.0, None]), Fixed("b", [1.0, None, None]), PROMPTS, LABELS, tolerance=0.02)
    assert not found.agree
    assert found.reasons == ("1 pairs have a margin from one of them only",)
    assert found.pairs[1].second_reason == "broken"


def test_two_backends_that_score_nothing_do_not_agree() -> None:
    found = compare_backends(Fixed("a", [None] * 3), Fixed("b", [None] * 3), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.largest) == (False, None)


def test_a_black_video_is_compared_like_any_other() -> None:
    black = Prompt("", (Frames(np.zeros((2, 32, 32, 3), np.uint8), np.array([0.0, 1.0])), "Query: a red circle"))
    with serving() as server:
        found = compare_backends(load_vlm("scripted"), load_vlm("server", server.address), [black], LABELS, tolerance=10)
    assert found.agree
