"""Fusing channels: normalised scores, weights, ties. Expected numbers are made by hand."""

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.ranking.fusion import DEFAULT_WEIGHTS, ChannelResults, FusedHit, PassageScores, parse_weights
from rankvideo_rag.schema import Clip, SearchChannel

WEIGHTS: dict[SearchChannel, float] = dict.fromkeys(DEFAULT_WEIGHTS, 0.0) | {"visual": 1.0, "speech": 2.0, "on_screen": 1.0}


def fused(
    pictures: dict[int, float],
    passages: dict[int, PassageScores],
    weights: dict[SearchChannel, float] | None = None,
) -> list[FusedHit]:
    numbers = {*pictures, *(passage.clip for passage in passages.values())}
    clips = {n: Clip(clip_id=str(n), video_id=f"video {n % 7}", start=0.0, end=1.0) for n in numbers}
    return ChannelResults(pictures, passages, clips).fuse(weights or WEIGHTS)


def test_a_score_is_the_root_of_the_weighted_mean_of_squares() -> None:
    hits = fused({1: 0.9, 2: 0.3}, {10: PassageScores(2, 0.0, {"speech": 0.7})})
    assert [hit.clip for hit in hits] == [2, 1]
    assert [hit.score for hit in hits] == pytest.approx([((0.09 + 2 * 0.49) / 3) ** 0.5, (0.81 / 3) ** 0.5])


def test_a_hit_has_its_best_score_and_its_rank_in_each_channel() -> None:
    passages = {
        10: PassageScores(1, 0.0, {"speech": 0.2}),
        11: PassageScores(1, 5.0, {"speech": 0.5}),
        12: PassageScores(2, 0.0, {"speech": 0.5}),
        13: PassageScores(3, 0.0, {"speech": 0.4}),
    }
    by_clip = {hit.clip: hit for hit in fused({1: 0.8}, passages)}
    assert by_clip[1].scores == {"visual": 0.8, "speech": 0.5}
    assert {clip: hit.ranks["speech"] for clip, hit in by_clip.items()} == {1: 1, 2: 1, 3: 3}
    assert by_clip[1].passage == 11


def test_a_word_both_spoken_and_shown_does_not_count_twice() -> None:
    twice = {10: PassageScores(1, 0.0, {"speech": 0.4}), 11: PassageScores(1, 0.0, {"on_screen": 0.4})}
    once = {12: PassageScores(2, 0.0, {"speech": 0.5})}
    assert [hit.clip for hit in fused({}, twice | once, WEIGHTS | {"speech": 1.0})] == [2, 1]


def test_terms_and_meaning_of_one_passage_add_up() -> None:
    weights = WEIGHTS | {"speech_meaning": 1.0}
    apart = {10: PassageScores(1, 0.0, {"speech": 0.5}), 11: PassageScores(1, 9.0, {"speech_meaning": 0.6})}
    together = {12: PassageScores(2, 0.0, {"speech": 0.5, "speech_meaning": 0.3})}
    hits = fused({}, apart | together, weights)
    assert [(hit.clip, hit.passage) for hit in hits] == [(2, 12), (1, 10)]


def test_of_equal_passages_the_earlier_one_counts() -> None:
    passages = {10: PassageScores(1, 8.0, {"speech": 0.5}), 11: PassageScores(1, 3.0, {"speech": 0.5})}
    assert [hit.passage for hit in fused({}, passages)] == [11]


@pytest.mark.parametrize(("said", "seen"), [(1, 2), (2, 1)])
def test_the_numbers_of_clips_decide_nothing(said: int, seen: int) -> None:
    # The weights are 4 and 1, so that both score the same; the better single channel decides.
    hits = fused({seen: 1.0}, {5: PassageScores(said, 0.0, {"speech": 0.5})}, WEIGHTS | {"speech": 4.0})
    assert [hit.clip for hit in hits] == [seen, said]
    assert hits[0].score == hits[1].score


def test_the_content_of_clips_decides_where_all_scores_are_equal() -> None:
    assert [hit.clip for hit in fused({8: 0.5, 3: 0.5}, {})] == [8, 3]  # "video 1", "video 3"
    assert [hit.clip for hit in fused({3: 0.5, 8: 0.5}, {})] == [8, 3]


def test_without_hits_the_list_is_empty() -> None:
    assert fused({}, {}) == []


def test_weights_are_read_from_text() -> None:
    assert parse_weights(" visual=0.5,speech_meaning = 0,") == {"visual": 0.5, "speech_meaning": 0.0}
    assert parse_weights("") == {}


@pytest.mark.parametrize("text", ["smell=1", "visual", "visual=x", "visual=-1", "visual=nan", "visual=inf"])
def test_unusable_weights_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="is not CHANNEL=NUMBER; the channels are visual, speech"):
        parse_weights(text)
