"""Captions of synthetic clips, queries in many wordings, and the relevance of clips to queries."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, permutations
from random import Random
from types import MappingProxyType
from typing import Literal, NamedTuple

from rankvideo_rag.synthetic.scenes import Attributes, Scene

Wordings = Mapping[str, tuple[str, ...]]


def _ways(**ways: str) -> Wordings:
    return MappingProxyType({name: tuple(words.split("|")) for name, words in ways.items()})


# Captions and answers use the first wording of each.
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
BACKGROUND_WAYS = _ways(
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

Kind = Literal["one", "together", "before", "background"]


class VisualQuery(NamedTuple):
    """A query: one shape, two together, one before the other, or a background alone."""

    kind: Kind
    shapes: tuple[Attributes, ...]  # in order of appearance
    background: str | None = None


def query_kind(scene: Scene) -> Kind:
    """Return the kind of query that names all shapes of a scene."""
    return "before" if len(scene.shots) > 1 else "together" if len(scene.shapes) > 1 else "one"


def grade(query: VisualQuery, scene: Scene) -> int:
    """Return 2 if the scene shows what is asked and no other shape, 1 if it shows more, 0 if something is missing.

    Each description needs a shape of its own. "Together" means in one shot, "before" in an earlier one.
    """
    if query.background not in (None, scene.background):
        return 0
    if query.kind == "background":
        return 2
    if query.kind == "before":
        first, then = query.shapes
        shown = any(_shows(one, [first]) and _shows(two, [then]) for one, two in combinations(scene.shots, 2))
    else:
        shown = any(_shows(shot, query.shapes) for shot in scene.shots)
    if not shown:
        return 0
    return 2 if len(scene.shapes) == len(query.shapes) else 1


def hard_negative_kind(query: VisualQuery, scene: Scene) -> str | None:
    """Return what alone keeps a scene from matching: an attribute, the background, `binding` (which shape has it) or `order`.

    None for a scene that matches, for one that lacks more, and where it could be either of two.
    """
    if grade(query, scene):
        return None
    if query.kind == "background":
        return "background"
    missed = {name for name, easier in _without_each(query) if grade(easier, scene)}
    if not missed:
        return "binding" if any(grade(exchanged, scene) for exchanged in _with_exchanges(query)) else None
    return missed.pop() if len(missed) == 1 else None


def phrase(query: VisualQuery, random: Random) -> str:
    """Return the query in a random wording."""
    said = [_noun_phrase(attributes, random) for attributes in query.shapes]
    if query.kind == "together":
        said = [random.choice(TOGETHER).format(*random.sample(said, 2))]
    elif query.kind == "before":
        said = [random.choice(BEFORE + AFTER).format(*said)]
    background = random.choice(BACKGROUND_WAYS[query.background]) if query.background else ""
    return " ".join(filter(None, [*said, background])) if said else f"a video {background}"


def caption(scene: Scene) -> str:
    """Return a sentence that names everything a clip shows.

    >>> caption(Scene(((Attributes("red", "circle", "left", "flashing"),),), "dark"))
    'A red circle moves to the left and flashes, on a dark ground.'
    """
    shots = [" while ".join(map(_clause, shot)) for shot in scene.shots]
    said = shots[0] if len(shots) == 1 else f"first {', then '.join(shots)}"
    return f"{said[0].upper()}{said[1:]}, {BACKGROUND_WAYS[scene.background][0]}."


def _without_each(query: VisualQuery) -> Iterator[tuple[str, VisualQuery]]:
    """Yield what the query asks for, each with the query without it."""
    yield "background", query._replace(background=None)
    for place, attributes in enumerate(query.shapes):
        for name in Attributes._fields:
            shapes = (*query.shapes[:place], attributes._replace(**{name: None}), *query.shapes[place + 1 :])
            yield name, query._replace(shapes=shapes)
    if query.kind == "before":
        yield "order", query._replace(shapes=query.shapes[::-1])
        yield "order", query._replace(kind="together")


def _with_exchanges(query: VisualQuery) -> Iterator[VisualQuery]:
    """Yield a query for two shapes with one attribute exchanged between them."""
    for one, two in [query.shapes] if len(query.shapes) == 2 else []:
        for name in Attributes._fields:
            pair = one._replace(**{name: getattr(two, name)}), two._replace(**{name: getattr(one, name)})
            yield query._replace(shapes=pair)


def _shows(shot: Sequence[Attributes], shapes: Sequence[Attributes]) -> bool:
    return any(all(map(_matches, shapes, shown)) for shown in permutations(shot, len(shapes)))


def _matches(asked: Attributes, shown: Attributes) -> bool:
    """Return whether a shape has all attributes that are named."""
    return all(wanted in (None, found) for wanted, found in zip(asked, shown, strict=True))


def _noun_phrase(attributes: Attributes, random: Random) -> str:
    """Return 'a crimson disc that moves up and that blinks', 'something blue' or the like."""
    colour = random.choice(COLOUR_WAYS[attributes.colour]) if attributes.colour else ""
    shape = random.choice(SHAPE_WAYS[attributes.shape]) if attributes.shape else ""
    named = _with_article(f"{colour} {shape}".strip()) if shape else f"something {colour}".strip()
    motion = random.choice(MOTION_WAYS[attributes.motion]) if attributes.motion else ""
    event = random.choice(EVENT_WAYS[attributes.event]) if attributes.event else ""
    return " ".join(filter(None, (named, " and ".join(filter(None, (motion, event))))))


def _clause(shape: Attributes) -> str:
    return (
        f"{_with_article(f'{shape.colour} {shape.shape}')} {_MOVES[shape.motion or 'still']}{_HAPPENS[shape.event or 'steady']}"
    )


def _with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
