"""Synthetic training data: true labels, easy queries first, and no held-out combinations."""

from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from support.synthetic_clips import parse_caption, parse_query

from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.synthetic import SyntheticClip, grade
from rankvideo_rag.synthetic.dataset import (
    QueryGroup,
    caption_examples,
    clip_groups,
    make_visual_query,
    paraphrase_examples,
    partial_caption_examples,
    query_groups,
    to_training_examples,
)
from rankvideo_rag.synthetic.facts import shuffled_facts, shuffled_signs
from rankvideo_rag.synthetic.grammar import VisualQuery, caption
from rankvideo_rag.synthetic.scenes import HELD_OUT_TRIPLES, Attributes, Scene

APART = ({"purple", "triangle"}, {"yellow", "up"}, {"circle", "down"})
TOLD = {fact.question for fact in shuffled_facts(Random(0))} | {sign.question for sign in shuffled_signs(Random(0))}


def evidence_caption(example: TrainingExample) -> str:
    assert example.evidence is not None
    assert example.evidence.caption is not None
    return example.evidence.caption


Pool = list[list[SyntheticClip]]


@pytest.fixture(scope="module")
def pool() -> Pool:
    return clip_groups(60, seed=3)


@pytest.fixture(scope="module")
def groups(pool: Pool) -> list[QueryGroup]:
    return list(query_groups(pool, count=200, queries=6, easy=0.3, seed=4))


def examples(groups: Sequence[QueryGroup]) -> list[TrainingExample]:
    return [example for number, group in enumerate(groups) for example in to_training_examples(group, str(number))]


def named(query: VisualQuery) -> int:
    """How many things a question names."""
    return sum(value is not None for attributes in query.shapes for value in attributes) + (query.background is not None)


def of_the_eye(group: QueryGroup) -> list[VisualQuery]:
    return [parse_query(asked.text) for asked in group.queries if asked.text not in TOLD]


def is_kept_from_training(attributes: Attributes) -> bool:
    return attributes[:3] in HELD_OUT_TRIPLES or any(pair <= {*attributes} for pair in APART)


def test_the_same_seed_gives_the_same_groups_for_any_count(pool: Pool) -> None:
    assert clip_groups(5, seed=3) == pool[:5]
    assert clip_groups(3, seed=3, first=2) == pool[2:5]
    assert clip_groups(5, seed=4) != pool[:5]


def test_training_clips_have_unique_names(pool: Pool) -> None:
    stems = [shown.stem for family in pool for shown in family]
    assert len(set(stems)) == len(stems)


def test_training_data_has_no_held_out_combination(pool: Pool, groups: list[QueryGroup]) -> None:
    shown = [attributes for family in pool for one in family for attributes in one.scene.shapes]
    asked = [attributes for group in groups for query in of_the_eye(group) for attributes in query.shapes]
    assert not any(map(is_kept_from_training, [*shown, *asked]))
    clips = [one for family in pool for one in family]
    told = paraphrase_examples(clips, seed=0) + partial_caption_examples(clips, seed=0)
    said = [attributes for example in told for attributes in parse_query(evidence_caption(example)).shapes]
    assert not any(map(is_kept_from_training, said))


def test_labels_agree_with_captions(groups: list[QueryGroup]) -> None:
    checked = 0
    for example in examples(groups):
        assert evidence_caption(example)
        wanted = 0 if example.query in TOLD else grade(parse_query(example.query), parse_caption(evidence_caption(example)))
        assert example.true_label == wanted
        assert example.teacher_label == (wanted > 0)
        assert example.teacher_p_yes == {0: 0.02, 1: 0.85, 2: 0.98}[wanted]
        checked += example.query not in TOLD
    assert checked > 5000


def test_a_query_group_has_one_example_per_query_and_clip(groups: list[QueryGroup]) -> None:
    group = groups[0]
    made = to_training_examples(group, "7")
    assert [(example.query_id, example.doc_id) for example in made] == [
        (f"7.{number}", shown.stem) for number in range(6) for shown in group.clips
    ]
    assert all(example.videos == (example.doc_id,) for example in made)
    assert [evidence_caption(example) for example in made[: len(group.clips)]] == [caption(c.scene) for c in group.clips]


