"""The archive abstains below a margin threshold."""

import pytest
from support.answering import FixedLLM, answer_of, clip, hit

from rankvideo_rag.answering.abstention import calibrate_margin, is_unanswerable
from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.verification import QUOTED_INSTEAD
from rankvideo_rag.errors import InputError
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


@pytest.mark.parametrize(
    ("margins", "min_margin", "abstains"),
    [([-2.0, -0.5], 0.0, True), ([-2.0, 0.5], 0.0, False), ([-2.0, 0.5], 1.0, True), ([-2.0, None], 0.0, False)],
)
def test_clips_scored_below_the_threshold_do_not_answer(margins: list[float | None], min_margin: float, abstains: bool) -> None:
    shown = [clip(number, margin=margin) for number, margin in enumerate(margins, start=1)]
    assert is_unanswerable("a red disc", shown, min_margin=min_margin) is abstains


def test_no_model_is_called_if_the_archive_does_not_answer() -> None:
    llm = FixedLLM(reply="It is a red disc [1].")
    response = VideoAnswerSynthesizer(llm, min_margin=1.0).synthesize("a red disc", [hit("", rerank_score=0.4)])
    answer = answer_of(response)
    assert (answer.text, llm.prompts) == (NOT_ANSWERED, [])
    assert answer.reason is not None
    assert answer.reason.startswith("no sentence of the 1 clips answers")
    assert answer.reason.endswith("and the best margin, +0.40, is below +1.00")


def test_a_refusal_of_the_model_does_not_decide() -> None:
    response = VideoAnswerSynthesizer(FixedLLM(reply="I cannot help with that.")).synthesize(
        "When does the ferry to Ostrey leave?", [hit("The ferry to Ostrey leaves at nine.")]
    )
    answer = answer_of(response)
    assert answer.text == "“The ferry to Ostrey leaves at nine.” [ferry.mp4 @ 00:00]"
    assert answer.reason == QUOTED_INSTEAD


@pytest.mark.parametrize(
    ("margins", "answerable", "max_error", "threshold"),
    [
        ([-3.0, -1.0, 1.0, 3.0], [False, False, True, True], 0.0, 1.0),
        ([-3.0, -1.0, 1.0, 3.0], [False, True, True, True], 0.0, -1.0),  # a model that answers no too often
        ([-3.0, 2.0, 3.0, 4.0], [True, False, True, True], 0.0, 3.0),
        ([-3.0, 2.0, 3.0, 4.0], [True, False, True, True], 0.25, -3.0),
        ([1.0, 2.0], [True, False], 0.0, None),
    ],
)
def test_the_threshold_is_the_lowest_within_the_error_rate(
    margins: list[float], answerable: list[bool], max_error: float, threshold: float | None
) -> None:
    assert calibrate_margin(margins, answerable, max_error=max_error).min_margin == threshold


def test_calibration_needs_one_label_for_each_margin() -> None:
    with pytest.raises(InputError, match="2 margins and 1 labels"):
        calibrate_margin([1.0, 2.0], [True])
