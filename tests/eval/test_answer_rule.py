"""The rule by which answers to the realistic set are scored."""

from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.answer_rule import ExpectedSpan, Question, plain, read_questions, score_answer

REALISTIC = Path(__file__).parents[1] / "data" / "realistic"


def question(**changes: Any) -> Question:
    given: dict[str, Any] = {"id": "q", "question": "Which firm?", "language": "en", "answerable": True, "kind": "fact"}
    given |= {"answers": ("Brightwell",), "video": "meeting", "start": 50.0, "end": 57.0}
    return Question(**(given | changes))


def answer(text: str, *citations: tuple[str, float, float, str | None], answered: bool = True) -> dict[str, Any]:
    cited = [{"path": path, "start": start, "end": end, "quote": quote} for path, start, end, quote in citations]
    return {"answer": text, "answered": answered, "citations": cited}


def test_an_answer_is_right_with_accepted_words_and_the_right_place() -> None:
    assert score_answer(question(), answer("Brightwell.", ("/v/meeting.mp4", 56.0, 60.0, None))).outcome == "right"


def test_accepted_words_may_stand_in_a_quote_and_rejected_words_only_there() -> None:
    cited = ("/v/meeting.mp4", 50.0, 57.0, "not Ascenta: we chose Brightwell")
    assert score_answer(question(must_not=("Ascenta",)), answer("That one.", cited)).outcome == "right"


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({}, answer("Ascenta.", ("/v/meeting.mp4", 50.0, 57.0, None))),
        ({}, answer("Brightwell.", ("/v/other.mp4", 50.0, 57.0, None))),
        ({}, answer("Brightwell.", ("/v/meeting.mp4", 57.0, 60.0, None))),  # a shared edge is no overlap
        ({"must_not": ("Corran",)}, answer("Brightwell or Corran.", ("/v/meeting.mp4", 50.0, 57.0, None))),
    ],
)
def test_an_answer_is_wrong_without_the_words_or_the_place_or_with_a_rejected_word(
    changes: dict[str, Any], given: dict[str, Any]
) -> None:
    assert score_answer(question(**changes), given).outcome == "wrong"


def test_each_span_needs_its_own_words_and_its_own_citation() -> None:
    spans = (
        ExpectedSpan(video="meeting", start=50.0, end=57.0, answers=("Brightwell",)),
        ExpectedSpan(video="news", start=10.0, end=20.0, answers=("Gladys",)),
    )
    both = question(kind="multi_video", spans=spans)
    here, there = ("/v/meeting.mp4", 50.0, 57.0, None), ("/v/news.mp4", 10.0, 20.0, None)
    assert score_answer(both, answer("Brightwell, Gladys.", here, there)).outcome == "right"
    assert score_answer(both, answer("Brightwell, Gladys.", here)).faults == ("no citation of news 10.0-20.0",)


def test_abstaining_is_right_only_where_nothing_answers() -> None:
    none = answer("The archive does not answer this.", answered=False)
    assert score_answer(question(), none).outcome == "false_abstention"
    unanswerable = question(answerable=False, answers=(), video=None, start=None, end=None)
    assert score_answer(unanswerable, none).outcome == "right"
    assert score_answer(unanswerable, answer("Brightwell.")).outcome == "false_answer"


def test_digits_of_citation_markers_are_no_words_of_the_answer() -> None:
    assert plain("Nine tonnes [Comets @ 02:36] [1, 2].") == "Nine tonnes ."


def test_the_realistic_set_holds_80_answerable_and_40_other_questions() -> None:
    questions = read_questions(REALISTIC / "questions.jsonl")
    assert [sum(q.answerable is kind for q in questions) for kind in (True, False)] == [80, 40]
    assert all(bool(q.expected) is q.answerable for q in questions)
    assert all(len(q.expected) == 2 for q in questions if q.kind == "multi_video")


def test_a_question_with_an_unknown_field_is_reported_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_text('{"id": "q", "query": "?"}\n')
    with pytest.raises(InputError, match="line 1"):
        read_questions(tmp_path / "questions.jsonl")
