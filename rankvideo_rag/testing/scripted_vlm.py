"""Test double for a vision-language model: compares the shapes that a query describes with those in the frames.

Deterministic and without weights. It understands descriptions of flat coloured shapes, such as "a red disc moving to the left
and a box that stays still", and abstains from all other queries.
"""

import math
import re
from collections.abc import Sequence
from functools import cache

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import VLM, Generation, LabelLogprobs, Prompt
from rankvideo_rag.testing.pattern_detector import COLOUR_NAMES, DetectedShape, ShapeDescription, detect_shapes, find_background
from rankvideo_rag.text import split_words

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
# "up", "left" and "still" are common words: they count only if the query has a word for a shape.
_OBJECT_WORDS = frozenset(
    "something anything object objects thing things shape shapes figure figures move moves moving".split()
)
_SEPARATORS = frozenset("a an another and while something anything".split())
_PHRASES = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), replacement)
    for pattern, replacement in (
        ("(?:in|of|on|across|over) (?:the|this|a) (?:picture|clip|video|frame|screen|image|scene)", ""),
        ("from (?:the )?(?:left|right|top|bottom|up|down) to", "to"),
        ("(?:to|on|at) the (?:left|right) of|(?:on|at) the (?:left|right)", ""),  # a position, not a motion
        ("(?:not|never|doesn t|don t|without) mov(?:e|es|ing)", "motionless"),
        ("(?:to|towards?) the top", "up"),
        ("(?:to|towards?) the bottom", "down"),
    )
)
_QUERY = re.compile(r"^Query: (.*)$", re.MULTILINE)

_FULL_MATCH, _PER_OTHER_SHAPE, _MIN_FULL_MATCH = 4.0, 0.5, 2.0  # nats
_NO_MATCH, _LAST_STEP = -4.0, 3.0  # nats: a mismatch lies between _NO_MATCH and _NO_MATCH + _LAST_STEP
_OTHER_LABELS = 0.01  # probability of words that are neither yes nor no

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
    """Answers from the shapes that `pattern_detector` finds."""

    name = "scripted:patterns@1"  # increased when its scores change, since scores are cached under this name

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """Return log-probabilities of yes and no. The margin grows with the share of described attributes found."""
        if not set(labels) <= {"yes", "no"}:
            raise ModelError(f"the scripted model was asked for the labels {list(labels)}: it has 'yes' and 'no' only")
        return [_score(prompt, labels) for prompt in prompts]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """Describe the frames of each prompt, whatever the prompt asks, in at most `max_tokens` words."""
        captions = [_caption(prompt).split()[:max_tokens] for prompt in prompts]
        return [Generation(" ".join(words), len(words)) for words in captions]


def load(model: str | None = None, *, device: str | None = None) -> VLM:
    """Return the model. It runs on the CPU whatever the device. Raises InputError for any model name."""
    if model is not None:
        raise InputError(f"the scripted VLM was given the model {model!r}: it loads none, so leave the model out")
    return ScriptedVLM()


def parse_descriptions(question: str) -> list[ShapeDescription]:
    """Return the shapes that a question describes.

    >>> for shape in parse_descriptions("Where is a red disc moving to the left, while a box stays still?"):
    ...     print(*shape)
    red circle left
    None square still
    """
    tokens = _tokens(question)
    if not any(token in COLOUR_NAMES or token in _SHAPE_WORDS or token in _OBJECT_WORDS for token in tokens):
        return []
    found: list[ShapeDescription] = []
    is_separate = False  # an 'a' or an 'and' stands between the last colour or shape and this word
    for token in tokens:
        is_separate = is_separate or token in _SEPARATORS
        attribute = _attribute(token)
        if attribute == _NOTHING:
            continue
        joined = _join(found[-1], attribute) if found else None
        if joined is None or (is_separate and attribute.motion is None and not _is_bare_motion(found[-1])):
            found.append(attribute)
        else:
            found[-1] = joined
        is_separate = is_separate and attribute.motion is not None
    return found


