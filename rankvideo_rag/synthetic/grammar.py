"""The English of the little world: a clip in a sentence, a request in many wordings, and whether a clip grants a request.

Pure: it knows records and words, no pixels, files or models.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from random import Random
from types import MappingProxyType
from typing import Literal, NamedTuple

from rankvideo_rag.synthetic.scenes import Cast, Look

Words = Mapping[str, tuple[str, ...]]


def _ways(**ways: str) -> Words:
    return MappingProxyType({name: tuple(words.split("|")) for name, words in ways.items()})


# The first of each is the plain one: captions and answers use it.
COLOUR_WAYS = _ways(
    red="red|crimson|scarlet", orange="orange|amber", yellow="yellow|golden", green="green|emerald", blue="blue|azure",
    purple="purple|violet",
)  # fmt: skip
SHAPE_WAYS = _ways(circle="circle|disc", square="square|box", triangle="triangle|wedge")
MOTION_WAYS = _ways(
    left="moving to the left|that moves left|moving leftwards",
    right="moving to the right|that moves right|moving rightwards",
    up="moving upwards|that moves up|rising",
    down="moving downwards|that moves down|sinking",
    still="that stays still|that does not move|standing motionless",
)
EVENT_WAYS = _ways(
    steady="always in sight|that never disappears",
    flashing="that flashes|that blinks",
    vanishing="that vanishes|that disappears halfway",
    appearing="that appears late|that comes into sight halfway",
)
GROUND_WAYS = _ways(
    dark="on a dark ground|against a dark background",
    grey="on a grey ground|against a grey background",
    sandy="on a sandy ground|against a sandy background",
    navy="on a navy ground|against a navy background",
)
_MOVES = {
    "left": "moves to the left",
    "right": "moves to the right",
    "up": "moves upwards",
    "down": "moves downwards",
    "still": "stays still",
}
_HAPPENS = {"steady": "", "flashing": " and flashes", "vanishing": " and vanishes", "appearing": " and appears late"}
TOGETHER = ("{0} together with {1}", "{0} and {1} at the same time", "{0} beside {1}")
BEFORE = ("{0} before {1}", "first {0}, then {1}", "{0}, followed by {1}")
AFTER = ("{1} after {0}", "{1} that comes after {0}")

Kind = Literal["one", "together", "before", "ground"]


class Request(NamedTuple):
    """What somebody wants to see: one shape, two together, one before the other, or a ground alone."""

    kind: Kind
    looks: tuple[Look, ...]  # in the order in which they come
    ground: str | None = None


def kind_of(cast: Cast) -> Kind:
    """How to ask for all that a clip shows."""
    return "before" if len(cast.scenes) > 1 else "together" if len(cast.looks) > 1 else "one"


def grade(request: Request, cast: Cast) -> int:
    """2 when the clip shows what is asked and no further shape, 1 when it shows more, 0 when something is missing or untrue.

    Each description needs a shape of its own. "Together" means in one scene, "before" in an earlier one.
    """
    if request.ground not in (None, cast.ground):
        return 0
    if request.kind == "ground":
        return 2
    if request.kind == "before":
        first, then = request.looks
        shown = any(_holds(one, [first]) and _holds(two, [then]) for one, two in combinations(cast.scenes, 2))
    else:
        shown = any(_holds(scene, request.looks) for scene in cast.scenes)
    if not shown:
        return 0
    return 2 if len(cast.looks) == len(request.looks) else 1


def near_miss(request: Request, cast: Cast) -> str | None:
    """What alone keeps a clip from granting a request: an attribute, the ground, `binding` (who has which) or `order`.

    None for a clip that grants it, for one that misses it by more, and where either of two could be to blame.
    """
    if grade(request, cast):
        return None
    if request.kind == "ground":
        return "ground"
    missed = {name for name, easier in _eased(request) if grade(easier, cast)}
    if not missed:
        return "binding" if any(grade(exchanged, cast) for exchanged in _exchanged(request)) else None
    return missed.pop() if len(missed) == 1 else None


def phrase(request: Request, random: Random) -> str:
    """The request in words drawn by lot: many wordings for one request."""
    said = [_noun_phrase(look, random) for look in request.looks]
    if request.kind == "together":
        said = [random.choice(TOGETHER).format(*random.sample(said, 2))]
    elif request.kind == "before":
        said = [random.choice(BEFORE + AFTER).format(*said)]
    ground = random.choice(GROUND_WAYS[request.ground]) if request.ground else ""
    return " ".join(filter(None, [*said, ground])) if said else f"a video {ground}"


def caption(cast: Cast) -> str:
    """The clip in one sentence that names everything.

    >>> caption(Cast(((Look("red", "circle", "left", "flashing"),),), "dark"))
    'A red circle moves to the left and flashes, on a dark ground.'
    """
    scenes = [" while ".join(map(_clause, scene)) for scene in cast.scenes]
    said = scenes[0] if len(scenes) == 1 else f"first {', then '.join(scenes)}"
    return f"{said[0].upper()}{said[1:]}, {GROUND_WAYS[cast.ground][0]}."


def _eased(request: Request) -> Iterator[tuple[str, Request]]:
    """The request without one of the things that it asks for, and what that is."""
    yield "ground", request._replace(ground=None)
    for place, look in enumerate(request.looks):
        for name in Look._fields:
            looks = (*request.looks[:place], look._replace(**{name: None}), *request.looks[place + 1 :])
            yield name, request._replace(looks=looks)
    if request.kind == "before":
        yield "order", request._replace(looks=request.looks[::-1])
        yield "order", request._replace(kind="together")


def _exchanged(request: Request) -> Iterator[Request]:
    """A request for two shapes with one attribute exchanged between them."""
    for one, two in [request.looks] if len(request.looks) == 2 else []:
        for name in Look._fields:
            pair = one._replace(**{name: getattr(two, name)}), two._replace(**{name: getattr(one, name)})
            yield request._replace(looks=pair)


def _holds(scene: Sequence[Look], looks: Sequence[Look]) -> bool:
    return any(all(map(_fits, looks, shown)) for shown in permutations(scene, len(looks)))


def _fits(asked: Look, shown: Look) -> bool:
    """Whether everything that is described is true of the shape."""
    return all(wanted in (None, found) for wanted, found in zip(asked, shown, strict=True))


def _noun_phrase(look: Look, random: Random) -> str:
    """'a crimson disc that moves up and that blinks', 'something blue', 'something that vanishes'."""
    colour = random.choice(COLOUR_WAYS[look.colour]) if look.colour else ""
    shape = random.choice(SHAPE_WAYS[look.shape]) if look.shape else ""
    named = _with_article(f"{colour} {shape}".strip()) if shape else f"something {colour}".strip()
    motion = random.choice(MOTION_WAYS[look.motion]) if look.motion else ""
    event = random.choice(EVENT_WAYS[look.event]) if look.event else ""
    return " ".join(filter(None, (named, " and ".join(filter(None, (motion, event))))))


def _clause(look: Look) -> str:
    return f"{_with_article(f'{look.colour} {look.shape}')} {_MOVES[look.motion or 'still']}{_HAPPENS[look.event or 'steady']}"


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
