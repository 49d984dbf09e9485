"""Training data from synthetic clips without held-out combinations: captions, and query groups with hard negatives."""

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from rankvideo_rag.formats.training_data import TrainingExample, VideoEvidence
from rankvideo_rag.synthetic.facts import shuffled_facts, shuffled_signs
from rankvideo_rag.synthetic.grammar import VisualQuery, caption, grade, phrase, query_kind
from rankvideo_rag.synthetic.scenes import Attributes, Scene, SyntheticClip, make_clip, training_scenes

TEACHER_P_YES = (0.02, 0.85, 0.98)  # by grade: not shown, shown beside something else, shown alone
_SHARE_WITH_SIGNS = 0.3  # of the clips
_SHARE_OF_TEXT = 0.06  # of the queries: answered by speech or on-screen text, so by no picture
_TRIES = 20  # to find a query that tells a clip from another of its group


class Query(NamedTuple):
    """A query of a group."""

    text: str
    query: VisualQuery | None  # None where only text answers it
    grades: tuple[int, ...]  # clip by clip


class QueryGroup(NamedTuple):
    """Clips that are much alike, and queries about them."""

    clips: tuple[SyntheticClip, ...]
    queries: tuple[Query, ...]


def clip_groups(count: int, *, seed: int, first: int = 0) -> list[list[SyntheticClip]]:
    """Return groups of similar clips, from number `first`: the same seed and number give the same one."""
    return [_clip_group(number, Random(f"{seed}/{number}")) for number in range(first, first + count)]


def caption_examples(clips: Iterable[SyntheticClip]) -> list[TrainingExample]:
    """Return each clip with its plain caption."""
    return [_caption_example(clip, caption(clip.scene)) for clip in clips]


def paraphrase_examples(clips: Iterable[SyntheticClip], *, seed: int) -> list[TrainingExample]:
    """Return each clip with a full caption in the wording of queries."""
    random = Random(seed)
    return [_caption_example(clip, paraphrase(clip.scene, random)) for clip in clips]


def partial_caption_examples(clips: Iterable[SyntheticClip], *, seed: int) -> list[TrainingExample]:
    """Return each clip with some of what it shows, in the wording of queries."""
    random = Random(seed)
    queries = ((clip, make_visual_query(clip.scene, random, detail=random.random() ** 0.5)) for clip in clips)
    return [_caption_example(clip, _sentence(query, random)) for clip, query in queries]


def query_groups(
    pool: Sequence[Sequence[SyntheticClip]], *, count: int, queries: int, easy: float, seed: int
) -> Iterator[QueryGroup]:
    """Yield query groups on clip groups of a pool, each with one clip of another, from the easiest queries to the hardest.

    `easy` is the share of the groups over which queries grow from one attribute to nearly all; 0 begins with hard ones. A few
    queries are answered by text, so by none of the clips.
    """
    random = Random(seed)
    text_queries = [fact.question for fact in shuffled_facts(random)] + [sign.question for sign in shuffled_signs(random)]
    for number in range(count):
        group = random.choice(pool)
        clips = (*group, random.choice(random.choice(pool)))
        difficulty = min(1.0, number / (easy * count)) if easy else 1.0
        yield QueryGroup(clips, tuple(_make_query(clips, text_queries, difficulty, random) for _ in range(queries)))


def to_training_examples(group: QueryGroup, group_id: str) -> list[TrainingExample]:
    """Return a group in the published format; `videos` are file stems of clips, not files."""
    return [
        TrainingExample(
            query_id=f"{group_id}.{number}",
            query=query.text,
            doc_id=clip.stem,
            videos=(clip.stem,),
            true_label=value,
            teacher_p_yes=TEACHER_P_YES[value],
            evidence=VideoEvidence(caption=caption(clip.scene)),
            teacher_label=int(value > 0),
        )
        for number, query in enumerate(group.queries)
        for clip, value in zip(group.clips, query.grades, strict=True)
    ]


def make_visual_query(scene: Scene, random: Random, *, detail: float, both: float = 0.8) -> VisualQuery:
    """Return a query that the scene matches, with `detail` of what it shows: 0 names one attribute, 1 nearly all.

    Of two shapes, both are named with probability `both`. That a shape is always visible is rarely named.
    """
    background = scene.background if random.random() < 0.4 * detail else None
    if random.random() < 0.1:
        return VisualQuery("background", (), scene.background)
    if len(scene.shapes) == 1 or random.random() >= both:
        return VisualQuery("one", (_some_attributes(random.choice(scene.shapes), detail, random),), background)
    shapes = tuple(_some_attributes(shape, detail, random) for shape in scene.shapes)
    return VisualQuery(query_kind(scene), shapes, background)


def paraphrase(scene: Scene, random: Random) -> str:
    """Return all that a clip shows in one sentence, in one of many wordings of queries."""
    shapes = tuple(shape if shape.event != "steady" else shape._replace(event=None) for shape in scene.shapes)
    return _sentence(VisualQuery(query_kind(scene), shapes, scene.background), random)


def _sentence(query: VisualQuery, random: Random) -> str:
    text = phrase(query, random)
    return f"{text[0].upper()}{text[1:]}."


def _caption_example(clip: SyntheticClip, text: str) -> TrainingExample:
    evidence = VideoEvidence(caption=text)
    return TrainingExample(query_id="caption", query="", doc_id=clip.stem, videos=(clip.stem,), evidence=evidence)


def _clip_group(number: int, random: Random) -> list[SyntheticClip]:
    signs = shuffled_signs(random)
    clips = []
    for place, scene in enumerate(training_scenes(random)):
        sign = random.choice(signs) if random.random() < _SHARE_WITH_SIGNS else None
        clips.append(make_clip(scene, random, stem=f"{number}.{place}", sign=sign))
    return clips


def _some_attributes(shape: Attributes, detail: float, random: Random) -> Attributes:
    names = ["colour", "shape", "motion", *(["event"] if shape.event != "steady" or random.random() < 0.15 else [])]
    first = random.choice(names)
    named = {name for name in names if name == first or random.random() < detail}
    return Attributes(*(getattr(shape, name) if name in named else None for name in Attributes._fields))


def _make_query(clips: Sequence[SyntheticClip], text_queries: Sequence[str], difficulty: float, random: Random) -> Query:
    """Return a query that one clip of the group matches and another, drawn at random, does not, if one is found."""
    if random.random() < _SHARE_OF_TEXT:
        return Query(random.choice(text_queries), None, (0,) * len(clips))
    target, other = (clip.scene for clip in random.sample(clips[:-1], 2))
    for _ in range(_TRIES):
        detail = difficulty * random.random() ** 0.5
        query = make_visual_query(target, random, detail=detail, both=0.8 * difficulty)
        if not grade(query, other):
            break
    return Query(phrase(query, random), query, tuple(grade(query, clip.scene) for clip in clips))
