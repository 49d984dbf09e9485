"""What a question asks for."""

import pytest

from rankvideo_rag.answering.questions import analyse_question, split_question


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who painted the lid?", "person"),
        ("Where was the tortoise found?", "place"),
        ("When is the final played?", "when"),
        ("At what time does the race start?", "time"),
        ("How long does it take?", "duration"),
        ("How heavy is the lens?", "weight"),
        ("How much does the second permit cost?", "money"),
        ("How many doors are there?", "count"),
        ("How old is the lift?", "age"),
        ("Why did they refuse?", "reason"),
        ("Did the comet break apart?", "yes_no"),
        ("Does wine or cider go in?", "choice"),
        ("What is a meteoroid?", "definition"),
        ("What did she say when she heard it?", "other"),
        ("Wie alt ist das Moor?", "age"),
        ("Warum fängt er Insekten?", "reason"),
        ("¿Hasta cuándo se puede pagar?", "when"),
        ("¿Quién hace el esmalte azul?", "person"),
        ("城墙有多高？", "length"),
        ("这张票多少钱？", "money"),
        ("Pourquoi la porte est-elle fermée?", "reason"),
    ],
)
def test_the_kind_of_answer_is_recognised(question: str, kind: str) -> None:
    assert analyse_question(question).kind == kind


def test_a_unit_that_is_counted_is_what_the_answer_must_have() -> None:
    assert analyse_question("How many days did the strike last?").unit == "day"
    assert analyse_question("How many millimetres long is the belt?").unit == "mm"
    assert analyse_question("How many doors are there?").unit is None


def test_names_of_a_question_are_kept_apart_from_its_terms() -> None:
    question = analyse_question("How many goals has Hollis scored this season?")
    assert question.names == {"hollis"}
    assert "goal" in question.asked


def test_a_question_that_asks_for_two_things_has_two_parts() -> None:
    assert split_question("Who drew the tower, and who wrote the carol?") == ["Who drew the tower?", "who wrote the carol?"]
    assert len(split_question("Wie hoch ist die Mauer und wie tief ist das Moor?")) == 2
    assert len(split_question("¿Cuánto cuesta el té y cuánto cuesta la comida?")) == 2


def test_a_question_about_a_pair_is_one() -> None:
    for question in ("What are salt and pepper?", "Who are Ann and Bob?", "城墙和鼓楼有多高？"):
        assert split_question(question) == [question]
