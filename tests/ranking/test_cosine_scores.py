"""Normalised cosines. Expected numbers are made by hand or drawn at random."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankvideo_rag.ranking.cosine_scores import Background, score_cosines
from rankvideo_rag.ranking.fusion import ChannelResults, PassageScores
from rankvideo_rag.schema import Clip


def scored(cosines: np.ndarray, *, depth: int = 100) -> dict[int, float]:
    """The scores of the `depth` best of these cosines, by their places."""
    best = {int(i): float(cosines[i]) for i in np.argsort(-cosines)[:depth]}
    return score_cosines(best, Background.estimate(cosines), among=len(cosines))


def test_the_background_is_the_median_and_the_nearer_quartile() -> None:
    background = Background.estimate(np.array([0.0, 0.1, 0.2, 0.5, 0.9]))
    assert background.location == pytest.approx(0.2)
    assert background.scale == pytest.approx(0.1 / 0.6745)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 25, 200, 5000])
def test_the_nearest_of_random_vectors_scores_little(count: int) -> None:
    random = np.random.default_rng(count)
    best = [max(scored(random.normal(0.2, 0.05, count)).values()) for _ in range(200)]
    assert np.mean(np.square(best)) < 0.06  # fusion adds squares
    assert np.mean(np.array(best) > 0.5) < 0.05


@pytest.mark.parametrize("count", [25, 200, 5000])
def test_a_clip_far_above_all_others_scores_much(count: int) -> None:
    random = np.random.default_rng(count)
    cosines = random.normal(0.2, 0.02, count)
    cosines[3] = 0.40
    scores = scored(cosines)
    assert max(scores, key=scores.__getitem__) == 3
    assert scores[3] > 0.5


def test_a_fifth_of_the_clips_may_be_relevant() -> None:
    random = np.random.default_rng(0)
    cosines = np.concatenate([random.normal(0.40, 0.02, 42), random.normal(0.2, 0.03, 168)])
    scores = scored(cosines)
    assert min(scores[clip] for clip in range(42)) > 0.3
    assert all(score < 0.2 for clip, score in scores.items() if clip >= 42)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_scores_are_bounded_and_in_the_order_of_the_cosines(values: list[float]) -> None:
    scores = list(scored(np.array(values)).values())
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)


def spoken_and_seen(seen: list[float], said: float) -> list[int]:
    """Clips in fused order: those of a picture channel with these cosines, and 100, found by its words only."""
    clips = {n: Clip(clip_id=str(n), video_id=str(n), start=0.0, end=1.0) for n in (*range(len(seen)), 100)}
    results = ChannelResults(scored(np.array(seen)), {1: PassageScores(100, 0.0, {"speech": said})}, clips)
    return [hit.clip for hit in results.fuse()]


def test_a_clip_with_the_words_beats_the_nearest_picture_of_a_channel_that_knows_nothing() -> None:
    assert spoken_and_seen([0.21, 0.2, 0.19, 0.18], 1.0)[0] == 100


def test_a_weak_match_of_words_does_not_push_down_a_picture_that_stands_out() -> None:
    pictures = [0.60, 0.20, 0.19, 0.18, 0.17, 0.16, 0.05]
    assert spoken_and_seen(pictures, 0.01)[0] == 0
    assert spoken_and_seen(pictures, 1.0)[0] == 100


def test_a_cosine_of_1_scores_1_between_texts() -> None:
    random = np.random.default_rng(0)
    cosines = np.append(random.normal(0.3, 0.05, 200), [1.0, 0.65])
    best = {int(i): float(cosines[i]) for i in np.argsort(-cosines)[:20]}
    background = Background(location=0.3, scale=0.05, sample=202)
    scores = score_cosines(best, background, among=202, same_kind=True)
    assert scores[200] == pytest.approx(1.0, abs=1e-4)
    assert scores[201] == pytest.approx(0.5, abs=1e-4)
