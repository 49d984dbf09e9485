"""Questions about clips of the little world, with the clips that answer them and the answer: judged from the records alone."""

from collections.abc import Sequence
from itertools import permutations

from rankvideo_rag.demo.facts import FACTS, SIGNS
from rankvideo_rag.demo.world import Cast, Thing, WorldClip
from rankvideo_rag.media.pixels import Description
from rankvideo_rag.schema import Channel, Record

_QUESTION_OF_SIGN = {sign.text: sign.question for sign in SIGNS}
_QUESTION_OF_SENTENCE = {fact.sentences[0]: fact.question for fact in FACTS}
_WAYS_TO_ASK = {
    "left": ("moving to the left", "that moves left", "moving leftwards"),
    "right": ("moving to the right", "that moves right", "moving rightwards"),
    "up": ("moving upwards", "that moves up", "rising"),
    "down": ("moving downwards", "that moves down", "sinking"),
    "still": ("that stays still", "that does not move", "standing motionless"),
}
_MOVES = {
    "left": "moves to the left",
    "right": "moves to the right",
    "up": "moves upwards",
    "down": "moves downwards",
    "still": "stays still",
}
_HARD_NEGATIVES = 3  # single shapes that differ in one attribute: fewer make no visual question


class Question(Record):
    """A question, where its evidence is, which clips answer it and what the answer is."""

    question_id: str
    text: str
    channel: Channel
    judgements: dict[str, int]  # file stem -> 2: shows just that, 1: shows it beside something else; all others 0
    answer: str


def questions(clips: Sequence[WorldClip]) -> list[Question]:
    """Every question that these clips give rise to: of the eye, of what is said and of what is written, in this order."""
    seen = [_visual(cast, clips, number) for number, cast in enumerate(_casts_to_ask(clips), start=1)]
    said = [
        Question(
            question_id=f"speech-{clip.stem}",
            text=_QUESTION_OF_SENTENCE[clip.narration[0].text],
            channel="speech",
            judgements={clip.stem: 2},
            answer=clip.narration[0].text,
        )
        for clip in clips
        if clip.narration
    ]
    written = [
        Question(
            question_id=f"on_screen-{clip.stem}",
            text=_QUESTION_OF_SIGN[clip.sign],
            channel="on_screen",
            judgements={clip.stem: 2},
            answer=f"The sign reads {clip.sign}.",
        )
        for clip in clips
        if clip.sign
    ]
    return seen + said + written


def grade(cast: Cast, clip: WorldClip) -> int:
    """2 when the clip shows each described shape and nothing else, 1 when it shows more, 0 when one is missing.

    Every description needs a shape of its own.
    """
    shown = any(
        all(_fits(part, thing) for part, thing in zip(cast, things, strict=True))
        for things in permutations(clip.things, len(cast))
    )
    return (2 if len(cast) == len(clip.things) else 1) if shown else 0


def _fits(part: Description, thing: Thing) -> bool:
    """Whether everything that is described is true of the thing."""
    found = (thing.colour, thing.shape, thing.motion)
    return all(wanted in (None, value) for wanted, value in zip(part, found, strict=True))


def _visual(cast: Cast, clips: Sequence[WorldClip], number: int) -> Question:
    judgements = {clip.stem: grade(cast, clip) for clip in clips}
    best = max(judgements.values())
    sentences = {_sentence(clip): None for clip in clips if judgements[clip.stem] == best}  # distinct, in order
    return Question(
        question_id=f"visual-{number:02d}",
        text=" and ".join(_phrase(part, number) for part in cast),
        channel="visual",
        judgements={stem: value for stem, value in judgements.items() if value},
        answer=" ".join(sentences),
    )


def _casts_to_ask(clips: Sequence[WorldClip]) -> list[Cast]:
    """Single shapes that have hard negatives, in full and without shape or colour; one pair of shapes of each kin."""
    casts = [_cast(clip) for clip in clips]
    singles = list(dict.fromkeys(cast[0] for cast in casts if len(cast) == 1))
    rivalled = [one for one in singles if sum(_attributes_apart(one, other) == 1 for other in singles) >= _HARD_NEGATIVES]
    partial = [(part,) for one in rivalled for part in (one, one._replace(shape=None), one._replace(colour=None))]
    pairs = {_kin(cast): cast for cast in casts if len(cast) == 2}
    return list(dict.fromkeys([*partial, *pairs.values()]))


def _cast(clip: WorldClip) -> Cast:
    return tuple(Description(thing.colour, thing.shape, thing.motion) for thing in clip.things)


def _kin(cast: Cast) -> tuple[frozenset[str | None], ...]:
    """What casts share that differ in nothing but which shape has which attribute."""
    return tuple(frozenset(attribute) for attribute in zip(*cast, strict=True))


def _attributes_apart(one: Description, other: Description) -> int:
    return sum(a != b for a, b in zip(one, other, strict=True))


def _named(part: Description) -> str:
    """'a red circle', 'an orange square', 'a circle', 'something red'."""
    if part.shape is None:
        return f"something {part.colour}"
    words = f"{part.colour} {part.shape}" if part.colour else part.shape
    return f"{'an' if words.startswith('orange') else 'a'} {words}"


def _phrase(part: Description, number: int) -> str:
    """The description in words; questions of different number use different ones."""
    ways = _WAYS_TO_ASK[part.motion or "still"]
    return f"{_named(part)} {ways[number % len(ways)]}"


def _sentence(clip: WorldClip) -> str:
    parts = " and ".join(f"{_named(part)} {_MOVES[part.motion or 'still']}" for part in _cast(clip))
    return f"{parts[0].upper()}{parts[1:]}."
