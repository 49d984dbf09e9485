"""The little world as records: which shapes a clip holds, where they go, what is written and said. Nothing here draws.

An archive's clips come in families that differ in one attribute, in who has which, or in what comes first, so that a question
about one of them has hard negatives. Clips to train on are single families of the same kinds, without what is held out.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations, islice, product
from random import Random
from typing import Literal, NamedTuple, TypeVar, get_args

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Record, TextSpan
from rankvideo_rag.synthetic.facts import Fact, Sign, shuffled_facts, shuffled_signs
from rankvideo_rag.testing.pattern_detector import BACKGROUNDS, COLOURS, MOTIONS, SHAPES

WIDTH, HEIGHT, FPS = 256, 256, 8
SIGN_HEIGHT = 48  # pixels at the top that are kept for a sign; shapes move below
_MARGIN = 6  # pixels that stay free at every border
_SHARE_WITH_WORDS = 0.3  # of the clips carry a sign, and as many have a narrator

Event = Literal["steady", "flashing", "vanishing", "appearing"]
EVENTS: tuple[Event, ...] = get_args(Event)

T = TypeVar("T")


class Attributes(NamedTuple):
    """What can be asked about a shape, as far as it is described: what is None is left open."""

    colour: str | None = None
    shape: str | None = None
    motion: str | None = None
    event: str | None = None


ATTRIBUTES = dict(zip(Attributes._fields, (COLOURS, SHAPES, MOTIONS, EVENTS), strict=True))

# Never in a clip or a question to train on: two attributes of one shape, and three.
HELD_OUT_PAIRS = frozenset({("purple", "triangle"), ("yellow", "up"), ("circle", "down")})
HELD_OUT_TRIPLES = frozenset(
    Random(5).sample(
        [
            triple
            for triple in product(COLOURS, SHAPES, MOTIONS)
            if not any(pair in HELD_OUT_PAIRS for pair in combinations(triple, 2))
        ],
        12,
    )
)


class Scene(NamedTuple):
    """What a clip shows, without places and sizes."""

    shots: tuple[tuple[Attributes, ...], ...]  # one after the other; in each one shape, or two that keep to their own halves
    background: str

    @property
    def shapes(self) -> tuple[Attributes, ...]:
        """Every shape, those of the first scene first."""
        return tuple(attributes for shot in self.shots for attributes in shot)


class Shape(Record):
    """One moving shape. Colour, shape and motion are those of `media.pixels`."""

    colour: str
    shape: str
    motion: str
    event: Event = "steady"
    size: float  # pixels, sides of the bounding box
    x: float  # pixels, the middle of its path
    y: float
    reach: float  # pixels from the beginning of its path to the end; 0 where it stays still

    @property
    def attributes(self) -> Attributes:
        return Attributes(self.colour, self.shape, self.motion, self.event)


class SyntheticClip(Record):
    """One clip. Its file stem says nothing of what it shows."""

    stem: str
    seconds: float
    background: str
    shots: tuple[tuple[Shape, ...], ...]  # one after the other, each as long as any
    sign: str | None = None
    narration: tuple[TextSpan, ...] = ()

    @property
    def scene(self) -> Scene:
        return Scene(tuple(tuple(thing.attributes for thing in shot) for shot in self.shots), self.background)


def plan_clips(clips: int = 24, *, seed: int = 0) -> list[SyntheticClip]:
    """Invent that many clips, clip-01, clip-02, …: the same seed gives the same world, held-out combinations included.

    No sign and no fact comes twice. Raises InputError for fewer clips than one.
    """
    if clips < 1:
        raise InputError(f"a world of {clips} clips: it needs at least 1")
    random = Random(seed)
    scenes = list(islice(_archive_casts(random), clips))
    random.shuffle(scenes)
    shown, told = _dealt(shuffled_signs(random), clips, random), _dealt(shuffled_facts(random), clips, random)
    digits = max(2, len(str(clips)))
    return [
        make_clip(scene, random, stem=f"clip-{number + 1:0{digits}d}", sign=shown.get(number), fact=told.get(number))
        for number, scene in enumerate(scenes)
    ]


def training_clip_group(random: Random) -> list[Scene]:
    """A cast and three that differ from it a little, none of them with a held-out combination."""
    while True:
        maker = random.choice((_single_family, _pair_family, _order_family))
        target, *others = maker(_deck_of_looks(random), random)
        family = [target, *random.sample(others, min(3, len(others)))]
        if not any(is_held_out(attributes) for scene in family for shot in scene.shots for attributes in shot):
            return family


def is_held_out(attributes: Attributes) -> bool:
    """Whether a shape has a combination of colour, shape and motion that no training clip shows and no lesson names.

    >>> is_held_out(Look("purple", "triangle", "left")), is_held_out(Look("purple", None, "left"))
    (True, False)
    """
    named = attributes[:3]
    return named in HELD_OUT_TRIPLES or any(pair in HELD_OUT_PAIRS for pair in combinations(named, 2))


def make_clip(scene: Scene, random: Random, *, stem: str, sign: Sign | None = None, fact: Fact | None = None) -> SyntheticClip:
    """A clip with that cast, its places and sizes drawn by lot."""
    seconds = random.choice((4.0, 5.0, 6.0)) if len(scene.shots) == 1 else 8.0
    return SyntheticClip(
        stem=stem,
        seconds=seconds,
        background=scene.background,
        shots=tuple(_scene(shapes, random) for shapes in scene.shots),
        sign=sign.text if sign else None,
        narration=tuple(_narration(fact.sentences, seconds)) if fact else (),
    )


def _archive_casts(random: Random) -> Iterator[Scene]:
    shapes = _deck_of_looks(random)
    while True:
        yield from _single_family(shapes, random)
        yield from _pair_family(shapes, random)
        yield from _order_family(shapes, random)


def _deck_of_looks(random: Random) -> Iterator[Attributes]:
    return map(Attributes, *(_deck(values, random) for values in ATTRIBUTES.values()))


def _deck(values: Sequence[T], random: Random) -> Iterator[T]:
    """Every value once in a random order, then again: families of a small world differ as much as they can."""
    while True:
        yield from random.sample(values, len(values))


def _single_family(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """A shape, and those that differ from it in one attribute: two in motion, one in each other; one on another ground."""
    target, background = next(shapes), random.choice(list(BACKGROUNDS))
    yield Scene(((target,),), background)
    for attribute, count in (("motion", 2), ("shape", 1), ("colour", 1), ("event", 1)):
        for value in random.sample([v for v in ATTRIBUTES[attribute] if v != getattr(target, attribute)], count):
            yield Scene(((target._replace(**{attribute: value}),),), background)
    yield Scene(((target,),), _other(BACKGROUNDS, background, random))


def _pair_family(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """Two shapes, then the same two with one attribute exchanged between them."""
    one, two = _unlike(shapes, random)
    background = random.choice(list(BACKGROUNDS))
    yield Scene((_sides(one, two, random),), background)
    for attribute in ("colour", "shape", "motion"):
        a, b = getattr(one, attribute), getattr(two, attribute)
        yield Scene((_sides(one._replace(**{attribute: b}), two._replace(**{attribute: a}), random),), background)


def _order_family(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """One shape and then another, then the other way round, both together, and the colours exchanged."""
    one, two = _unlike(shapes, random)
    background = random.choice(list(BACKGROUNDS))
    yield Scene(((one,), (two,)), background)
    yield Scene(((two,), (one,)), background)
    yield Scene((_sides(one, two, random),), background)
    yield Scene(((one._replace(colour=two.colour),), (two._replace(colour=one.colour),)), background)


def _unlike(shapes: Iterator[Attributes], random: Random) -> tuple[Attributes, Attributes]:
    """Two shapes that differ in colour, shape and motion, both in sight throughout."""
    one = next(shapes)._replace(event="steady")
    colour, shape, motion = (_other(ATTRIBUTES[name], getattr(one, name), random) for name in ("colour", "shape", "motion"))
    return one, Attributes(colour, shape, motion, "steady")


def _other(values: Iterable[str], value: str, random: Random) -> str:
    return random.choice([other for other in values if other != value])


def _sides(one: Attributes, two: Attributes, random: Random) -> tuple[Attributes, ...]:
    """Who stands left is chance."""
    return (one, two) if random.random() < 0.5 else (two, one)


def _dealt(texts: Sequence[T], clips: int, random: Random) -> dict[int, T]:
    """Texts handed out to some of the clips, each once, by the number of the clip."""
    count = min(round(_SHARE_WITH_WORDS * clips + 0.5), len(texts))
    return dict(zip(random.sample(range(clips), count), texts, strict=False))


def _scene(shapes: Sequence[Attributes], random: Random) -> tuple[Shape, ...]:
    width = WIDTH / len(shapes)
    return tuple(_thing(attributes, number * width, (number + 1) * width, random) for number, attributes in enumerate(shapes))


def _thing(attributes: Attributes, left: float, right: float, random: Random) -> Shape:
    """A shape that has the room between two verticals to itself."""
    size = round(random.uniform(62, 76), 1)
    horizontal, vertical = attributes.motion in ("left", "right"), attributes.motion in ("up", "down")
    spare_x = right - left - 2 * _MARGIN - size
    spare_y = HEIGHT - SIGN_HEIGHT - 2 * _MARGIN - size
    reach = round(random.uniform(0.8, 1.0) * (spare_x * horizontal + spare_y * vertical), 1)
    x = (left + right) / 2 + random.uniform(-0.5, 0.5) * (spare_x - reach * horizontal)
    y = (SIGN_HEIGHT + HEIGHT) / 2 + random.uniform(-0.5, 0.5) * (spare_y - reach * vertical)
    return Shape(**attributes._asdict(), size=size, x=round(x, 1), y=round(y, 1), reach=reach)


def _narration(sentences: Sequence[str], seconds: float) -> Iterator[TextSpan]:
    """Sentences one after the other, with a short silence around each."""
    step = seconds / len(sentences)
    for number, sentence in enumerate(sentences):
        start, end = round(number * step + 0.3, 2), round((number + 1) * step - 0.2, 2)
        yield TextSpan(channel="speech", text=sentence, start=start, end=end, source="subtitles")
