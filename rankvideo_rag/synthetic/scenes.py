"""Synthetic clips as records: shapes, their movement, signs and narration.

The clips of an archive come in groups that differ in one attribute, in which shape has it, or in order, so that a question
about one of them has hard negatives. Training clips come from groups of the same kinds, without held-out combinations.
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
_SHARE_WITH_TEXT = 0.3  # of the clips have a sign, and as many a narrator

Event = Literal["steady", "flashing", "vanishing", "appearing"]
EVENTS: tuple[Event, ...] = get_args(Event)

T = TypeVar("T")


class Attributes(NamedTuple):
    """The attributes of a shape; in a query None matches any."""

    colour: str | None = None
    shape: str | None = None
    motion: str | None = None
    event: str | None = None


ATTRIBUTES = dict(zip(Attributes._fields, (COLOURS, SHAPES, MOTIONS, EVENTS), strict=True))

# Combinations of two and of three attributes of one shape that are in no training clip or query.
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
    """What a clip shows, without positions and sizes."""

    shots: tuple[tuple[Attributes, ...], ...]  # in order; in each one shape, or two in their own halves
    background: str

    @property
    def shapes(self) -> tuple[Attributes, ...]:
        """Return every shape, those of the first shot first."""
        return tuple(attributes for shot in self.shots for attributes in shot)


class Shape(Record):
    """One moving shape; colours, shapes and motions are those of testing.pattern_detector."""

    colour: str
    shape: str
    motion: str
    event: Event = "steady"
    size: float  # pixels, sides of the bounding box
    x: float  # pixels, the centre of its path
    y: float
    reach: float  # pixels from the start of its path to the end; 0 without motion

    @property
    def attributes(self) -> Attributes:
        return Attributes(self.colour, self.shape, self.motion, self.event)


class SyntheticClip(Record):
    """One clip; its file stem does not depend on what it shows."""

    stem: str
    seconds: float
    background: str
    shots: tuple[tuple[Shape, ...], ...]  # in order, equally long
    sign: str | None = None
    narration: tuple[TextSpan, ...] = ()

    @property
    def scene(self) -> Scene:
        return Scene(tuple(tuple(shape.attributes for shape in shot) for shot in self.shots), self.background)


def plan_clips(clips: int = 24, *, seed: int = 0) -> list[SyntheticClip]:
    """Return this many random clips (clip-01, clip-02, …), held-out combinations included; no sign and no fact comes twice.

    Raises InputError for fewer clips than one.
    """
    if clips < 1:
        raise InputError(f"{clips} clips cannot be planned: at least 1 is needed")
    random = Random(seed)
    scenes = list(islice(_archive_scenes(random), clips))
    random.shuffle(scenes)
    signs = _assign(shuffled_signs(random), clips, random)
    narrations = _assign(shuffled_facts(random), clips, random)
    digits = max(2, len(str(clips)))
    return [
        make_clip(scene, random, stem=f"clip-{number + 1:0{digits}d}", sign=signs.get(number), fact=narrations.get(number))
        for number, scene in enumerate(scenes)
    ]


def training_scenes(random: Random) -> list[Scene]:
    """Return a scene and three similar ones, none of them with a held-out combination."""
    while True:
        maker = random.choice((_single_group, _pair_group, _order_group))
        target, *others = maker(_shuffled_attributes(random), random)
        group = [target, *random.sample(others, min(3, len(others)))]
        if not any(is_held_out(attributes) for scene in group for shot in scene.shots for attributes in shot):
            return group


def is_held_out(attributes: Attributes) -> bool:
    """Return whether a shape has a combination of colour, shape and motion that is not in the training data.

    >>> is_held_out(Attributes("purple", "triangle", "left")), is_held_out(Attributes("purple", None, "left"))
    (True, False)
    """
    named = attributes[:3]
    return named in HELD_OUT_TRIPLES or any(pair in HELD_OUT_PAIRS for pair in combinations(named, 2))


def make_clip(scene: Scene, random: Random, *, stem: str, sign: Sign | None = None, fact: Fact | None = None) -> SyntheticClip:
    """Return a clip of a scene with random positions and sizes."""
    seconds = random.choice((4.0, 5.0, 6.0)) if len(scene.shots) == 1 else 8.0
    return SyntheticClip(
        stem=stem,
        seconds=seconds,
        background=scene.background,
        shots=tuple(_scene(shapes, random) for shapes in scene.shots),
        sign=sign.text if sign else None,
        narration=tuple(_narration(fact.sentences, seconds)) if fact else (),
    )


def _archive_scenes(random: Random) -> Iterator[Scene]:
    shapes = _shuffled_attributes(random)
    while True:
        yield from _single_group(shapes, random)
        yield from _pair_group(shapes, random)
        yield from _order_group(shapes, random)


def _shuffled_attributes(random: Random) -> Iterator[Attributes]:
    return map(Attributes, *(_shuffled(values, random) for values in ATTRIBUTES.values()))


def _shuffled(values: Sequence[T], random: Random) -> Iterator[T]:
    """Yield every value once in a random order, then again, so that few groups differ as much as possible."""
    while True:
        yield from random.sample(values, len(values))


def _single_group(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """Yield a shape, and ones that differ in one attribute: two in motion, one in each other, one in the background."""
    target, background = next(shapes), random.choice(list(BACKGROUNDS))
    yield Scene(((target,),), background)
    for attribute, count in (("motion", 2), ("shape", 1), ("colour", 1), ("event", 1)):
        for value in random.sample([v for v in ATTRIBUTES[attribute] if v != getattr(target, attribute)], count):
            yield Scene(((target._replace(**{attribute: value}),),), background)
    yield Scene(((target,),), _other(BACKGROUNDS, background, random))


def _pair_group(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """Yield two shapes, then the same two with one attribute exchanged between them."""
    one, two = _dissimilar(shapes, random)
    background = random.choice(list(BACKGROUNDS))
    yield Scene((_sides(one, two, random),), background)
    for attribute in ("colour", "shape", "motion"):
        a, b = getattr(one, attribute), getattr(two, attribute)
        yield Scene((_sides(one._replace(**{attribute: b}), two._replace(**{attribute: a}), random),), background)


def _order_group(shapes: Iterator[Attributes], random: Random) -> Iterator[Scene]:
    """Yield one shape before another, the reverse, both together, and the colours exchanged."""
    one, two = _dissimilar(shapes, random)
    background = random.choice(list(BACKGROUNDS))
    yield Scene(((one,), (two,)), background)
    yield Scene(((two,), (one,)), background)
    yield Scene((_sides(one, two, random),), background)
    yield Scene(((one._replace(colour=two.colour),), (two._replace(colour=one.colour),)), background)


def _dissimilar(shapes: Iterator[Attributes], random: Random) -> tuple[Attributes, Attributes]:
    """Return two shapes that differ in colour, shape and motion, both always visible."""
    one = next(shapes)._replace(event="steady")
    colour, shape, motion = (_other(ATTRIBUTES[name], getattr(one, name), random) for name in ("colour", "shape", "motion"))
    return one, Attributes(colour, shape, motion, "steady")


def _other(values: Iterable[str], value: str, random: Random) -> str:
    return random.choice([other for other in values if other != value])


def _sides(one: Attributes, two: Attributes, random: Random) -> tuple[Attributes, ...]:
    """Return two shapes in a random order, left and right."""
    return (one, two) if random.random() < 0.5 else (two, one)


def _assign(texts: Sequence[T], clips: int, random: Random) -> dict[int, T]:
    """Assign texts to some of the clips, each once; returns them by the number of the clip."""
    count = min(round(_SHARE_WITH_TEXT * clips + 0.5), len(texts))
    return dict(zip(random.sample(range(clips), count), texts, strict=False))


def _scene(shapes: Sequence[Attributes], random: Random) -> tuple[Shape, ...]:
    width = WIDTH / len(shapes)
    return tuple(_shape(attributes, number * width, (number + 1) * width, random) for number, attributes in enumerate(shapes))


def _shape(attributes: Attributes, left: float, right: float, random: Random) -> Shape:
    """Return a shape that stays between two vertical lines."""
    size = round(random.uniform(62, 76), 1)
    horizontal, vertical = attributes.motion in ("left", "right"), attributes.motion in ("up", "down")
    spare_x = right - left - 2 * _MARGIN - size
    spare_y = HEIGHT - SIGN_HEIGHT - 2 * _MARGIN - size
    reach = round(random.uniform(0.8, 1.0) * (spare_x * horizontal + spare_y * vertical), 1)
    x = (left + right) / 2 + random.uniform(-0.5, 0.5) * (spare_x - reach * horizontal)
    y = (SIGN_HEIGHT + HEIGHT) / 2 + random.uniform(-0.5, 0.5) * (spare_y - reach * vertical)
    return Shape(**attributes._asdict(), size=size, x=round(x, 1), y=round(y, 1), reach=reach)


def _narration(sentences: Sequence[str], seconds: float) -> Iterator[TextSpan]:
    """Yield sentences one after another, with a short silence around each."""
    step = seconds / len(sentences)
    for number, sentence in enumerate(sentences):
        start, end = round(number * step + 0.3, 2), round((number + 1) * step - 0.2, 2)
        yield TextSpan(channel="speech", text=sentence, start=start, end=end, source="subtitles")
