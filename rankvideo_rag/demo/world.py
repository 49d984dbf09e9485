"""The little world as records: which shapes a clip holds, where they go, what is written and said. Nothing here draws.

Clips come in families that differ in one attribute, so that a question about one of them has hard negatives.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil
from random import Random
from typing import TypeVar

from rankvideo_rag.demo.facts import FACTS, SIGNS, Fact, Sign
from rankvideo_rag.errors import InputError
from rankvideo_rag.media.pixels import COLOURS, GROUNDS, MOTIONS, SHAPES, Description
from rankvideo_rag.schema import Record, TextSpan

WIDTH, HEIGHT, FPS = 320, 240, 8
SIGN_HEIGHT = 60  # pixels at the top that are kept for a sign; shapes move below
_MARGIN = 8  # pixels that stay free at every border
_SHARE_WITH_WORDS = 0.4  # of the clips carry a sign, and as many have a narrator

T = TypeVar("T")


class Thing(Record):
    """One moving shape. Colour, shape and motion are those of `media.pixels`."""

    colour: str
    shape: str
    motion: str
    size: float  # pixels, sides of the bounding box
    x: float  # pixels, the middle of its path
    y: float
    reach: float  # pixels from the beginning of its path to the end; 0 where it stays still


class WorldClip(Record):
    """One clip. Its file stem says nothing of what it shows."""

    stem: str
    seconds: float
    ground: str
    things: tuple[Thing, ...]  # one, or two that keep to their own halves
    sign: str | None = None
    narration: tuple[TextSpan, ...] = ()


Cast = tuple[Description, ...]


def plan_clips(clips: int = 24, *, seed: int = 0) -> list[WorldClip]:
    """Invent that many clips, clip-01, clip-02, …: the same seed gives the same world.

    No sign and no fact comes twice; where they run out, clips have none. Raises InputError for fewer clips than one.
    """
    if clips < 1:
        raise InputError(f"a world of {clips} clips: it needs at least 1")
    random = Random(seed)
    casts = list(islice(_casts(random), clips))
    random.shuffle(casts)
    signs, facts = _dealt(SIGNS, clips, random), _dealt(FACTS, clips, random)
    return [
        _clip(f"clip-{number + 1:02d}", cast, signs.get(number), facts.get(number), random) for number, cast in enumerate(casts)
    ]


def _casts(random: Random) -> Iterator[Cast]:
    colours, shapes, motions = _deck(COLOURS, random), _deck(SHAPES, random), _deck(MOTIONS, random)
    while True:
        yield from _single_family(Description(next(colours), next(shapes), next(motions)), random)
        yield from _pair_family(random)


def _deck(values: Sequence[str], random: Random) -> Iterator[str]:
    """Every value once in a random order, then again: families of a small world differ as much as they can."""
    while True:
        yield from random.sample(values, len(values))


def _single_family(target: Description, random: Random) -> Iterator[Cast]:
    """A shape, and four that differ from it in one attribute."""
    yield (target,)
    for motion in random.sample([motion for motion in MOTIONS if motion != target.motion], 2):
        yield (target._replace(motion=motion),)
    yield (target._replace(shape=random.choice([shape for shape in SHAPES if shape != target.shape])),)
    yield (target._replace(colour=random.choice([colour for colour in COLOURS if colour != target.colour])),)


def _pair_family(random: Random) -> Iterator[Cast]:
    """Two shapes, then the same with the colours exchanged, then with the motions exchanged."""
    colours, shapes, motions = random.sample(COLOURS, 2), random.sample(SHAPES, 2), random.sample(MOTIONS, 2)
    for colour_order, motion_order in ((1, 1), (-1, 1), (1, -1)):
        parts = zip(colours[::colour_order], shapes, motions[::motion_order], strict=True)
        yield tuple(Description(*part) for part in parts)


def _dealt(texts: Sequence[T], clips: int, random: Random) -> dict[int, T]:
    """Texts handed out to some of the clips, each once, by the number of the clip."""
    count = min(ceil(_SHARE_WITH_WORDS * clips), len(texts))
    return dict(zip(random.sample(range(clips), count), random.sample(texts, count), strict=True))


def _clip(stem: str, cast: Cast, sign: Sign | None, fact: Fact | None, random: Random) -> WorldClip:
    seconds = random.choice((4.0, 5.0, 6.0))
    width = WIDTH / len(cast)
    return WorldClip(
        stem=stem,
        seconds=seconds,
        ground=random.choice(list(GROUNDS)),
        things=tuple(_thing(part, number * width, (number + 1) * width, random) for number, part in enumerate(cast)),
        sign=sign.text if sign else None,
        narration=tuple(_narration(fact.sentences, seconds)) if fact else (),
    )


def _thing(part: Description, left: float, right: float, random: Random) -> Thing:
    """A shape that has the room between two verticals to itself."""
    size = round(random.uniform(44, 60), 1)
    horizontal, vertical = part.motion in ("left", "right"), part.motion in ("up", "down")
    spare_x = right - left - 2 * _MARGIN - size
    spare_y = HEIGHT - SIGN_HEIGHT - 2 * _MARGIN - size
    reach = round(random.uniform(0.7, 0.95) * (spare_x * horizontal + spare_y * vertical), 1)
    x = (left + right) / 2 + random.uniform(-0.5, 0.5) * (spare_x - reach * horizontal)
    y = (SIGN_HEIGHT + HEIGHT) / 2 + random.uniform(-0.5, 0.5) * (spare_y - reach * vertical)
    return Thing(colour=part.colour, shape=part.shape, motion=part.motion, size=size, x=round(x, 1), y=round(y, 1), reach=reach)


def _narration(sentences: Sequence[str], seconds: float) -> Iterator[TextSpan]:
    """Sentences one after the other, with a short silence around each."""
    step = seconds / len(sentences)
    for number, sentence in enumerate(sentences):
        start, end = round(number * step + 0.3, 2), round((number + 1) * step - 0.2, 2)
        yield TextSpan(channel="speech", text=sentence, start=start, end=end, source="subtitles")
