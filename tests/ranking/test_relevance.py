"""Calibrated probabilities of relevance."""

from random import Random

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.bundled import is_foreign, is_outside_vocabulary
from rankvideo_rag.ranking.relevance import MODEL_DECISION, Platt, fit_platt, picture_calibration, sigmoid
from rankvideo_rag.schema import Probe
from rankvideo_rag.synthetic import generate_questions, plan_clips
from rankvideo_rag.synthetic.scenes import FPS, HEIGHT, WIDTH

TINY = "bundled:tiny-reranker"


def test_a_fit_finds_the_slope_and_intercept_that_labels_were_drawn_with() -> None:
    random, true = Random(0), Platt(slope=1.5, intercept=-2.0)
    scores = [random.uniform(-4, 6) for _ in range(4000)]
    labels = [random.random() < true.probability(score) for score in scores]
    found = fit_platt(scores, labels, fitted_on="drawn")
    assert (found.slope, found.intercept) == (pytest.approx(1.5, abs=0.15), pytest.approx(-2.0, abs=0.2))  # type: ignore[comparison-overlap]


def test_separable_scores_give_a_finite_calibration() -> None:
    found = fit_platt([-2.0, -1.0, 1.0, 2.0], [False, False, True, True], fitted_on="four")
    assert found.probability(0.0) == pytest.approx(0.5)
    assert 0.5 < found.probability(2.0) < 1


def test_labels_of_one_kind_and_reversed_scores_are_errors() -> None:
    with pytest.raises(InputError, match="2 right and 0 wrong"):
        fit_platt([1.0, 2.0], [True, True], fitted_on="")
    with pytest.raises(InputError, match="slope"):
        fit_platt([1.0, 2.0, 3.0, 4.0], [True, True, False, False], fitted_on="")


def test_a_model_without_a_calibration_decides_itself() -> None:
    assert picture_calibration("hltcoe/RankVideo") == MODEL_DECISION
    assert MODEL_DECISION.fitted_on is None
    assert MODEL_DECISION.probability(1.25) == pytest.approx(sigmoid(1.25))


def test_the_tiny_reranker_knows_rendered_videos_alone() -> None:
    rendered = Probe(duration=4, width=WIDTH, height=HEIGHT, frame_rate=FPS)
    other = rendered.model_copy(update={"width": 320})
    sound = Probe(duration=4)
    assert [is_foreign(TINY, probe) for probe in (rendered, other, sound)] == [False, True, False]
    assert not is_foreign("hltcoe/RankVideo", other)
    assert not is_foreign(None, other)


def test_the_tiny_reranker_knows_the_words_of_visual_questions_alone() -> None:
    for question in generate_questions(plan_clips(60, seed=9)):
        assert is_outside_vocabulary(TINY, question.text) == (question.channel != "visual"), question.text
    assert not is_outside_vocabulary("hltcoe/RankVideo", "Where is the clean room?")
