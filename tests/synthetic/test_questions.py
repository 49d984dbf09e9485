"""Captions, queries and judgements of synthetic clips, against values worked out by hand."""

from collections import Counter
from random import Random

import pytest
from support.synthetic_clips import clip, make_shape, parse_caption, parse_query

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.synthetic import Question, generate_questions, grade, plan_clips
from rankvideo_rag.synthetic.facts import question_for, shuffled_facts, shuffled_signs
from rankvideo_rag.synthetic.grammar import Kind, VisualQuery, caption, hard_negative_kind, phrase, query_kind
from rankvideo_rag.synthetic.scenes import Attributes, Scene

RED_CIRCLE, BLUE_SQUARE = Attributes("red", "circle", "left", "steady"), Attributes("blue", "square", "still", "flashing")
GREEN_CIRCLE = Attributes("green", "circle", "up", "steady")


def alone(attributes: Attributes, background: str = "dark") -> Scene:
    return Scene(((attributes,),), background)


def at_once(one: Attributes, other: Attributes, background: str = "dark") -> Scene:
    return Scene(((one, other),), background)


def in_turn(one: Attributes, other: Attributes, background: str = "dark") -> Scene:
    return Scene(((one,), (other,)), background)


def asks(kind: Kind, *shapes: Attributes, background: str | None = None) -> VisualQuery:
    return VisualQuery(kind, shapes, background)


@pytest.mark.parametrize(
    ("query", "scene", "expected"),
    [
        # one shape
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE), 2),
        (asks("one", Attributes("red", "circle")), alone(RED_CIRCLE), 2),
        (asks("one", Attributes()), alone(RED_CIRCLE), 2),
        (asks("one", Attributes("red", "circle")), at_once(BLUE_SQUARE, RED_CIRCLE), 1),
        (asks("one", Attributes("red", "circle")), in_turn(BLUE_SQUARE, RED_CIRCLE), 1),
        (asks("one", Attributes("red", "circle", "right")), alone(RED_CIRCLE), 0),
        (asks("one", Attributes("red", "circle", event="flashing")), alone(RED_CIRCLE), 0),
        (asks("one", Attributes("red", "square")), at_once(BLUE_SQUARE, RED_CIRCLE), 0),  # each is there, on another shape
        # a ground beside a shape, and alone
        (asks("one", Attributes("red"), background="dark"), alone(RED_CIRCLE), 2),
        (asks("one", Attributes("red"), background="navy"), alone(RED_CIRCLE), 0),
        (asks("background", background="dark"), alone(RED_CIRCLE), 2),
        (asks("background", background="dark"), in_turn(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("background", background="grey"), alone(RED_CIRCLE), 0),
        # two together, whichever stands left
        (asks("together", Attributes("red"), Attributes("blue")), at_once(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("together", Attributes("blue"), Attributes("red")), at_once(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("together", Attributes("red"), Attributes("blue")), in_turn(RED_CIRCLE, BLUE_SQUARE), 0),
        (
            asks("together", Attributes("red"), Attributes(None, "circle")),
            alone(RED_CIRCLE),
            0,
        ),  # each needs a shape of its own
        (asks("together", Attributes("red"), Attributes(None, "circle")), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (asks("together", Attributes("red"), Attributes(None, "circle")), at_once(RED_CIRCLE, GREEN_CIRCLE), 2),
        (asks("together", Attributes("red"), Attributes("blue"), background="navy"), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (
            asks("together", Attributes("red"), Attributes("blue")),
            Scene(((RED_CIRCLE, BLUE_SQUARE), (GREEN_CIRCLE,)), "dark"),
            1,
        ),
        # one before the other
        (asks("before", Attributes("red"), Attributes("blue")), in_turn(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("before", Attributes("red"), Attributes("blue")), in_turn(BLUE_SQUARE, RED_CIRCLE), 0),
        (asks("before", Attributes("red"), Attributes("blue")), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (
            asks("before", Attributes("red"), Attributes("blue")),
            Scene(((RED_CIRCLE,), (GREEN_CIRCLE,), (BLUE_SQUARE,)), "dark"),
            1,
        ),
        (asks("before", Attributes("red"), Attributes("red")), alone(RED_CIRCLE), 0),
    ],
)
def test_grades_are_two_alone_one_beside_others_and_zero_if_not_shown(query: VisualQuery, scene: Scene, expected: int) -> None:
    assert grade(query, scene) == expected


@pytest.mark.parametrize(
    ("query", "scene", "expected"),
    [
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE), None),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(colour="blue")), "colour"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(shape="square")), "shape"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(motion="up")), "motion"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(event="flashing")), "event"),
        (asks("one", RED_CIRCLE, background="dark"), alone(RED_CIRCLE, "navy"), "background"),
        (asks("background", background="dark"), alone(RED_CIRCLE, "navy"), "background"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(colour="blue", motion="up")), None),
        (asks("one", RED_CIRCLE, background="dark"), alone(RED_CIRCLE._replace(colour="blue"), "navy"), None),
        # no red square among a red circle and a blue square: colour or shape, whichever is let go
        (asks("one", Attributes("red", "square")), at_once(RED_CIRCLE, BLUE_SQUARE), None),
        # two shapes
        (asks("together", RED_CIRCLE, BLUE_SQUARE), at_once(RED_CIRCLE, BLUE_SQUARE._replace(motion="up")), "motion"),
        (
            asks("together", Attributes("red", "circle"), Attributes("blue", "square")),
            at_once(Attributes("blue", "circle", "up", "steady"), Attributes("red", "square", "up", "steady")),
            "binding",
        ),
        (
            asks("before", Attributes("red", "circle"), Attributes("blue", "square")),
            in_turn(Attributes("blue", "circle", "up", "steady"), Attributes("red", "square", "up", "steady")),
            "binding",
        ),
        (
            asks("together", Attributes("red", "circle", "up"), Attributes("blue", "square", "down")),
            at_once(Attributes("red", "square", "up", "steady"), Attributes("green", "circle", "down", "steady")),
            None,
        ),
        (asks("before", RED_CIRCLE, BLUE_SQUARE), in_turn(BLUE_SQUARE, RED_CIRCLE), "order"),
        (asks("before", RED_CIRCLE, BLUE_SQUARE), at_once(BLUE_SQUARE, RED_CIRCLE), "order"),
        (asks("before", RED_CIRCLE, BLUE_SQUARE), in_turn(BLUE_SQUARE, RED_CIRCLE._replace(colour="green")), None),
        (asks("together", RED_CIRCLE, BLUE_SQUARE), alone(RED_CIRCLE), None),
        # together when asked for, and shown one after the other: that is not one attribute, one binding or one order
        (asks("together", RED_CIRCLE, BLUE_SQUARE), in_turn(RED_CIRCLE, BLUE_SQUARE), None),
    ],
)
def test_a_hard_negative_is_named_by_its_missing_attribute(query: VisualQuery, scene: Scene, expected: str | None) -> None:
    assert hard_negative_kind(query, scene) == expected


