"""Where words that a generator quotes stand in the evidence: exactly, or with at most a tenth of the letters different.

Compared are the words alone: no case, no punctuation, no line breaks. What is found is given as it is stored, never as it was
quoted, with the time of its words, or of the cues that hold it where words have none. This file knows neither LlamaIndex nor
models.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import TextChannel, TextSpan

SIMILARITY = 0.9  # least share of letters that agree
MAX_QUOTE = 1_000  # letters: a longer quote must be exact
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# Scripts without spaces between words are compared letter by letter: Thai, Lao, Burmese, Khmer, Japanese, Chinese.
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+")
_CLOSING = ".!?…。！？؟"

_Letters = NDArray[np.uint32]


class Found(NamedTuple):
    """Stored words that a quote means."""

    text: str
    start: float  # seconds: of the words, or of the cues that hold them
    end: float
    channel: TextChannel
    similarity: float  # 1 - edits / letters, from 0.9 to 1


class _Word(NamedTuple):
    term: str
    span: TextSpan
    start: int  # in the span's text
    end: int


def split(text: str) -> list[str]:
    """The words of a text, comparable: in lower case, letter by letter in scripts without spaces.

    >>> split("The Ferry, at 9"), split("渡船九点")
    (['the', 'ferry', 'at', '9'], ['渡', '船', '九', '点'])
    """
    return [_comparable(match[0]) for match in _WORD.finditer(text)]


def find(quote: str, evidence: Evidence) -> Found | None:
    """The words of this clip that the quote means, the best match; None where none is similar enough."""
    pattern = split(quote)
    if not pattern:
        return None
    groups = groupby(evidence.spans, key=lambda span: (span.channel, span.source))
    found = [match for _, spans in groups if (match := _find(pattern, _words(spans)))]
    return max(found, key=lambda match: match.similarity, default=None)


def _comparable(word: str) -> str:
    return unicodedata.normalize("NFKC", word).casefold()


def _words(spans: Iterable[TextSpan]) -> list[_Word]:
    return [
        _Word(_comparable(match[0]), span, match.start(), match.end()) for span in spans for match in _WORD.finditer(span.text)
    ]


def _find(pattern: Sequence[str], words: Sequence[_Word]) -> Found | None:
    # A space at either end makes a match begin and end with whole words.
    wanted, text = f" {' '.join(pattern)} ", f" {' '.join(word.term for word in words)} "
    place = text.find(wanted)
    if place >= 0:
        return _stored(words, place, place + len(wanted), 1.0)
    if len(wanted) > MAX_QUOTE:
        return None
    best = _most_similar(_letters(wanted), _letters(text))
    return _stored(words, *best) if best[2] >= SIMILARITY else None


def _stored(words: Sequence[_Word], start: int, end: int, similarity: float) -> Found:
    """The words that lie, even in part, between two places in their text joined by spaces, one space before it."""
    begins = np.cumsum([1, *(len(word.term) + 1 for word in words)])[:-1]
    first = max(bisect_right(begins, start + 1) - 1, 0)
    last = max(bisect_right(begins, end - 2) - 1, first)
    chosen = words[first : last + 1]
    parts = [list(part) for _, part in groupby(chosen, key=lambda word: id(word.span))]
    times = [part[0].span.time_range(part[0].start, part[-1].end) for part in parts]
    until = max(end for _, end in times)
    return Found(" ".join(map(_as_written, parts)), times[0][0], until, chosen[0].span.channel, similarity)


def _as_written(words: Sequence[_Word]) -> str:
    """Neighbours in one span, as they stand there."""
    text, end = words[0].span.text, words[-1].end
    return text[words[0].start : end + (text[end : end + 1] in _CLOSING)]


def _letters(text: str) -> _Letters:
    return np.array([ord(letter) for letter in text], dtype=np.uint32)


def _most_similar(pattern: _Letters, text: _Letters) -> tuple[int, int, float]:
    """Start, end and similarity of the stretch of text with the fewest edits to the pattern (Sellers 1980)."""
    costs = _edits(pattern, text, np.zeros(len(text) + 1, dtype=np.int64))
    end = int(np.argmin(costs))
    back = text[:end][::-1]
    # From that end backwards, now with every letter of the stretch counted, to learn where it begins.
    lengths = _edits(pattern[::-1], back, np.arange(len(back) + 1))
    length = int(np.argmin(lengths))
    return end - length, end, 1 - float(lengths[length]) / max(len(pattern), length)


def _edits(pattern: _Letters, text: _Letters, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Edits between the pattern and the stretch of text that ends at each place; `row`: what a beginning there costs."""
    places = np.arange(len(text) + 1)
    for number, letter in enumerate(pattern, start=1):
        step = np.minimum(row[:-1] + (text != letter), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[number], step]) - places) + places
    return row
