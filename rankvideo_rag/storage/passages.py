"""Divide the timed text of a video into passages, the units that text is searched by.

A passage is a few sentences of one channel. Neighbouring passages overlap by about half, so that what is said across a boundary
is whole in one of them. Passages depend on the text alone, not on clips: the same spans give the same passages.

Lengths were compared on the realistic question set (80 questions, windows of 1 to 10 sentences): of shorter passages fewer hold
a question's words together, in longer ones the vector of a sentence is lost among others.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.text import TimedSentence, timed_sentences
from rankvideo_rag.text.timed import count_words

PASSAGE_RULES = 2  # grows with every change of what spans give: passages made by other rules are made again by `update`
MAX_WORDS = 60  # of a passage, unless its first sentence has more
MAX_SENTENCES = 5
MAX_PAUSE = 10.0  # seconds between two sentences of a passage


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
    """Return the passages of a video's timed text, by channel and source and in order of time."""
    ordered = sorted(spans, key=lambda span: (span.channel, span.source, span.start, span.end))
    groups = groupby(timed_sentences(ordered), key=lambda sentence: (sentence.channel, sentence.spans[0].source))
    return [passage for _, group in groups for passage in _windows(list(_without_repeats(group)))]


def _without_repeats(sentences: Iterable[TimedSentence]) -> Iterator[PassageText]:
    """Yield the sentences that have a term; one that is repeated at once is joined with its repetition."""
    last: PassageText | None = None
    for sentence in sentences:
        if last and sentence.text == last.text:
            last = last._replace(end=max(last.end, sentence.end))
        elif normalize(sentence.text):
            if last:
                yield last
            last = PassageText(sentence.channel, sentence.start, sentence.end, sentence.text)
    if last:
        yield last


def _windows(sentences: Sequence[PassageText]) -> Iterator[PassageText]:
    """Yield overlapping windows over the sentences of a channel."""
    first, words = 0, [count_words(sentence.text) for sentence in sentences]
    while first < len(sentences):
        last = _end_of_window(sentences, words, first)
        window = sentences[first:last]
        end, text = max(sentence.end for sentence in window), " ".join(sentence.text for sentence in window)
        yield PassageText(window[0].channel, window[0].start, end, text)
        is_continued = last < len(sentences) and _may_share(sentences[last - 1], sentences[last])
        first = first + max(1, (last - first) // 2) if is_continued else last


def _end_of_window(sentences: Sequence[PassageText], words: Sequence[float], first: int) -> int:
    last, total = first + 1, words[first]
    while last < min(len(sentences), first + MAX_SENTENCES) and _may_share(sentences[last - 1], sentences[last]):
        total += words[last]
        if total > MAX_WORDS:
            break
        last += 1
    return last


def _may_share(sentence: PassageText, following: PassageText) -> bool:
    """Return whether two sentences may be in one passage.

    Speech may without a long pause, signs if they are shown at the same time, descriptions if they are of the same clip.
    """
    if sentence.channel == "description":
        return (sentence.start, sentence.end) == (following.start, following.end)
    pause = following.start - sentence.end
    return pause <= MAX_PAUSE if sentence.channel == "speech" else pause < 0