def test_each_clip_has_a_fitting_query() -> None:
    assert query_kind(alone(RED_CIRCLE)) == "one"
    assert query_kind(at_once(RED_CIRCLE, BLUE_SQUARE)) == "together"
    assert query_kind(in_turn(RED_CIRCLE, BLUE_SQUARE)) == "before"


@pytest.mark.parametrize(
    ("query", "wordings"),
    [
        (asks("one", Attributes("red")), {"something red", "something crimson", "something scarlet"}),
        (asks("one", Attributes(None, "circle")), {"a circle", "a disc"}),
        (
            asks("one", Attributes("orange", "square")),
            {"an orange square", "an orange box", "an amber square", "an amber box"},
        ),
        (
            asks("one", Attributes(motion="up")),
            {"something moving upwards", "something that moves up", "something rising"},
        ),
        (
            asks("one", Attributes(event="vanishing"), background="navy"),
            {
                "something that vanishes on a navy ground",
                "something that vanishes against a navy background",
                "something that disappears halfway on a navy ground",
                "something that disappears halfway against a navy background",
            },
        ),
        (asks("background", background="sandy"), {"a video on a sandy ground", "a video against a sandy background"}),
        (
            asks("before", Attributes(None, "circle"), Attributes("purple")),
            {
                wording.format(first, then)
                for first in ("a circle", "a disc")
                for then in ("something purple", "something violet")
                for wording in (
                    "{0} before {1}",
                    "first {0}, then {1}",
                    "{0}, followed by {1}",
                    "{1} after {0}",
                    "{1} that comes after {0}",
                )
            },
        ),
        (
            asks("together", Attributes(None, "circle"), Attributes("purple")),
            {
                wording.format(*pair)
                for circle in ("a circle", "a disc")
                for purple in ("something purple", "something violet")
                for pair in ((circle, purple), (purple, circle))
                for wording in ("{0} together with {1}", "{0} and {1} at the same time", "{0} beside {1}")
            },
        ),
    ],
)
def test_one_request_has_these_wordings_and_no_others(query: VisualQuery, wordings: set[str]) -> None:
    random = Random(0)
    assert {phrase(query, random) for _ in range(800)} == wordings


