"""Hand-made synthetic clips, and a parser of their captions and queries that is independent of the grammar."""

import re

from rankvideo_rag.synthetic import Shape, SyntheticClip
from rankvideo_rag.synthetic.grammar import VisualQuery
from rankvideo_rag.synthetic.scenes import Attributes, Event, Scene

_MEANS = {
    "colour": {
        "red": "red crimson scarlet",
        "orange": "orange amber",
        "yellow": "yellow golden",
        "green": "green emerald",
        "blue": "blue azure",
        "purple": "purple violet",
    },
    "shape": {"circle": "circle disc", "square": "square box", "triangle": "triangle wedge"},
    "motion": {
        "left": "left leftwards",
        "right": "right rightwards",
        "up": "up upwards rising",
        "down": "down downwards sinking",
        "still": "still motionless does_not_move",
    },
    "event": {
        "steady": "always_in_sight never_disappears",
        "flashing": "flashes blinks",
        "vanishing": "vanishes disappears_halfway",
        "appearing": "appears_late comes_into_sight_halfway",
    },
}
_GROUND = re.compile(r",? ?(?:on|against) a (dark|grey|sandy|navy) (?:ground|background)\.?$")
_TWO = (  # kind of request, whether the first shape named is the first one shown, the words between
    ("before", True, r"first (.+), then (.+)"),
    ("before", True, r"(.+), followed by (.+)"),
    ("before", True, r"(.+) before (.+)"),
    ("before", False, r"(.+) that comes after (.+)"),
    ("before", False, r"(.+) after (.+)"),
    ("together", True, r"(.+) together with (.+)"),
    ("together", True, r"(.+) and ((?:an?|something) .+) at the same time"),
    ("together", True, r"(.+) and (something) at the same time"),
    ("together", True, r"(.+) beside (.+)"),
)


def make_shape(colour: str, shape: str, motion: str, event: Event = "steady", *, x: float = 128, y: float = 150) -> Shape:
    """A shape of 50 pixels that goes 80 pixels far, with (x, y) in the middle of its path."""
    return Shape(
        colour=colour, shape=shape, motion=motion, event=event, size=50, x=x, y=y, reach=0 if motion == "still" else 80
    )


def clip(stem: str, *shots: Shape | tuple[Shape, Shape], background: str = "dark", seconds: float = 4) -> SyntheticClip:
    shown = tuple(shot if isinstance(shot, tuple) else (shot,) for shot in shots)
    return SyntheticClip(stem=stem, seconds=seconds, background=background, shots=shown)


def parse_query(text: str) -> VisualQuery:
    """Parse a query, or a caption worded like one."""
    text = text[0].lower() + text[1:].removesuffix(".")
    background = found[1] if (found := _GROUND.search(text)) else None
    rest = _GROUND.sub("", text)
    if rest == "a video":
        return VisualQuery("background", (), background)
    for kind, in_order, pattern in _TWO:
        if two := re.fullmatch(pattern, rest):
            one, other = _attributes(two[1]), _attributes(two[2])
            return VisualQuery(kind, (one, other) if in_order else (other, one), background)  # type: ignore[arg-type]
    return VisualQuery("one", (_attributes(rest),), background)


def parse_caption(caption: str) -> Scene:
    """Parse a plain caption."""
    text = caption[0].lower() + caption[1:]
    background = _GROUND.search(text)
    assert background, caption
    shots = _GROUND.sub("", text).removeprefix("first ").split(", then ")
    return Scene(tuple(tuple(_whole(_attributes(said)) for said in shot.split(" while ")) for shot in shots), background[1])


def _attributes(text: str) -> Attributes:
    words = f" {text} "
    found: dict[str, str] = {}
    for attribute, table in _MEANS.items():
        values = [value for value, ways in table.items() for way in ways.split() if f" {way.replace('_', ' ')} " in words]
        assert len(values) <= 1, (text, values)
        found |= dict.fromkeys([attribute], values[0]) if values else {}
    return Attributes(**found)


def _whole(attributes: Attributes) -> Attributes:
    """Captions do not name the event "steady"."""
    return attributes._replace(event=attributes.event or "steady")
