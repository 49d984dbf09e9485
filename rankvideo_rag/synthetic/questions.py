"""Questions about clips of the little world, judged from the records alone: which clips answer them, with what, and where.

They are of the eye (one shape, two together, one before another, a ground), of what is said and of what is written.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal

from rankvideo_rag.schema import Channel, Record
from rankvideo_rag.synthetic import grammar
from rankvideo_rag.synthetic.facts import question_of
from rankvideo_rag.synthetic.grammar import Request, caption, grade, kind_of, phrase
from rankvideo_rag.synthetic.scenes import Cast, WorldClip, is_held_out

Kind = grammar.Kind | Literal["speech", "on_screen"]

_NEAR_MISSES = 4  # single shapes that differ from one in one attribute: a clip with fewer is asked for in no question


class ReferenceClaim(Record):
    """A sentence that a right answer holds, and where it can be seen or heard: file stem, start and end in seconds."""

    text: str
    spans: tuple[tuple[str, float, float], ...]


class Question(Record):
    """A question, where its evidence is, which clips answer it and what a right answer claims."""

    question_id: str
    text: str
    kind: Kind
    channel: Channel
    request: Request | None = None  # what is asked of the eye
    judgements: dict[str, int]  # file stem -> 2: shows just that, 1: shows it beside something else; all others 0
    claims: tuple[ReferenceClaim, ...]

    @property
    def held_out(self) -> bool:
        """Whether it names a combination that no training clip shows."""
        return self.request is not None and any(is_held_out(look) for look in self.request.looks)

    @property
    def answer(self) -> str:
        return " ".join(claim.text for claim in self.claims)


def questions(clips: Sequence[WorldClip]) -> list[Question]:
    """Every question that these clips give rise to: of the eye, of what is said and of what is written, in this order."""
    requests = dict.fromkeys(_requests([clip.cast for clip in clips]))
    seen = [_visual(request, clips, number) for number, request in enumerate(requests, start=1)]
    said = [_said(clip) for clip in clips if clip.narration]
    return seen + said + [_written(clip, clip.sign) for clip in clips if clip.sign]


def _requests(casts: Sequence[Cast]) -> Iterator[Request]:
    """What is asked of each family: of a shape in full and in part, of two together, of one before the other."""
    for cast in _rivalled(casts):
        yield from _about_one(cast)
    kin: dict[tuple[object, ...], list[Cast]] = defaultdict(list)
    for cast in casts:
        if len(cast.looks) == 2:
            kin[_kin(cast)].append(cast)
    for family in kin.values():
        for kind in ("together", "before"):
            alike = [cast for cast in family if kind_of(cast) == kind]
            if len(alike) > 1:
                yield from map(_about_two, alike[:2])


def _about_one(cast: Cast) -> Iterator[Request]:
    (look,) = cast.looks
    told = look if look.event != "steady" else look._replace(event=None)
    yield Request("one", (told,), cast.ground)
    yield Request("one", (told._replace(shape=None),))
    yield Request("one", (told._replace(colour=None),), cast.ground)
    yield Request("one", (told._replace(motion=None),))
    yield Request("ground", (), cast.ground)


def _about_two(cast: Cast) -> Request:
    return Request(kind_of(cast), tuple(look._replace(event=None) for look in cast.looks))


def _rivalled(casts: Sequence[Cast]) -> list[Cast]:
    """Those of a single shape that have enough near misses to be asked for."""
    singles = list(dict.fromkeys(cast for cast in casts if len(cast.looks) == 1))
    return [cast for cast in singles if sum(_apart(cast, other) == 1 for other in singles) >= _NEAR_MISSES]


def _apart(one: Cast, other: Cast) -> int:
    """In how many attributes, the ground among them, two clips of a single shape differ."""
    pairs = zip((*one.looks[0], one.ground), (*other.looks[0], other.ground), strict=True)
    return sum(a != b for a, b in pairs)


def _kin(cast: Cast) -> tuple[object, ...]:
    """What casts share that differ in nothing but who has what, and what comes first."""
    return (cast.ground, *(frozenset(values) for values in zip(*cast.looks, strict=True)))


def _visual(request: Request, clips: Sequence[WorldClip], number: int) -> Question:
    judgements = {clip.stem: grade(request, clip.cast) for clip in clips}
    best = max(judgements.values())
    shown: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    for clip in clips:
        if judgements[clip.stem] == best:
            shown[caption(clip.cast)].append((clip.stem, 0.0, clip.seconds))
    return Question(
        question_id=f"visual-{number:03d}",
        text=phrase(request, Random(number)),
        kind=request.kind,
        channel="visual",
        request=request,
        judgements={stem: value for stem, value in judgements.items() if value},
        claims=tuple(ReferenceClaim(text=text, spans=tuple(spans)) for text, spans in shown.items()),
    )


def _said(clip: WorldClip) -> Question:
    line = clip.narration[0]
    return Question(
        question_id=f"speech-{clip.stem}",
        text=question_of(line.text),
        kind="speech",
        channel="speech",
        judgements={clip.stem: 2},
        claims=(ReferenceClaim(text=line.text, spans=((clip.stem, line.start, line.end),)),),
    )


def _written(clip: WorldClip, sign: str) -> Question:
    return Question(
        question_id=f"on_screen-{clip.stem}",
        text=question_of(sign),
        kind="on_screen",
        channel="on_screen",
        judgements={clip.stem: 2},
        claims=(ReferenceClaim(text=f"The sign reads {sign}.", spans=((clip.stem, 0.0, clip.seconds),)),),
    )
