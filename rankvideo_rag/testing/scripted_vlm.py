"""A judge without a network: reads the question's colours, shapes and motions, and looks for them on the pixels.

Deterministic and predictable by eye: a stand-in for a real model in tests and in the tiny profile. It understands descriptions
of flat coloured shapes, as in "a red disc moving to the left and a box that stays still", and abstains from everything else.
"""

import math
import re
from collections.abc import Sequence
from functools import cache

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import VLM, Generation, LabelLogprobs, Prompt
from rankvideo_rag.testing.pattern_detector import COLOUR_NAMES, DetectedShape, ShapeDescription, detect_shapes, find_background
from rankvideo_rag.text import terms

_SHAPE_WORDS = (
    dict.fromkeys("circle circles circular disc discs disk disks ball balls".split(), "circle")
    | dict.fromkeys("square squares box boxes".split(), "square")
    | dict.fromkeys("triangle triangles triangular wedge wedges".split(), "triangle")
)
_MOTION_WORDS = (
    dict.fromkeys("left leftward leftwards".split(), "left")
    | dict.fromkeys("right rightward rightwards".split(), "right")
    | dict.fromkeys("up upward upwards rise rises rising climb climbs climbing ascends ascending".split(), "up")
    | dict.fromkeys("down downward downwards fall falls falling sink sinks sinking descends descending".split(), "down")
    | dict.fromkeys("still motionless static stationary unmoving".split(), "still")
)
# Everyday questions are full of "up", "left" and "still": these count where it is clear that a shape is spoken of.
_THINGS = frozenset("something anything object objects thing things shape shapes figure figures move moves moving".split())
_BEGINS_ANOTHER = frozenset("a an another and while something anything".split())
_PHRASES = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), replacement)
    for pattern, replacement in (
        ("(?:in|of|on|across|over) (?:the|this|a) (?:picture|clip|video|frame|screen|image|scene)", ""),
        ("from (?:the )?(?:left|right|top|bottom|up|down) to", "to"),
        ("(?:to|on|at) the (?:left|right) of|(?:on|at) the (?:left|right)", ""),  # a place, not a motion
        ("(?:not|never|doesn t|don t|without) mov(?:e|es|ing)", "motionless"),
        ("(?:to|towards?) the top", "up"),
        ("(?:to|towards?) the bottom", "down"),
    )
)
_QUERY = re.compile(r"^Query: (.*)$", re.MULTILINE)

_FULL_MATCH, _EACH_OTHER_SHAPE, _LEAST_FULL_MATCH = 4.0, 0.5, 2.0  # nats
_NO_MATCH, _LAST_STEP = -4.0, 3.0  # nats: a mismatch lies between _NO_MATCH and _NO_MATCH + _LAST_STEP
_OTHER_LABELS = 0.01  # probability left to words that are neither yes nor no

_MOVING = {
    "left": " moving left",
    "right": " moving right",
    "up": " moving up",
    "down": " moving down",
    "still": " staying still",
    None: "",
}


_NOTHING = ShapeDescription()


