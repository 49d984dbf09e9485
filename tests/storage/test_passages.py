"""Passages: how text is divided into them, how they are stored and searched."""

import math
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.timed_text import CONFIG, cue, put

from rankvideo_rag.storage.integrity import check_integrity
from rankvideo_rag.storage.passages import MAX_WORDS, PassageText, split_passages
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.create(tmp_path / "archive", CONFIG.model_dump(mode="json"))) as opened:
        yield opened


def test_neighbouring_passages_of_speech_share_sentences() -> None:
    cues = [cue(f"Line {number}.", number, number + 1) for number in range(7)]
    assert split_passages(cues) == [
        PassageText("speech", 0, 5, "Line 0. Line 1. Line 2. Line 3. Line 4."),
        PassageText("speech", 2, 7, "Line 2. Line 3. Line 4. Line 5. Line 6."),
    ]


def test_a_sentence_that_is_divided_among_cues_is_whole() -> None:
    made = split_passages([cue("The kingfisher dives", 0, 1), cue("into the lake.", 1, 3)])
    assert made == [PassageText("speech", 0, 3, "The kingfisher dives into the lake.")]


def test_a_passage_ends_at_a_long_pause() -> None:
    made = split_passages([cue("Before the break.", 0, 2), cue("After it.", 60, 62)])
    assert [passage.text for passage in made] == ["Before the break.", "After it."]


def test_a_passage_has_about_sixty_words_at_most() -> None:
    made = split_passages([cue(f"{number}{' word' * 24}.", number, number + 1) for number in range(8)])
    assert max(len(passage.text.split()) for passage in made) == 50 <= MAX_WORDS


def test_a_long_description_is_a_passage_of_its_own() -> None:
    shown = [cue("Short.", 0, 5, "description"), cue(f"Long{' word' * 99}.", 0, 5, "description")]
    assert [len(passage.text.split()) for passage in split_passages(shown)] == [1, 100]


def test_descriptions_of_different_clips_share_no_passage() -> None:
    shown = [cue("A bird. It flies.", 0, 5, "description"), cue("A fish.", 4, 9, "description")]
    assert [passage.text for passage in split_passages(shown)] == ["A bird. It flies.", "A fish."]


def test_signs_share_a_passage_only_while_both_are_shown() -> None:
    shown = [cue("PENROW STREET", 0, 5, "on_screen"), cue("Mill Lane", 2, 8, "on_screen"), cue("EXIT", 8, 9, "on_screen")]
    assert [passage.text for passage in split_passages(shown)] == ["PENROW STREET Mill Lane", "EXIT"]


def test_a_repeated_cue_counts_once() -> None:
    made = split_passages([cue("Hello there.", 0, 1), cue("Hello there.", 1, 3), cue("Goodbye.", 3, 4)])
    assert made == [PassageText("speech", 0, 4, "Hello there. Goodbye.")]


def test_text_without_a_term_has_no_passage() -> None:
    assert split_passages([cue("♪♪", 0, 1)]) == []


def test_the_order_of_the_spans_does_not_matter() -> None:
    spans = [cue(f"cue {number}", number, number + 1) for number in range(9)] + [cue("SIGN", 3, 5, "on_screen")]
    assert split_passages(spans) == split_passages(spans[::-1])


def test_search_returns_passages_and_the_clips_that_hold_most_of_them(store: Store) -> None:
    with open_writer(store) as writer:
        video = put(writer, 1, [cue("The kingfisher dives.", 27, 33.5), cue("A heron waits.", 50, 52)])
    first, second = store.clips_of(video)
    ((number, score),) = store.search_text("speech", "kingfisher", depth=5).items()
    # BM25 by hand, k1 = 1.2, b = .75: one of 2 passages has the word; both have 3 words.
    assert score == pytest.approx(math.log((2 - 1 + 0.5) / (1 + 0.5)) or 1e-6, abs=1e-5)
    (passage,) = store.passages([number, 999]).values()
    assert passage == (number, video, "speech", 27, 33.5, "The kingfisher dives.")
    (indexed,) = store.indexed_passages("speech", [number, 999]).values()  # type: ignore[unreachable]
    assert (store.clips([indexed.clip])[indexed.clip], first.end) == (second, 30)


def test_text_after_the_end_of_the_video_is_not_searched(store: Store) -> None:
    with open_writer(store) as writer:
        put(writer, 1, [cue("Inside.", 59, 61), cue("Outside.", 80, 82)])
    assert len(store.search_text("speech", "inside", depth=5)) == 1
    assert store.search_text("speech", "outside", depth=5) == {}


def test_term_statistics_count_passages_of_all_channels(store: Store) -> None:
    with open_writer(store) as writer:
        put(writer, 1, [cue("Telescopes and mirrors.", 1, 2), cue("TELESCOPE", 1, 2, "on_screen"), cue("Rain.", 40, 41)])
        put(writer, 2, [cue("The 望遠鏡 is open.", 1, 2)])
    found = store.term_statistics(["telescop", "望 遠", "鏡 遠", "rain", "absent"])
    assert found.passages == 4
    assert found.frequencies == {"telescop": 2, "望 遠": 1, "鏡 遠": 0, "rain": 1, "absent": 0}
    assert found.idf("telescop") == pytest.approx(math.log(1 + 22 / 3))  # 24 passages, 2.5 of them with the term
    with open_writer(store) as writer:
        put(writer, 3, [cue("More rain.", 1, 2)])
    assert store.term_statistics(["rain"]) == (5, {"rain": 2})
    assert found.idf("unknown") == found.idf("absent") == pytest.approx(math.log(25))


def test_a_removed_video_leaves_no_passage(store: Store) -> None:
    with open_writer(store) as writer:
        video = put(writer, 1, [cue("The kingfisher dives.", 1, 2)])
        put(writer, 2, [cue("A heron waits.", 1, 2)])
        writer.remove_video(video)
    assert [passage.text for passage in store.passages(range(9)).values()] == ["A heron waits."]
    assert store.search_text("speech", "kingfisher", depth=5) == {}
    assert check_integrity(store.folder) == []


def test_descriptions_leave_the_passages_of_other_channels_as_they_are(store: Store) -> None:
    with open_writer(store) as writer:
        video = put(writer, 1, [cue("The kingfisher dives.", 1, 2)])
        before = store.passages(range(9))
        writer.put_descriptions(video, [cue("A bird over water.", 0, 30, "description")])
        assert before.items() <= store.passages(range(9)).items()
        writer.put_descriptions(video, [cue("A fish below it.", 0, 30, "description")])
    assert {passage.text for passage in store.passages(range(9)).values()} == {"The kingfisher dives.", "A fish below it."}
    assert store.search_text("description", "bird", depth=5) == {}
    assert len(store.search_text("description", "fish", depth=5)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE passages SET text = 'changed'",
        "DELETE FROM passages",
        "DELETE FROM passages_speech",
        "UPDATE passages_speech SET text = 'changed'",
        "UPDATE videos SET passage_rules = 0",
    ],
)
def test_damaged_passages_are_found_and_repaired(store: Store, damage: str) -> None:
    with open_writer(store) as writer:
        put(writer, 1, [cue("The kingfisher dives.", 1, 2)])
    store.connection.execute(damage)
    assert {problem.repaired for problem in check_integrity(store.folder)} == {False}
    assert {problem.repaired for problem in check_integrity(store.folder, repair=True)} == {True}
    assert check_integrity(store.folder) == []
    assert len(store.search_text("speech", "kingfisher", depth=5)) == 1
