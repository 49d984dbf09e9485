"""Divide the timed text of a video into passages, the units that text is searched by.

A passage is a few sentences or cues of one channel. Neighbouring passages overlap by about half, so that what is said across a
boundary is whole in one of them. Passages depend on the text alone, not on clips: the same spans give the same passages.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.text import clean

PASSAGE_RULES = 1  # grows with every change of what spans give: passages made by other rules are made again by `update`
MAX_TOKENS = 60  # of a passage, unless its first unit has more
MAX_UNITS = 4
MAX_PAUSE = 10.0  # seconds between two units of a passage


class PassageText(NamedTuple):
    """The text of a passage, and when it is spoken or shown."""

    channel: TextChannel
    start: float  # seconds
    end: float
    text: str


class Passage(NamedTuple):
    """A stored passage."""

    number: int  # row number
    video_id: str
    channel: TextChannel
    start: float  # seconds
    end: float
    text: str


class IndexedPassage(NamedTuple):
    """A stored passage as the full-text index has it."""

    video_id: str
    clip: int  # row number of the clip that holds most of it
    channel: TextChannel
    start: float  # seconds
    tokens: str  # separated by spaces


def split_passages(spans: Iterable[TextSpan]) -> list[PassageText]:
    """Return the passages of a video's timed text, by channel and in order of time."""
    ordered = sorted(spans, key=lambda span: (span.channel, span.start, span.end))
    return [
        passage for _, group in groupby(ordered, key=lambda span: span.channel) for passage in _windows(list(_units(group)))
    ]


def _units(spans: Iterable[TextSpan]) -> Iterator[PassageText]:
    """Yield the units of a channel that have a term; one that is repeated at once is joined with its repetition."""
    last: PassageText | None = None
    for span in spans:
        text = clean(span.text)
        if last and text == last.text:
            last = last._replace(end=max(last.end, span.end))
        elif normalize(text):
            if last:
                yield last
            last = PassageText(span.channel, span.start, span.end, text)
    if last:
        yield last


def _windows(units: Sequence[PassageText]) -> Iterator[PassageText]:
    """Yield overlapping windows over the units of a channel."""
    first, tokens = 0, [len(normalize(unit.text).split()) for unit in units]
    while first < len(units):
        last = _end_of_window(units, tokens, first)
        window = units[first:last]
        end = max(unit.end for unit in window)
        yield PassageText(window[0].channel, window[0].start, end, " ".join(unit.text for unit in window))
        ends_group = last == len(units) or not _is_continued(units[last - 1], units[last])
        first = last if ends_group else first + max(1, (last - first) // 2)


def _end_of_window(units: Sequence[PassageText], tokens: Sequence[int], first: int) -> int:
    last, total = first + 1, tokens[first]
    while last < len(units) and last - first < MAX_UNITS and _is_continued(units[last - 1], units[last]):
        total += tokens[last]
        if total > MAX_TOKENS:
            break
        last += 1
    return last


def _is_continued(unit: PassageText, following: PassageText) -> bool:
    """Return whether two units may share a passage: speech without a long pause, or signs shown at the same time."""
    pause = following.start - unit.end
    return pause <= MAX_PAUSE if unit.channel == "speech" else pause < 0
