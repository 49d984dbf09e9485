"""Questions about clips of the little world, judged from the records alone: which clips answer them, with what, and where.

They are of the eye (one shape, two together, one before another, a ground), of what is said and of what is written.
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

_NEAR_MISSES = 4  # single shapes that differ from one in one attribute: a clip with fewer is asked for in no question


class ExpectedClaim(Record):
    """A sentence that a right answer holds, and where it can be seen or heard: file stem, start and end in seconds."""

    text: str
    spans: tuple[tuple[str, float, float], ...]


class Question(Record):
    """A question, where its evidence is, which clips answer it and what a right answer claims."""

    question_id: str
    text: str
    kind: Kind
    channel: Channel
    query: VisualQuery | None = None  # what is asked of the eye
    judgements: dict[str, int]  # file stem -> 2: shows just that, 1: shows it beside something else; all others 0
    claims: tuple[ExpectedClaim, ...]

    @property
    def held_out(self) -> bool:
        """Whether it names a combination that no training clip shows."""
        return self.query is not None and any(is_held_out(attributes) for attributes in self.query.shapes)

    @property
    def answer(self) -> str:
        return " ".join(claim.text for claim in self.claims)


def generate_questions(clips: Sequence[SyntheticClip]) -> list[Question]:
    """Every question that these clips give rise to: of the eye, of what is said and of what is written, in this order."""
    requests = dict.fromkeys(_requests([clip.scene for clip in clips]))
    seen = [_visual(query, clips, number) for number, query in enumerate(requests, start=1)]
    said = [_said(clip) for clip in clips if clip.narration]
    return seen + said + [_written(clip, clip.sign) for clip in clips if clip.sign]


def _requests(scenes: Sequence[Scene]) -> Iterator[VisualQuery]:
    """What is asked of each family: of a shape in full and in part, of two together, of one before the other."""
    for scene in _rivalled(scenes):
        yield from _about_one(scene)
    kin: dict[tuple[object, ...], list[Scene]] = defaultdict(list)
    for scene in scenes:
        if len(scene.shapes) == 2:
            kin[_kin(scene)].append(scene)
    for family in kin.values():
        for kind in ("together", "before"):
            alike = [scene for scene in family if query_kind(scene) == kind]
            if len(alike) > 1:
                yield from map(_about_two, alike[:2])


def _about_one(scene: Scene) -> Iterator[VisualQuery]:
    (attributes,) = scene.shapes
    told = attributes if attributes.event != "steady" else attributes._replace(event=None)
    yield VisualQuery("one", (told,), scene.background)
    yield VisualQuery("one", (told._replace(shape=None),))
    yield VisualQuery("one", (told._replace(colour=None),), scene.background)
    yield VisualQuery("one", (told._replace(motion=None),))
    yield VisualQuery("background", (), scene.background)


def _about_two(scene: Scene) -> VisualQuery:
    return VisualQuery(query_kind(scene), tuple(attributes._replace(event=None) for attributes in scene.shapes))


def _rivalled(scenes: Sequence[Scene]) -> list[Scene]:
    """Those of a single shape that have enough near misses to be asked for."""
    singles = list(dict.fromkeys(scene for scene in scenes if len(scene.shapes) == 1))
    return [scene for scene in singles if sum(_apart(scene, other) == 1 for other in singles) >= _NEAR_MISSES]


def _apart(one: Scene, other: Scene) -> int:
    """In how many attributes, the ground among them, two clips of a single shape differ."""
    pairs = zip((*one.shapes[0], one.background), (*other.shapes[0], other.background), strict=True)
    return sum(a != b for a, b in pairs)


def _kin(scene: Scene) -> tuple[object, ...]:
    """What casts share that differ in nothing but who has what, and what comes first."""
    return (scene.background, *(frozenset(values) for values in zip(*scene.shapes, strict=True)))


def _visual(query: VisualQuery, clips: Sequence[SyntheticClip], number: int) -> Question:
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


def _said(clip: SyntheticClip) -> Question:
    line = clip.narration[0]
    return Question(
        question_id=f"speech-{clip.stem}",
        text=question_for(line.text),
        kind="speech",
        channel="speech",
        judgements={clip.stem: 2},
        claims=(ExpectedClaim(text=line.text, spans=((clip.stem, line.start, line.end),)),),
    )


def _written(clip: SyntheticClip, sign: str) -> Question:
    return Question(
        question_id=f"on_screen-{clip.stem}",
        text=question_for(sign),
        kind="on_screen",
        channel="on_screen",
        judgements={clip.stem: 2},
        claims=(ExpectedClaim(text=f"The sign reads {sign}.", spans=((clip.stem, 0.0, clip.seconds),)),),
    )
