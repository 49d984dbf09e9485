"""Candidates are runs of sentences of the evidence."""

from rankvideo_rag.answering.candidates import Scene, find_candidates
from rankvideo_rag.schema import TextSpan


def scene(*texts: str, seconds: float = 4.0) -> Scene:
    spans = [
        TextSpan(channel="speech", text=text, start=seconds * i, end=seconds * (i + 1), source="subtitles")
        for i, text in enumerate(texts)
    ]
    return Scene.of("A_title", spans)


def test_candidates_hold_one_to_four_sentences_and_none_ends_with_a_question() -> None:
    found = list(find_candidates(scene("It is old.", "How old is it?", "Ninety years.", "So they say."), 0.0, 16.0))
    assert {(one.first, one.last) for one in found} == {(0, 1), (0, 3), (0, 4), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4)}


def test_candidates_touch_the_clip() -> None:
    found = list(find_candidates(scene("One is here.", "Two is here.", "Three is here.", "Four is here."), 4.0, 8.0))
    assert all(one.start < 8.0 and one.end > 4.0 for one in found)
    assert {one.first for one in found} == {0, 1}


def test_long_sentences_stay_alone() -> None:
    long = " ".join(["word"] * 50) + "."
    assert [(one.first, one.last) for one in find_candidates(scene(long, "Short."), 0.0, 8.0)] == [(0, 1), (1, 2)]


def test_a_correction_is_recognised_by_how_it_begins() -> None:
    assert scene("It is fifty days.", "Sorry, fifteen, not fifty.", "Thank you.").corrects == (False, True, False)


def test_a_title_is_part_of_the_scene() -> None:
    assert "titl" in scene("Hello there.").all_terms
