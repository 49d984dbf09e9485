"""What the little world teaches: true labels, easy questions first, and nothing of what is held out."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from support.little_world import asked_in, told_in

from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.synthetic import WorldClip, grade
from rankvideo_rag.synthetic.dataset import (
    Lesson,
    as_examples,
    captions,
    descriptions,
    families,
    lessons,
    paraphrases,
    request_about,
)
from rankvideo_rag.synthetic.facts import facts, signs
from rankvideo_rag.synthetic.grammar import Request, caption
from rankvideo_rag.synthetic.scenes import HELD_OUT_TRIPLES, Cast, Look

APART = ({"purple", "triangle"}, {"yellow", "up"}, {"circle", "down"})
TOLD = {text.question for text in (*facts(Random(0)), *signs(Random(0)))}

Pool = list[list[WorldClip]]


@pytest.fixture(scope="module")
def pool() -> Pool:
    return families(60, seed=3)


@pytest.fixture(scope="module")
def taught(pool: Pool) -> list[Lesson]:
    return list(lessons(pool, count=200, questions=6, easy=0.3, seed=4))


def examples(taught: Sequence[Lesson]) -> list[TrainingExample]:
    return [example for number, lesson in enumerate(taught) for example in as_examples(lesson, str(number))]


def named(request: Request) -> int:
    """How many things a question names."""
    return sum(value is not None for look in request.looks for value in look) + (request.ground is not None)


def of_the_eye(lesson: Lesson) -> list[Request]:
    return [asked_in(asked.text) for asked in lesson.questions if asked.text not in TOLD]


def is_kept_from_training(look: Look) -> bool:
    return look[:3] in HELD_OUT_TRIPLES or any(pair <= {*look} for pair in APART)


def test_the_same_seed_gives_the_same_families_whatever_the_count(pool: Pool) -> None:
    assert families(5, seed=3) == pool[:5]
    assert families(3, seed=3, first=2) == pool[2:5]
    assert families(5, seed=4) != pool[:5]


def test_clips_to_train_on_have_names_of_their_own(pool: Pool) -> None:
    stems = [shown.stem for family in pool for shown in family]
    assert len(set(stems)) == len(stems)


def test_nothing_held_out_is_shown_asked_or_told(pool: Pool, taught: list[Lesson]) -> None:
    shown = [look for family in pool for one in family for look in one.cast.looks]
    asked = [look for lesson in taught for request in of_the_eye(lesson) for look in request.looks]
    assert not any(map(is_kept_from_training, [*shown, *asked]))
    clips = [one for family in pool for one in family]
    told = paraphrases(clips, seed=0) + descriptions(clips, seed=0)
    said = [look for example in told for look in asked_in(example.evidence.caption or "").looks]
    assert not any(map(is_kept_from_training, said))


def test_every_label_is_true_of_the_caption_beside_it(taught: list[Lesson]) -> None:
    checked = 0
    for example in examples(taught):
        assert example.evidence.caption
        wanted = 0 if example.query in TOLD else grade(asked_in(example.query), told_in(example.evidence.caption))
        assert example.true_label == wanted
        assert example.teacher_label == (wanted > 0)
        assert example.teacher_p_yes == {0: 0.02, 1: 0.85, 2: 0.98}[wanted]
        checked += example.query not in TOLD
    assert checked > 5000


def test_a_lesson_becomes_one_example_for_each_question_and_clip(taught: list[Lesson]) -> None:
    lesson = taught[0]
    made = as_examples(lesson, "7")
    assert [(example.query_id, example.doc_id) for example in made] == [
        (f"7.{number}", shown.stem) for number in range(6) for shown in lesson.clips
    ]
    assert all(example.videos == (example.doc_id,) for example in made)
    assert [example.evidence.caption for example in made[: len(lesson.clips)]] == [caption(c.cast) for c in lesson.clips]


def test_nearly_every_question_tells_a_clip_from_its_family(taught: list[Lesson]) -> None:
    grades = [asked.grades[:-1] for lesson in taught for asked in lesson.questions if asked.text not in TOLD]
    assert all(any(values) for values in grades)
    assert np.mean([not all(values) for values in grades]) > 0.95


def test_a_few_questions_are_for_the_words_and_no_clip_answers_them(taught: list[Lesson]) -> None:
    for_words = [asked.grades for lesson in taught for asked in lesson.questions if asked.text in TOLD]
    assert 0.03 < len(for_words) / sum(len(lesson.questions) for lesson in taught) < 0.09
    assert not any(map(any, for_words))


def test_easy_questions_come_first(pool: Pool) -> None:
    taught = list(lessons(pool, count=200, questions=6, easy=0.5, seed=4))
    assert {(named(request), len(request.looks) <= 1) for request in of_the_eye(taught[0])} == {(1, True)}
    means = [
        float(np.mean([named(request) for lesson in taught[start : start + 50] for request in of_the_eye(lesson)]))
        for start in range(0, 200, 50)
    ]
    assert means[0] + 0.5 < means[1] < min(means[2:])
    assert abs(means[2] - means[3]) < 0.5  # grown up: at random from now on


def test_without_easy_questions_the_hard_ones_come_at_once(pool: Pool) -> None:
    easy, hard = (
        np.mean(
            [
                named(request)
                for lesson in lessons(pool, count=50, questions=6, easy=share, seed=4)
                for request in of_the_eye(lesson)
            ]
        )
        for share in (1.0, 0.0)
    )
    assert easy + 0.8 < hard


CAST = Cast(((Look("red", "circle", "left", "steady"),), (Look("blue", "square", "still", "flashing"),)), "navy")


def test_what_is_asked_is_granted_by_the_clip_that_it_was_asked_about(pool: Pool) -> None:
    random = Random(0)
    for cast in [CAST, *(shown.cast for family in pool for shown in family)]:
        for detail in (0.0, 0.5, 1.0):
            assert grade(request_about(cast, random, detail=detail), cast) > 0


def test_no_detail_names_one_thing_and_all_detail_nearly_everything() -> None:
    random = Random(0)
    assert {named(request_about(CAST, random, detail=0.0, both=0.0)) for _ in range(100)} == {1}
    whole = [request_about(CAST, random, detail=1.0, both=1.0) for _ in range(100)]
    assert {request.kind for request in whole} == {"before", "ground"}
    about_shapes = [request for request in whole if request.looks]
    assert {request.looks[1] for request in about_shapes} == {Look("blue", "square", "still", "flashing")}
    # That a shape is always in sight is rarely said.
    assert {request.looks[0][:3] for request in about_shapes} == {("red", "circle", "left")}
    assert 0 < sum(request.looks[0].event == "steady" for request in about_shapes) < 40


def test_captions_name_everything_plainly(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    told = captions(clips)
    assert [(example.doc_id, example.videos, example.query) for example in told] == [(c.stem, (c.stem,), "") for c in clips]
    assert [told_in(example.evidence.caption or "") for example in told] == [shown.cast for shown in clips]


def test_paraphrases_say_the_same_in_the_words_of_questions(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    told = [example.evidence.caption or "" for example in paraphrases(clips, seed=1)]
    assert told == [example.evidence.caption for example in paraphrases(clips, seed=1)]
    for shown, words in zip(clips, told, strict=True):
        assert words[0].isupper()
        assert words.endswith(".")
        said = asked_in(words)
        assert said.ground == shown.ground
        assert sorted(map(whole, said.looks)) == sorted(shown.cast.looks)
        assert grade(said, shown.cast) == 2


def test_descriptions_are_true_and_tell_a_part(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    said = [asked_in(example.evidence.caption or "") for example in descriptions(clips, seed=1)]
    assert all(grade(request, shown.cast) > 0 for request, shown in zip(said, clips, strict=True))
    assert {named(request) for request in said} >= {1, 2, 3, 4, 5, 6}
    assert descriptions(clips, seed=1) != descriptions(clips, seed=2)


def whole(look: Look) -> Look:
    """Paraphrases pass over that a shape is always in sight."""
    return look._replace(event=look.event or "steady")