def test_a_motion_and_an_event_are_joined() -> None:
    said = phrase(asks("one", Attributes("green", "triangle", "down", "flashing")), Random(1))
    assert said.split(" ")[0] == "a"
    assert " and that " in said


def test_rewording_keeps_the_judgements() -> None:
    random = Random(0)
    for shown in plan_clips(210, seed=1):
        told = tuple(
            random.choice((attributes, attributes._replace(event=None), Attributes(attributes.colour)))
            for attributes in shown.scene.shapes
        )
        wanted = VisualQuery(query_kind(shown.scene), told, random.choice((None, shown.background)))
        understood = parse_query(phrase(wanted, random))
        if wanted.kind == "together":
            assert sorted(map(str, understood.shapes)) == sorted(map(str, wanted.shapes))
            wanted = wanted._replace(shapes=understood.shapes)
        assert understood == wanted


@pytest.mark.parametrize(
    ("scene", "sentence"),
    [
        (alone(RED_CIRCLE), "A red circle moves to the left, on a dark ground."),
        (alone(BLUE_SQUARE, "navy"), "A blue square stays still and flashes, on a navy ground."),
        (
            alone(Attributes("orange", "triangle", "up", "vanishing"), "grey"),
            "An orange triangle moves upwards and vanishes, on a grey ground.",
        ),
        (
            alone(Attributes("green", "circle", "right", "appearing"), "sandy"),
            "A green circle moves to the right and appears late, on a sandy ground.",
        ),
        (
            at_once(RED_CIRCLE, Attributes("yellow", "square", "down", "steady")),
            "A red circle moves to the left while a yellow square moves downwards, on a dark ground.",
        ),
        (
            in_turn(RED_CIRCLE, GREEN_CIRCLE),
            "First a red circle moves to the left, then a green circle moves upwards, on a dark ground.",
        ),
    ],
)
def test_captions_name_everything(scene: Scene, sentence: str) -> None:
    assert caption(scene) == sentence


def test_captions_of_different_clips_differ() -> None:
    scenes = {shown.scene for shown in plan_clips(210, seed=2)}
    assert {parse_caption(caption(scene)) for scene in scenes} == scenes
    assert len({caption(scene) for scene in scenes}) == len(scenes) > 100


HAND_MADE = [
    clip("a", make_shape("red", "circle", "left")),
    clip("b", make_shape("red", "circle", "up")),
    clip("c", make_shape("red", "circle", "right")),
    clip("d", make_shape("red", "square", "left")),
    clip("e", make_shape("blue", "circle", "left")),
    clip("f", make_shape("red", "circle", "left"), background="grey"),
    clip("g", (make_shape("red", "triangle", "up"), make_shape("blue", "square", "down")), background="grey"),
    clip("h", (make_shape("red", "square", "down"), make_shape("blue", "triangle", "up")), background="grey"),
    clip("i", make_shape("green", "circle", "still"), make_shape("orange", "square", "right"), background="navy", seconds=8),
    clip("j", make_shape("orange", "square", "right"), make_shape("green", "circle", "still"), background="navy", seconds=8),
    clip("k", make_shape("red", "circle", "left"), seconds=5),
    clip("l", (make_shape("red", "circle", "left"), make_shape("green", "circle", "up")), background="sandy"),
]


def test_questions_come_with_judgements() -> None:
    # Only a differs from four others in one attribute each; g and h exchange, i and j turn round what they show.
    assert [(q.query, q.kind, q.judgements) for q in generate_questions(HAND_MADE)] == [
        (asks("one", Attributes("red", "circle", "left"), background="dark"), "one", {"a": 2, "k": 2}),
        (asks("one", Attributes("red", None, "left")), "one", {"a": 2, "d": 2, "f": 2, "k": 2, "l": 1}),
        (asks("one", Attributes(None, "circle", "left"), background="dark"), "one", {"a": 2, "e": 2, "k": 2}),
        (asks("one", Attributes("red", "circle")), "one", {"a": 2, "b": 2, "c": 2, "f": 2, "k": 2, "l": 1}),
        (asks("background", background="dark"), "background", {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2, "k": 2}),
        (asks("together", Attributes("red", "triangle", "up"), Attributes("blue", "square", "down")), "together", {"g": 2}),
        (asks("together", Attributes("red", "square", "down"), Attributes("blue", "triangle", "up")), "together", {"h": 2}),
        (asks("before", Attributes("green", "circle", "still"), Attributes("orange", "square", "right")), "before", {"i": 2}),
        (asks("before", Attributes("orange", "square", "right"), Attributes("green", "circle", "still")), "before", {"j": 2}),
    ]


