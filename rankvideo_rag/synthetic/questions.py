"""Questions about synthetic clips, with judgements and reference answers derived from the records.

They ask for what is visible (one shape, two together, one before another, a background), for speech and for on-screen text.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

from rankvideo_rag.schema import Channel, Record
from rankvideo_rag.synthetic import grammar
from rankvideo_rag.synthetic.facts import question_for
from rankvideo_rag.synthetic.grammar import VisualQuery, caption, grade, phrase, query_kind
from rankvideo_rag.synthetic.scenes import Scene, SyntheticClip, is_held_out

Kind = grammar.Kind | Literal["speech", "on_screen"]

_MIN_HARD_NEGATIVES = 4  # single shapes that differ in one attribute, for a clip to be asked for


class ExpectedClaim(Record):
    """A sentence of a correct answer, and its evidence: file stem, start and end in seconds."""

    text: str
    spans: tuple[tuple[str, float, float], ...]


class Question(Record):
    """A question, the channel of its evidence, the clips that answer it and what a correct answer claims."""

    question_id: str
    text: str
    kind: Kind
    channel: Channel
    query: VisualQuery | None = None  # of a visual question
    judgements: dict[str, int]  # file stem -> 2: shows only that, 1: shows more; others 0
    claims: tuple[ExpectedClaim, ...]

    @property
    def held_out(self) -> bool:
        """Return whether it names a combination that is in no training clip."""
        return self.query is not None and any(is_held_out(attributes) for attributes in self.query.shapes)

    @property
    def answer(self) -> str:
        """Return the reference answer."""
        return " ".join(claim.text for claim in self.claims)


def generate_questions(clips: Sequence[SyntheticClip]) -> list[Question]:
    """Return all questions about these clips: visual ones, then of speech, then of on-screen text."""
    queries = dict.fromkeys(_visual_queries([clip.scene for clip in clips]))
    seen = [_visual_question(query, clips, number) for number, query in enumerate(queries, start=1)]
    said = [_speech_question(clip) for clip in clips if clip.narration]
    return seen + said + [_sign_question(clip, clip.sign) for clip in clips if clip.sign]


def _visual_queries(scenes: Sequence[Scene]) -> Iterator[VisualQuery]:
    """Yield queries: for one shape in full and in part, for two together, for one before the other."""
    for scene in _with_hard_negatives(scenes):
        yield from _queries_for_one(scene)
    groups: dict[tuple[object, ...], list[Scene]] = defaultdict(list)
    for scene in scenes:
        if len(scene.shapes) == 2:
            groups[_group_key(scene)].append(scene)
    for group in groups.values():
        for kind in ("together", "before"):
            alike = [scene for scene in group if query_kind(scene) == kind]
            if len(alike) > 1:
                yield from map(_query_for_two, alike[:2])


def _queries_for_one(scene: Scene) -> Iterator[VisualQuery]:
    (attributes,) = scene.shapes
    told = attributes if attributes.event != "steady" else attributes._replace(event=None)
    yield VisualQuery("one", (told,), scene.background)
    yield VisualQuery("one", (told._replace(shape=None),))
    yield VisualQuery("one", (told._replace(colour=None),), scene.background)
    yield VisualQuery("one", (told._replace(motion=None),))
    yield VisualQuery("background", (), scene.background)


def _query_for_two(scene: Scene) -> VisualQuery:
    return VisualQuery(query_kind(scene), tuple(attributes._replace(event=None) for attributes in scene.shapes))


def _with_hard_negatives(scenes: Sequence[Scene]) -> list[Scene]:
    """Return the scenes of a single shape that have enough hard negatives."""
    singles = list(dict.fromkeys(scene for scene in scenes if len(scene.shapes) == 1))
    return [scene for scene in singles if sum(_differences(scene, other) == 1 for other in singles) >= _MIN_HARD_NEGATIVES]


def _differences(one: Scene, other: Scene) -> int:
    """Return in how many attributes, and background, two scenes of a single shape differ."""
    pairs = zip((*one.shapes[0], one.background), (*other.shapes[0], other.background), strict=True)
    return sum(a != b for a, b in pairs)


def _group_key(scene: Scene) -> tuple[object, ...]:
    """Return what scenes share that differ only in which shape has which attribute, and in order."""
    return (scene.background, *(frozenset(values) for values in zip(*scene.shapes, strict=True)))


def _visual_question(query: VisualQuery, clips: Sequence[SyntheticClip], number: int) -> Question:
    judgements = {clip.stem: grade(query, clip.scene) for clip in clips}
    best = max(judgements.values())
    shown: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for clip in clips:
        if judgements[clip.stem] == best:
            shown[caption(clip.scene)].append((clip.stem, 0.0, clip.seconds))
    return Question(
        question_id=f"visual-{number:03d}",
        text=phrase(query, Random(number)),
        kind=query.kind,
        channel="visual",
        query=query,
        judgements={stem: value for stem, value in judgements.items() if value},
        claims=tuple(ExpectedClaim(text=text, spans=tuple(spans)) for text, spans in shown.items()),
    )


def _speech_question(clip: SyntheticClip) -> Question:
    line = clip.narration[0]
    return Question(
        question_id=f"speech-{clip.stem}",
        text=question_for(line.text),
        kind="speech",
        channel="speech",
        judgements={clip.stem: 2},
        claims=(ExpectedClaim(text=line.text, spans=((clip.stem, line.start, line.end),)),),
    )


def _sign_question(clip: SyntheticClip, sign: str) -> Question:
    return Question(
        question_id=f"on_screen-{clip.stem}",
        text=question_for(sign),
        kind="on_screen",
        channel="on_screen",
        judgements={clip.stem: 2},
        claims=(ExpectedClaim(text=f"The sign reads {sign}.", spans=((clip.stem, 0.0, clip.seconds),)),),
    )
