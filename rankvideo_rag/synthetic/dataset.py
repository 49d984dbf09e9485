"""What the little world teaches: clips to train on, captions of them, and questions in groups with near misses.

No clip, caption or question here has a held-out combination. The world knows what is true; the teacher has read the captions.
Easy questions ask for one attribute, later ones for more of them. This file knows no models and opens no videos.
"""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from rankvideo_rag.formats.training_data import TrainingExample, VideoEvidence
from rankvideo_rag.synthetic.facts import shuffled_facts, shuffled_signs
from rankvideo_rag.synthetic.grammar import VisualQuery, caption, grade, phrase, query_kind
from rankvideo_rag.synthetic.scenes import Attributes, Scene, SyntheticClip, make_clip, training_clip_group

TEACHER_P_YES = (0.02, 0.85, 0.98)  # by grade: nothing of it, it beside something else, just that
_SHARE_WITH_SIGNS = 0.3  # of the clips
_SHARE_OF_WORDS = 0.06  # of the questions: answered by what is said or written, so by no picture
_TRIES = 20  # to find a question that tells a clip from another of its family


class Query(NamedTuple):
    """A question of a lesson."""

    text: str
    query: VisualQuery | None  # what it asks of the eye; None where words alone answer it
    grades: tuple[int, ...]  # clip by clip


class QueryGroup(NamedTuple):
    """Clips that are much alike, and questions about them."""

    clips: tuple[SyntheticClip, ...]
    questions: tuple[Query, ...]


def clip_groups(count: int, *, seed: int, first: int = 0) -> list[list[SyntheticClip]]:
    """That many families of clips to train on, from number `first`: the same seed and number give the same one."""
    return [_family(number, Random(f"{seed}/{number}")) for number in range(first, first + count)]


def caption_examples(clips: Iterable[SyntheticClip]) -> list[TrainingExample]:
    """Each clip with its plain caption."""
    return [_captioned(clip, caption(clip.scene)) for clip in clips]


def paraphrase_examples(clips: Iterable[SyntheticClip], *, seed: int) -> list[TrainingExample]:
    """Each clip with a caption in the words of questions."""
    random = Random(seed)
    return [_captioned(clip, paraphrase(clip.scene, random)) for clip in clips]


def partial_caption_examples(clips: Iterable[SyntheticClip], *, seed: int) -> list[TrainingExample]:
    """Each clip as a question might describe it: some of what can be said of it, in the words of questions."""
    random = Random(seed)
    asked = ((clip, make_visual_query(clip.scene, random, detail=random.random() ** 0.5)) for clip in clips)
    return [_captioned(clip, _sentence(query, random)) for clip, query in asked]


def query_groups(
    pool: Sequence[Sequence[SyntheticClip]], *, count: int, questions: int, easy: float, seed: int
) -> Iterator[QueryGroup]:
    """Lessons on families of a pool, each joined by a clip of another, from the easiest questions to the hardest.

    `easy` is the share of the lessons over which questions grow from one attribute to nearly all; 0 begins with hard ones.
    A few questions are answered by what is said or written, so by none of the clips.
    """
    random = Random(seed)
    told = [fact.question for fact in shuffled_facts(random)] + [sign.question for sign in shuffled_signs(random)]
    for number in range(count):
        family = random.choice(pool)
        clips = (*family, random.choice(random.choice(pool)))
        grown = min(1.0, number / (easy * count)) if easy else 1.0
        asked = (_question(clips, told, grown, random) for _ in range(questions))
        yield QueryGroup(clips, tuple(asked))


def to_training_examples(lesson: QueryGroup, lesson_id: str) -> list[TrainingExample]:
    """The lesson in the published format. `videos` names clips of the world, not files."""
    return [
        TrainingExample(
            query_id=f"{lesson_id}.{number}",
            query=asked.text,
            doc_id=clip.stem,
            videos=(clip.stem,),
            true_label=value,
            teacher_p_yes=TEACHER_P_YES[value],
            evidence=VideoEvidence(caption=caption(clip.scene)),
            teacher_label=int(value > 0),
        )
        for number, asked in enumerate(lesson.questions)
        for clip, value in zip(lesson.clips, asked.grades, strict=True)
    ]


def make_visual_query(scene: Scene, random: Random, *, detail: float, both: float = 0.8) -> VisualQuery:
    """Something that the cast grants, `detail` of what could be said about it: 0 names one attribute, 1 nearly all.

    Of two shapes, both are asked about with probability `both`. That a shape is always in sight is rarely said.
    """
    shapes = scene.shapes
    background = scene.background if random.random() < 0.4 * detail else None
    if random.random() < 0.1:
        return VisualQuery("background", (), scene.background)
    if len(shapes) == 1 or random.random() >= both:
        return VisualQuery("one", (_partly(random.choice(shapes), detail, random),), background)
    return VisualQuery(query_kind(scene), tuple(_partly(attributes, detail, random) for attributes in shapes), background)


def paraphrase(scene: Scene, random: Random) -> str:
    """The clip in a sentence in the words of questions: all that can be said of it, in one of many wordings."""
    told = tuple(attributes if attributes.event != "steady" else attributes._replace(event=None) for attributes in scene.shapes)
    return _sentence(VisualQuery(query_kind(scene), told, scene.background), random)


def _sentence(query: VisualQuery, random: Random) -> str:
    said = phrase(query, random)
    return f"{said[0].upper()}{said[1:]}."


def _captioned(clip: SyntheticClip, words: str) -> TrainingExample:
    evidence = VideoEvidence(caption=words)
    return TrainingExample(query_id="caption", query="", doc_id=clip.stem, videos=(clip.stem,), evidence=evidence)


def _family(number: int, random: Random) -> list[SyntheticClip]:
    shown = shuffled_signs(random)
    return [
        make_clip(
            scene, random, stem=f"{number}.{place}", sign=random.choice(shown) if random.random() < _SHARE_WITH_SIGNS else None
        )
        for place, scene in enumerate(training_clip_group(random))
    ]


def _partly(attributes: Attributes, detail: float, random: Random) -> Attributes:
    names = ["colour", "shape", "motion", *(["event"] if attributes.event != "steady" or random.random() < 0.15 else [])]
    first = random.choice(names)
    said = {name for name in names if name == first or random.random() < detail}
    return Attributes(*(getattr(attributes, name) if name in said else None for name in Attributes._fields))


def _question(clips: Sequence[SyntheticClip], told: Sequence[str], grown: float, random: Random) -> Query:
    """A question that one of the family grants and a certain other does not, if one is found; `grown` is its difficulty, to 1.

    That other is drawn by lot: what is said most often tells most clips apart, who has which and what comes first do not.
    """
    if random.random() < _SHARE_OF_WORDS:
        return Query(random.choice(told), None, (0,) * len(clips))
    target, other = (clip.scene for clip in random.sample(clips[:-1], 2))
    for _ in range(_TRIES):
        query = make_visual_query(target, random, detail=grown * random.random() ** 0.5, both=0.8 * grown)
        if not grade(query, other):
            break
    return Query(phrase(query, random), query, tuple(grade(query, clip.scene) for clip in clips))