def test_reference_answers_name_the_best_clips_and_times() -> None:
    asked = generate_questions(HAND_MADE)
    assert [[(claim.text, claim.spans) for claim in question.claims] for question in (asked[1], asked[5], asked[7])] == [
        [
            ("A red circle moves to the left, on a dark ground.", (("a", 0.0, 4.0), ("k", 0.0, 5.0))),
            ("A red square moves to the left, on a dark ground.", (("d", 0.0, 4.0),)),
            ("A red circle moves to the left, on a grey ground.", (("f", 0.0, 4.0),)),
        ],
        [("A red triangle moves upwards while a blue square moves downwards, on a grey ground.", (("g", 0.0, 4.0),))],
        [("First a green circle stays still, then an orange square moves to the right, on a navy ground.", (("i", 0.0, 8.0),))],
    ]
    assert asked[1].answer == (
        "A red circle moves to the left, on a dark ground. A red square moves to the left, on a dark ground. "
        "A red circle moves to the left, on a grey ground."
    )


def test_text_questions_ask_for_the_right_channel() -> None:
    told = clip("told", make_shape("red", "circle", "left")).model_copy(
        update={
            "sign": "MILL LANE 4",
            "narration": (
                TextSpan(
                    channel="speech",
                    text="The wool merchants paid for the bridge over the Tarn.",
                    start=0.3,
                    end=1.8,
                    source="subtitles",
                ),
                TextSpan(channel="speech", text="They took a toll from every cart.", start=2.3, end=3.8, source="subtitles"),
            ),
        }
    )
    said, written = generate_questions([told])
    assert (said.text, said.channel, said.judgements) == ("Who paid for the bridge over the Tarn?", "speech", {"told": 2})
    assert [(claim.text, claim.spans) for claim in said.claims] == [
        ("The wool merchants paid for the bridge over the Tarn.", (("told", 0.3, 1.8),))
    ]
    assert (written.text, written.channel, written.judgements) == (
        "Which number does the sign for Mill Lane show?",
        "on_screen",
        {"told": 2},
    )
    assert [(claim.text, claim.spans) for claim in written.claims] == [("The sign reads MILL LANE 4.", (("told", 0.0, 4.0),))]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Seals raise their young in Hollow Bay every June.", "In which month do seals raise their young in Hollow Bay?"),
        ("The market hall of Wanlow was opened in 1801.", "When was the market hall of Wanlow opened?"),
        ("PIER 9 WEST", "Which end of the harbour does the sign at pier 9 name?"),
        ("OXLEY GATE 12", "Which number does the sign for Oxley Gate show?"),
    ],
)
def test_a_text_has_its_question(text: str, question: str) -> None:
    assert question_for(text) == question


def test_an_unknown_text_has_no_question() -> None:
    with pytest.raises(InputError, match=r"'It rains\.' is not a fact or a sign"):
        question_for("It rains.")


def test_every_fact_and_every_sign_has_a_question_of_its_own() -> None:
    asked = [fact.question for fact in shuffled_facts(Random(0))] + [sign.question for sign in shuffled_signs(Random(0))]
    assert len(set(asked)) == len(asked) == 16 + 8 * 25 + 16 + 25 * 6


@pytest.mark.parametrize("seed", range(4))
def test_every_data_set_has_distinct_questions_of_each_kind(seed: int) -> None:
    asked = generate_questions(plan_clips(seed=seed))
    count = Counter(question.kind for question in asked)
    assert (count["together"], count["before"], count["speech"], count["on_screen"]) == (4, 2, 8, 8)
    assert count["one"] >= 8
    assert count["background"] >= 1
    assert len({q.text for q in asked}) == len({q.question_id for q in asked}) == len(asked)
    assert all(q.judgements and q.claims for q in asked)


def test_judgements_follow_from_the_question_text() -> None:
    clips = plan_clips(60, seed=5)
    for question in generate_questions(clips):
        if question.channel == "visual":
            graded = {shown.stem: grade(parse_query(question.text), parse_caption(caption(shown.scene))) for shown in clips}
            assert question.judgements == {stem: value for stem, value in graded.items() if value}


@pytest.mark.parametrize(
    ("query", "held_out"),
    [
        (asks("one", Attributes("purple", "triangle")), True),
        (asks("together", Attributes("red", "square"), Attributes("yellow", None, "up")), True),
        (asks("one", Attributes("purple", None, "left")), False),
        (asks("background", background="dark"), False),
        (None, False),
    ],
)
def test_questions_about_held_out_combinations_are_marked(query: VisualQuery | None, held_out: bool) -> None:
    question = Question(question_id="x", text="x", kind="one", channel="visual", query=query, judgements={"a": 2}, claims=())
    assert question.held_out is held_out