def test_nearly_every_query_separates_a_clip_from_its_group(groups: list[QueryGroup]) -> None:
    grades = [asked.grades[:-1] for group in groups for asked in group.queries if asked.text not in TOLD]
    assert all(any(values) for values in grades)
    assert np.mean([not all(values) for values in grades]) > 0.95


def test_some_queries_ask_for_text_and_no_clip_answers_them(groups: list[QueryGroup]) -> None:
    for_words = [asked.grades for group in groups for asked in group.queries if asked.text in TOLD]
    assert 0.03 < len(for_words) / sum(len(group.queries) for group in groups) < 0.09
    assert not any(map(any, for_words))


def test_easy_questions_come_first(pool: Pool) -> None:
    groups = list(query_groups(pool, count=200, queries=6, easy=0.5, seed=4))
    assert {(named(query), len(query.shapes) <= 1) for query in of_the_eye(groups[0])} == {(1, True)}
    means = [
        float(np.mean([named(query) for group in groups[start : start + 50] for query in of_the_eye(group)]))
        for start in range(0, 200, 50)
    ]
    assert means[0] + 0.5 < means[1] < min(means[2:])
    assert abs(means[2] - means[3]) < 0.5  # grown up: at random from now on


def test_without_easy_queries_hard_ones_come_first(pool: Pool) -> None:
    easy, hard = (
        np.mean(
            [
                named(query)
                for group in query_groups(pool, count=50, queries=6, easy=share, seed=4)
                for query in of_the_eye(group)
            ]
        )
        for share in (1.0, 0.0)
    )
    assert easy + 0.8 < hard


CAST = Scene(((Attributes("red", "circle", "left", "steady"),), (Attributes("blue", "square", "still", "flashing"),)), "navy")


def test_a_query_is_relevant_to_its_own_clip(pool: Pool) -> None:
    random = Random(0)
    for scene in [CAST, *(shown.scene for family in pool for shown in family)]:
        for detail in (0.0, 0.5, 1.0):
            assert grade(make_visual_query(scene, random, detail=detail), scene) > 0


def test_the_level_of_detail_sets_how_much_is_named() -> None:
    random = Random(0)
    assert {named(make_visual_query(CAST, random, detail=0.0, both=0.0)) for _ in range(100)} == {1}
    whole = [make_visual_query(CAST, random, detail=1.0, both=1.0) for _ in range(100)]
    assert {query.kind for query in whole} == {"before", "background"}
    about_shapes = [query for query in whole if query.shapes]
    assert {query.shapes[1] for query in about_shapes} == {Attributes("blue", "square", "still", "flashing")}
    # That a shape is always in sight is rarely said.
    assert {query.shapes[0][:3] for query in about_shapes} == {("red", "circle", "left")}
    assert 0 < sum(query.shapes[0].event == "steady" for query in about_shapes) < 40


def test_captions_name_everything_plainly(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    told = caption_examples(clips)
    assert [(example.doc_id, example.videos, example.query) for example in told] == [(c.stem, (c.stem,), "") for c in clips]
    assert [parse_caption(evidence_caption(example)) for example in told] == [shown.scene for shown in clips]


def test_paraphrases_use_the_wording_of_queries(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    told = [evidence_caption(example) for example in paraphrase_examples(clips, seed=1)]
    assert told == [evidence_caption(example) for example in paraphrase_examples(clips, seed=1)]
    for shown, words in zip(clips, told, strict=True):
        assert words[0].isupper()
        assert words.endswith(".")
        said = parse_query(words)
        assert said.background == shown.background
        assert sorted(map(whole, said.shapes)) == sorted(shown.scene.shapes)
        assert grade(said, shown.scene) == 2


def test_partial_captions_are_true_and_incomplete(pool: Pool) -> None:
    clips = [shown for family in pool for shown in family]
    said = [parse_query(evidence_caption(example)) for example in partial_caption_examples(clips, seed=1)]
    assert all(grade(query, shown.scene) > 0 for query, shown in zip(said, clips, strict=True))
    assert {named(query) for query in said} >= {1, 2, 3, 4, 5, 6}
    assert partial_caption_examples(clips, seed=1) != partial_caption_examples(clips, seed=2)


def whole(attributes: Attributes) -> Attributes:
    """Paraphrases pass over that a shape is always in sight."""
    return attributes._replace(event=attributes.event or "steady")
