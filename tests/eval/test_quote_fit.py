"""Weights of quotes: fitted on labelled candidates, and predictions on other groups."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rankvideo_rag.answering.features import Features
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.quote_fit import LabelledQuestion, Prediction, as_model, calibrate, cross_validate, fit, predict

OWN, SCENE = Features._fields.index("own"), Features._fields.index("scene")


def question(group: str, own: list[float], right: int | None) -> LabelledQuestion:
    """Return a question whose candidates differ in the feature `own`, and one of which may be right."""
    rows = np.zeros((len(own), len(Features._fields)))
    rows[:, OWN] = own
    return LabelledQuestion(group, right is not None, rows, np.arange(len(own)) == (-1 if right is None else right))


def mixed(group: str, *, reversed_labels: bool = False) -> list[LabelledQuestion]:
    found = [[0.1, 0.9], [0.8, 0.2], [0.3, 1.0], [0.7, 0.1]]
    best = [int(np.argmin(own) if reversed_labels else np.argmax(own)) for own in found]
    return [*(question(group, own, right) for own, right in zip(found, best, strict=True)), question(group, [0.1, 0.2], None)]


def test_a_feature_of_right_candidates_gets_a_positive_weight_and_others_none() -> None:
    fitted = fit([*mixed("a"), *mixed("b")])
    assert fitted.weights[OWN] > 0
    assert not fitted.weights[np.arange(len(fitted.weights)) != OWN].any()
    scores = [predict(one, fitted) for one in mixed("c")]
    assert [one.right for one in scores] == [True, True, True, True, False]
    assert scores[-1].score < min(one.score for one in scores[:-1])


def test_the_weights_minimise_the_penalised_loss() -> None:
    """The gradient of the conditional logit, by differences, is zero at the fitted weights."""
    questions = [*mixed("a"), question("a", [0.9, 0.8, 0.2], 1)]
    fitted = fit(questions)
    scale = np.concatenate([one.features[:, OWN] for one in questions]).std()

    def loss(weight: float, none: float) -> float:
        total = 1.5 * (weight * scale) ** 2
        for one in questions:
            odds: NDArray[np.float64] = np.exp(one.features[:, OWN] * weight - none)
            total -= np.log((odds[one.right].sum() if one.right.any() else 1.0) / (1.0 + odds.sum()))
        return float(total)

    best = (float(fitted.weights[OWN]), fitted.none)
    for step in ((1e-2, 0.0), (-1e-2, 0.0), (0.0, 1e-2), (0.0, -1e-2)):
        assert loss(best[0] + step[0], best[1] + step[1]) > loss(*best) - 1e-7


def test_predictions_come_from_weights_of_other_groups() -> None:
    """Two groups say the opposite of the third, whose own labels are not used for it."""
    found = cross_validate([*mixed("a"), *mixed("b"), *mixed("c", reversed_labels=True)])
    assert not any(one.right for one in found[-5:])


def test_probabilities_are_those_of_the_predictions() -> None:
    known = [Prediction(score, right) for score in (-1.0, 1.0) for right in [score > 0] * 3 + [score < 0]]
    platt = calibrate(known, fitted_on="")
    assert platt.probability(1.0) == pytest.approx(0.75, abs=1e-3)
    assert platt.probability(-1.0) == pytest.approx(0.25, abs=1e-3)


def test_a_model_scores_as_the_fitted_weights_do() -> None:
    questions = mixed("a")
    fitted = fit(questions)
    model = as_model(fitted, calibrate([], fitted_on=""), min_probability=0.5, fitted_on="")
    assert model.scores(questions[0].features).max() == pytest.approx(predict(questions[0], fitted).score, abs=1e-3)
    assert set(model.weights) == {"own"}


def test_questions_without_a_right_candidate_are_refused() -> None:
    with pytest.raises(InputError, match="no candidate of any question is right"):
        fit([question("a", [0.5], None)])