class ScriptedVLM:
    """Answers from what `media.pixels` sees."""

    name = "scripted:pixels@1"  # raised when the rule judges otherwise: verdicts are kept under this name

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """Log-probabilities of yes and no. The margin grows with the share of the described attributes that are seen."""
        if not set(labels) <= {"yes", "no"}:
            raise ModelError(f"the scripted model was asked for the labels {list(labels)}: it knows 'yes' and 'no' only")
        return [_verdict(prompt, labels) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """What is seen on the frames of each prompt, whatever the prompt asks: at most `max_tokens` words, its tokens."""
        captions = [_caption(prompt).split()[:max_tokens] for prompt in prompts]
        return [Generation(" ".join(words), len(words)) for words in captions]


def load(model: str | None = None, *, device: str | None = None) -> VLM:
    """The pixel judge. It has no weights, and runs on the CPU whatever the device."""
    if model is not None:
        raise InputError(f"the scripted VLM was given the model {model!r}: it has none to load, leave the model out")
    return ScriptedVLM()


def parse_descriptions(question: str) -> list[ShapeDescription]:
    """The shapes that a question describes.

    >>> for shape in parse_descriptions("Where is a red disc moving to the left, while a box stays still?"):
    ...     print(*shape)
    red circle left
    None square still
    """
    tokens = _tokens(question)
    if not any(token in COLOUR_NAMES or token in _SHAPE_WORDS or token in _THINGS for token in tokens):
        return []
    found: list[ShapeDescription] = []
    begins_another = False  # an 'a' or an 'and' stands between the last colour or shape and this word
    for token in tokens:
        begins_another = begins_another or token in _BEGINS_ANOTHER
        said = _attribute(token)
        if said == _NOTHING:
            continue
        joined = _joined(found[-1], said) if found else None
        if joined is None or (begins_another and said.motion is None and not _is_bare_motion(found[-1])):
            found.append(said)
        else:
            found[-1] = joined
        begins_another = begins_another and said.motion is not None
    return found


def _tokens(question: str) -> list[str]:
    """The words of a question, with phrases put into the one word that they mean here."""
    words = " ".join(terms(question))
    for pattern, replacement in _PHRASES:
        words = pattern.sub(replacement, words)
    return words.split()


def _attribute(token: str) -> ShapeDescription:
    """What one word says of a shape: one attribute, or none."""
    return ShapeDescription(COLOUR_NAMES.get(token), _SHAPE_WORDS.get(token), _MOTION_WORDS.get(token))


def _is_bare_motion(part: ShapeDescription) -> bool:
    return part.colour is None and part.shape is None


def _joined(one: ShapeDescription, other: ShapeDescription) -> ShapeDescription | None:
    """Both as a description of one shape; None where they contradict each other."""
    if any(None not in pair and pair[0] != pair[1] for pair in zip(one, other, strict=True)):
        return None
    return ShapeDescription(*(a or b for a, b in zip(one, other, strict=True)))


def most_matches(wanted: Sequence[ShapeDescription], seen: Sequence[DetectedShape]) -> int:
    """How many described attributes are seen at most, when each description is held against a seen shape of its own."""

    @cache
    def best(number: int, free: frozenset[int]) -> int:
        """Most matches of the descriptions from this number on with the shapes that are still free."""
        if number == len(wanted) or not free:
            return 0
        unmatched = best(number + 1, free)
        return max([unmatched, *(_matches(wanted[number], seen[i]) + best(number + 1, free - {i}) for i in free)])

    return best(0, frozenset(range(len(seen))))


def _matches(wanted: ShapeDescription, seen: DetectedShape) -> int:
    return sum(attribute is not None and attribute == value for attribute, value in zip(wanted, seen, strict=True))


def margin(wanted: Sequence[ShapeDescription], seen: Sequence[DetectedShape]) -> float:
    """logp(yes) - logp(no), in nats.

    All described attributes seen: 4, less for every further shape, at least 2. Otherwise from -4, for none, to below -1.
    """
    named = sum(attribute is not None for one in wanted for attribute in one)
    matched = most_matches(wanted, seen)
    if matched == named:
        return max(_LEAST_FULL_MATCH, _FULL_MATCH - _EACH_OTHER_SHAPE * (len(seen) - len(wanted)))
    return _NO_MATCH + _LAST_STEP * matched / named


def _verdict(prompt: Prompt, labels: Sequence[str]) -> LabelLogprobs:
    query = _QUERY.search("\n".join(part for part in prompt.user if isinstance(part, str)))
    videos = [part for part in prompt.user if isinstance(part, Frames) and len(part)]
    if query is None:
        return LabelLogprobs(None, reason="the pixel rule reads the line that begins with 'Query: ', and the prompt has none")
    if len(videos) != 1:
        return LabelLogprobs(
            None, reason=f"the pixel rule judges one video, and the prompt shows {len(videos)}", abstained=not videos
        )
    wanted = parse_descriptions(query[1])
    if not wanted:
        reason = "the pixel rule knows only colours, shapes and motions, and the question names none"
        return LabelLogprobs(None, reason=reason, abstained=True)
    value = margin(wanted, detect_shapes(videos[0].pixels))
    scale = math.log1p(-_OTHER_LABELS)
    logprobs = {"yes": scale - math.log1p(math.exp(-value)), "no": scale - math.log1p(math.exp(value))}
    return LabelLogprobs(tuple(logprobs[label] for label in labels))


def _caption(prompt: Prompt) -> str:
    """A sentence about each video of the prompt, in order."""
    videos = [part for part in prompt.user if isinstance(part, Frames)]
    return " ".join(f"{_seen_in(video)}." for video in videos) or "No video is shown."


def _seen_in(video: Frames) -> str:
    shapes = [_named(shape) for shape in detect_shapes(video.pixels)]
    ground = find_background(video.pixels)
    words = " and ".join(shapes) if shapes else "no coloured shape"
    return words + (f" on a {ground} ground" if ground else "")


def _named(shape: DetectedShape) -> str:
    return f"{'an' if shape.colour == 'orange' else 'a'} {shape.colour} {shape.shape}{_MOVING[shape.motion]}"