def _tokens(question: str) -> list[str]:
    """Return the words of a question, with phrases replaced by one word of the same meaning."""
    words = " ".join(split_words(question))
    for pattern, replacement in _PHRASES:
        words = pattern.sub(replacement, words)
    return words.split()


def _attribute(token: str) -> ShapeDescription:
    """Return the attribute that one word gives, or none."""
    return ShapeDescription(COLOUR_NAMES.get(token), _SHAPE_WORDS.get(token), _MOTION_WORDS.get(token))


def _is_bare_motion(part: ShapeDescription) -> bool:
    return part.colour is None and part.shape is None


def _join(one: ShapeDescription, other: ShapeDescription) -> ShapeDescription | None:
    """Return both as a description of one shape; None if they contradict each other."""
    if any(None not in pair and pair[0] != pair[1] for pair in zip(one, other, strict=True)):
        return None
    return ShapeDescription(*(a or b for a, b in zip(one, other, strict=True)))


def count_matches(wanted: Sequence[ShapeDescription], seen: Sequence[DetectedShape]) -> int:
    """Return the most attributes that match when each description is assigned a detected shape of its own."""

    @cache
    def best(number: int, free: frozenset[int]) -> int:
        """Return the most matches of the descriptions from this number on with the free shapes."""
        if number == len(wanted) or not free:
            return 0
        unmatched = best(number + 1, free)
        return max([unmatched, *(_matches(wanted[number], seen[i]) + best(number + 1, free - {i}) for i in free)])

    return best(0, frozenset(range(len(seen))))


def _matches(wanted: ShapeDescription, seen: DetectedShape) -> int:
    return sum(attribute is not None and attribute == value for attribute, value in zip(wanted, seen, strict=True))


def margin(wanted: Sequence[ShapeDescription], seen: Sequence[DetectedShape]) -> float:
    """Return logp(yes) - logp(no), in nats.

    4 if all described attributes match, less for each further shape, at least 2. Otherwise from -4, for none, to below -1.
    """
    named = sum(attribute is not None for one in wanted for attribute in one)
    matched = count_matches(wanted, seen)
    if matched == named:
        return max(_MIN_FULL_MATCH, _FULL_MATCH - _PER_OTHER_SHAPE * (len(seen) - len(wanted)))
    return _NO_MATCH + _LAST_STEP * matched / named


def _score(prompt: Prompt, labels: Sequence[str]) -> LabelLogprobs:
    query = _QUERY.search("\n".join(part for part in prompt.user if isinstance(part, str)))
    videos = [part for part in prompt.user if isinstance(part, Frames) and len(part)]
    if query is None:
        return LabelLogprobs(
            None, reason="the scripted model reads the line that begins with 'Query: ', and the prompt has none"
        )
    if len(videos) != 1:
        return LabelLogprobs(
            None, reason=f"the scripted model scores one video, and the prompt has {len(videos)}", abstained=not videos
        )
    wanted = parse_descriptions(query[1])
    if not wanted:
        reason = "the scripted model knows only colours, shapes and motions, and the query names none"
        return LabelLogprobs(None, reason=reason, abstained=True)
    value = margin(wanted, detect_shapes(videos[0].pixels))
    scale = math.log1p(-_OTHER_LABELS)
    logprobs = {"yes": scale - math.log1p(math.exp(-value)), "no": scale - math.log1p(math.exp(value))}
    return LabelLogprobs(tuple(logprobs[label] for label in labels))


def _caption(prompt: Prompt) -> str:
    """Return a sentence about each video of the prompt, in order."""
    videos = [part for part in prompt.user if isinstance(part, Frames)]
    return " ".join(f"{_describe_video(video)}." for video in videos) or "No video is shown."


def _describe_video(video: Frames) -> str:
    shapes = [_describe_shape(shape) for shape in detect_shapes(video.pixels)]
    background = find_background(video.pixels)
    text = " and ".join(shapes) if shapes else "no coloured shape"
    return text + (f" on a {background} background" if background else "")


def _describe_shape(shape: DetectedShape) -> str:
    return f"{'an' if shape.colour == 'orange' else 'a'} {shape.colour} {shape.shape}{_MOVING[shape.motion]}"
