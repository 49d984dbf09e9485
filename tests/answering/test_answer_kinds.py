"""Whether a text has what a question asks for."""

import pytest

from rankvideo_rag.answering.answer_kinds import matches_kind
from rankvideo_rag.answering.questions import analyse_question


@pytest.mark.parametrize(
    ("question", "text", "match"),
    [
        ("How long does it take?", "It takes four years.", 1.0),
        ("How long does it take?", "It takes a while.", 0.0),
        ("How many days did it last?", "After nineteen days they voted.", 1.0),
        ("How many days did it last?", "After nineteen weeks they voted.", 0.0),
        ("How many doors are there?", "It has four doors.", 1.0),
        ("How many doors are there?", "There is one that I like.", 0.0),
        ("How old is the lift?", "It has run for six years.", 0.0),
        ("How old is the lift?", "The lift is six years old.", 1.0),
        ("How much does it cost?", "A ticket costs nineteen euros.", 1.0),
        ("How heavy is it?", "It weighs 640 kilograms.", 1.0),
        ("How fast is it?", "It is six kilometres long.", 0.0),
        ("Who won?", "It was Nico Vasquez-Bell who won.", 1.0),
        ("Who won?", "Nobody knows yet, the votes are counted.", 0.0),
        ("When is it open?", "On Saturday the nineteenth of July.", 1.0),
        ("In which year was she born?", "She came on the ninth of May.", 0.0),
        ("Wie alt ist sie?", "Seit sechzehn Jahren geht sie diese Runde.", 0.0),
        ("这张票多少钱？", "成人三十元，学生半价。", 1.0),
        ("What happened?", "Nothing at all.", 1.0),
    ],
)
def test_a_text_has_what_is_asked_for(question: str, text: str, match: float) -> None:
    assert matches_kind(analyse_question(question), text) == match


def test_a_name_that_the_question_has_is_no_answer() -> None:
    assert matches_kind(analyse_question("Who beat Vale, and how?"), "Then we come to Vale again.") == 0.0
