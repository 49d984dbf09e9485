"""The English of the little world and the judgements made with it, by hand."""

from collections import Counter
from random import Random

import pytest
from support.little_world import asked_in, clip, thing, told_in

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.synthetic import Question, grade, plan_clips, questions
from rankvideo_rag.synthetic.facts import facts, question_of, signs
from rankvideo_rag.synthetic.grammar import Kind, Request, caption, kind_of, near_miss, phrase
from rankvideo_rag.synthetic.scenes import Cast, Look

RED_CIRCLE, BLUE_SQUARE = Look("red", "circle", "left", "steady"), Look("blue", "square", "still", "flashing")
GREEN_CIRCLE = Look("green", "circle", "up", "steady")


def alone(look: Look, ground: str = "dark") -> Cast:
    return Cast(((look,),), ground)


def at_once(one: Look, other: Look, ground: str = "dark") -> Cast:
    return Cast(((one, other),), ground)


def in_turn(one: Look, other: Look, ground: str = "dark") -> Cast:
    return Cast(((one,), (other,)), ground)


def asks(kind: Kind, *looks: Look, ground: str | None = None) -> Request:
    return Request(kind, looks, ground)


@pytest.mark.parametrize(
    ("request_", "cast", "expected"),
    [
        # one shape
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE), 2),
        (asks("one", Look("red", "circle")), alone(RED_CIRCLE), 2),
        (asks("one", Look()), alone(RED_CIRCLE), 2),
        (asks("one", Look("red", "circle")), at_once(BLUE_SQUARE, RED_CIRCLE), 1),
        (asks("one", Look("red", "circle")), in_turn(BLUE_SQUARE, RED_CIRCLE), 1),
        (asks("one", Look("red", "circle", "right")), alone(RED_CIRCLE), 0),
        (asks("one", Look("red", "circle", event="flashing")), alone(RED_CIRCLE), 0),
        (asks("one", Look("red", "square")), at_once(BLUE_SQUARE, RED_CIRCLE), 0),  # each is there, on another shape
        # a ground beside a shape, and alone
        (asks("one", Look("red"), ground="dark"), alone(RED_CIRCLE), 2),
        (asks("one", Look("red"), ground="navy"), alone(RED_CIRCLE), 0),
        (asks("ground", ground="dark"), alone(RED_CIRCLE), 2),
        (asks("ground", ground="dark"), in_turn(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("ground", ground="grey"), alone(RED_CIRCLE), 0),
        # two together, whichever stands left
        (asks("together", Look("red"), Look("blue")), at_once(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("together", Look("blue"), Look("red")), at_once(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("together", Look("red"), Look("blue")), in_turn(RED_CIRCLE, BLUE_SQUARE), 0),
        (asks("together", Look("red"), Look(None, "circle")), alone(RED_CIRCLE), 0),  # each needs a shape of its own
        (asks("together", Look("red"), Look(None, "circle")), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (asks("together", Look("red"), Look(None, "circle")), at_once(RED_CIRCLE, GREEN_CIRCLE), 2),
        (asks("together", Look("red"), Look("blue"), ground="navy"), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (asks("together", Look("red"), Look("blue")), Cast(((RED_CIRCLE, BLUE_SQUARE), (GREEN_CIRCLE,)), "dark"), 1),
        # one before the other
        (asks("before", Look("red"), Look("blue")), in_turn(RED_CIRCLE, BLUE_SQUARE), 2),
        (asks("before", Look("red"), Look("blue")), in_turn(BLUE_SQUARE, RED_CIRCLE), 0),
        (asks("before", Look("red"), Look("blue")), at_once(RED_CIRCLE, BLUE_SQUARE), 0),
        (asks("before", Look("red"), Look("blue")), Cast(((RED_CIRCLE,), (GREEN_CIRCLE,), (BLUE_SQUARE,)), "dark"), 1),
        (asks("before", Look("red"), Look("red")), alone(RED_CIRCLE), 0),
    ],
)
def test_grades_tell_shown_alone_from_shown_beside_something_from_not_shown(
    request_: Request, cast: Cast, expected: int
) -> None:
    assert grade(request_, cast) == expected


@pytest.mark.parametrize(
    ("request_", "cast", "expected"),
    [
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE), None),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(colour="blue")), "colour"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(shape="square")), "shape"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(motion="up")), "motion"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(event="flashing")), "event"),
        (asks("one", RED_CIRCLE, ground="dark"), alone(RED_CIRCLE, "navy"), "ground"),
        (asks("ground", ground="dark"), alone(RED_CIRCLE, "navy"), "ground"),
        (asks("one", RED_CIRCLE), alone(RED_CIRCLE._replace(colour="blue", motion="up")), None),
        (asks("one", RED_CIRCLE, ground="dark"), alone(RED_CIRCLE._replace(colour="blue"), "navy"), None),
        # no red square among a red circle and a blue square: colour or shape, whichever is let go
        (asks("one", Look("red", "square")), at_once(RED_CIRCLE, BLUE_SQUARE), None),
        # two shapes
        (asks("together", RED_CIRCLE, BLUE_SQUARE), at_once(RED_CIRCLE, BLUE_SQUARE._replace(motion="up")), "motion"),
        (
            asks("together", Look("red", "circle"), Look("blue", "square")),
            at_once(Look("blue", "circle", "up", "steady"), Look("red", "square", "up", "steady")),
            "binding",
        ),
        (
            asks("before", Look("red", "circle"), Look("blue", "square")),
            in_turn(Look("blue", "circle", "up", "steady"), Look("red", "square", "up", "steady")),
            "binding",
        ),
        (
            asks("together", Look("red", "circle", "up"), Look("blue", "square", "down")),
            at_once(Look("red", "square", "up", "steady"), Look("green", "circle", "down", "steady")),
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
def test_a_near_miss_is_named_by_what_alone_it_lacks(request_: Request, cast: Cast, expected: str | None) -> None:
    assert near_miss(request_, cast) == expected


def test_one_way_of_asking_fits_each_clip() -> None:
    assert kind_of(alone(RED_CIRCLE)) == "one"
    assert kind_of(at_once(RED_CIRCLE, BLUE_SQUARE)) == "together"
    assert kind_of(in_turn(RED_CIRCLE, BLUE_SQUARE)) == "before"


@pytest.mark.parametrize(
    ("request_", "wordings"),
    [
        (asks("one", Look("red")), {"something red", "something crimson", "something scarlet"}),
        (asks("one", Look(None, "circle")), {"a circle", "a disc"}),
        (
            asks("one", Look("orange", "square")),
            {"an orange square", "an orange box", "an amber square", "an amber box"},
        ),
        (
            asks("one", Look(motion="up")),
            {"something moving upwards", "something that moves up", "something rising"},
        ),
        (
            asks("one", Look(event="vanishing"), ground="navy"),
            {
                "something that vanishes on a navy ground",
                "something that vanishes against a navy background",
                "something that disappears halfway on a navy ground",
                "something that disappears halfway against a navy background",
            },
        ),
        (asks("ground", ground="sandy"), {"a video on a sandy ground", "a video against a sandy background"}),
        (
            asks("before", Look(None, "circle"), Look("purple")),
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
            asks("together", Look(None, "circle"), Look("purple")),
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
def test_one_request_has_these_wordings_and_no_others(request_: Request, wordings: set[str]) -> None:
    random = Random(0)
    assert {phrase(request_, random) for _ in range(800)} == wordings


def test_a_motion_and_an_event_are_joined() -> None:
    said = phrase(asks("one", Look("green", "triangle", "down", "flashing")), Random(1))
    assert said.split(" ")[0] == "a"
    assert " and that " in said


def test_no_wording_changes_what_is_asked() -> None:
    random = Random(0)
    for shown in plan_clips(210, seed=1):
        told = tuple(random.choice((look, look._replace(event=None), Look(look.colour))) for look in shown.cast.looks)
        wanted = Request(kind_of(shown.cast), told, random.choice((None, shown.ground)))
        understood = asked_in(phrase(wanted, random))
        if wanted.kind == "together":
            assert sorted(map(str, understood.looks)) == sorted(map(str, wanted.looks))
            wanted = wanted._replace(looks=understood.looks)
        assert understood == wanted


@pytest.mark.parametrize(
    ("cast", "sentence"),
    [
        (alone(RED_CIRCLE), "A red circle moves to the left, on a dark ground."),
        (alone(BLUE_SQUARE, "navy"), "A blue square stays still and flashes, on a navy ground."),
        (
            alone(Look("orange", "triangle", "up", "vanishing"), "grey"),
            "An orange triangle moves upwards and vanishes, on a grey ground.",
        ),
        (
            alone(Look("green", "circle", "right", "appearing"), "sandy"),
            "A green circle moves to the right and appears late, on a sandy ground.",
        ),
        (
            at_once(RED_CIRCLE, Look("yellow", "square", "down", "steady")),
            "A red circle moves to the left while a yellow square moves downwards, on a dark ground.",
        ),
        (
            in_turn(RED_CIRCLE, GREEN_CIRCLE),
            "First a red circle moves to the left, then a green circle moves upwards, on a dark ground.",
        ),
    ],
)
def test_captions_name_everything(cast: Cast, sentence: str) -> None:
    assert caption(cast) == sentence


def test_captions_of_different_clips_differ() -> None:
    casts = {shown.cast for shown in plan_clips(210, seed=2)}
    assert {told_in(caption(cast)) for cast in casts} == casts
    assert len({caption(cast) for cast in casts}) == len(casts) > 100


HAND_MADE = [
    clip("a", thing("red", "circle", "left")),
    clip("b", thing("red", "circle", "up")),
    clip("c", thing("red", "circle", "right")),
    clip("d", thing("red", "square", "left")),
    clip("e", thing("blue", "circle", "left")),
    clip("f", thing("red", "circle", "left"), ground="grey"),
    clip("g", (thing("red", "triangle", "up"), thing("blue", "square", "down")), ground="grey"),
    clip("h", (thing("red", "square", "down"), thing("blue", "triangle", "up")), ground="grey"),
    clip("i", thing("green", "circle", "still"), thing("orange", "square", "right"), ground="navy", seconds=8),
    clip("j", thing("orange", "square", "right"), thing("green", "circle", "still"), ground="navy", seconds=8),
    clip("k", thing("red", "circle", "left"), seconds=5),
    clip("l", (thing("red", "circle", "left"), thing("green", "circle", "up")), ground="sandy"),
]


def test_questions_come_with_judgements() -> None:
    # Only a differs from four others in one attribute each; g and h exchange, i and j turn round what they show.
    assert [(q.request, q.kind, q.judgements) for q in questions(HAND_MADE)] == [
        (asks("one", Look("red", "circle", "left"), ground="dark"), "one", {"a": 2, "k": 2}),
        (asks("one", Look("red", None, "left")), "one", {"a": 2, "d": 2, "f": 2, "k": 2, "l": 1}),
        (asks("one", Look(None, "circle", "left"), ground="dark"), "one", {"a": 2, "e": 2, "k": 2}),
        (asks("one", Look("red", "circle")), "one", {"a": 2, "b": 2, "c": 2, "f": 2, "k": 2, "l": 1}),
        (asks("ground", ground="dark"), "ground", {"a": 2, "b": 2, "c": 2, "d": 2, "e": 2, "k": 2}),
        (asks("together", Look("red", "triangle", "up"), Look("blue", "square", "down")), "together", {"g": 2}),
        (asks("together", Look("red", "square", "down"), Look("blue", "triangle", "up")), "together", {"h": 2}),
        (asks("before", Look("green", "circle", "still"), Look("orange", "square", "right")), "before", {"i": 2}),
        (asks("before", Look("orange", "square", "right"), Look("green", "circle", "still")), "before", {"j": 2}),
    ]


def test_a_right_answer_claims_what_the_best_clips_show_and_where() -> None:
    asked = questions(HAND_MADE)
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


def test_words_are_asked_for_where_they_are_said_and_written() -> None:
    told = clip("told", thing("red", "circle", "left")).model_copy(
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
    said, written = questions([told])
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
    assert question_of(text) == question


def test_a_text_from_elsewhere_has_none() -> None:
    with pytest.raises(InputError, match=r"'It rains\.' is no fact and no sign"):
        question_of("It rains.")


def test_every_fact_and_every_sign_has_a_question_of_its_own() -> None:
    asked = [text.question for text in (*facts(Random(0)), *signs(Random(0)))]
    assert len(set(asked)) == len(asked) == 16 + 8 * 25 + 16 + 25 * 6


@pytest.mark.parametrize("seed", range(4))
def test_every_world_has_questions_of_each_kind_with_distinct_texts(seed: int) -> None:
    asked = questions(plan_clips(seed=seed))
    count = Counter(question.kind for question in asked)
    assert (count["together"], count["before"], count["speech"], count["on_screen"]) == (4, 2, 8, 8)
    assert count["one"] >= 8
    assert count["ground"] >= 1
    assert len({q.text for q in asked}) == len({q.question_id for q in asked}) == len(asked)
    assert all(q.judgements and q.claims for q in asked)


def test_judgements_are_those_of_the_question_as_it_is_worded() -> None:
    clips = plan_clips(60, seed=5)
    for question in questions(clips):
        if question.channel == "visual":
            graded = {shown.stem: grade(asked_in(question.text), told_in(caption(shown.cast))) for shown in clips}
            assert question.judgements == {stem: value for stem, value in graded.items() if value}


@pytest.mark.parametrize(
    ("request_", "held_out"),
    [
        (asks("one", Look("purple", "triangle")), True),
        (asks("together", Look("red", "square"), Look("yellow", None, "up")), True),
        (asks("one", Look("purple", None, "left")), False),
        (asks("ground", ground="dark"), False),
        (None, False),
    ],
)
def test_a_question_about_what_training_never_showed_says_so(request_: Request | None, held_out: bool) -> None:
    question = Question(
        question_id="x", text="x", kind="one", channel="visual", request=request_, judgements={"a": 2}, claims=()
    )
    assert question.held_out is held_out
