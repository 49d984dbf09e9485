"""Match generated text with the text of the evidence: quotes and leaks of the prompt."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.answering.claim_words import LANGUAGES, is_negated
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.text import Token, split_words, tokenize
from rankvideo_rag.text.content import is_function_word
from rankvideo_rag.text.numbers import find_quantities

MIN_SIMILARITY = 0.9  # share of letters of a quote that must agree
MIN_WORD_SIMILARITY = 0.75  # of each word that differs, by difflib's ratio
MAX_FUZZY_QUOTE = 1_000  # letters: a longer quote must match exactly
_LEAK_WORDS = 5  # consecutive words that do not repeat by chance
_CLOSING = ".!?…。！？؟"
_HESITATIONS = frozenset("um uh er erm hm äh ähm öh eh este euh 嗯 呃".split())


_Letters = NDArray[np.uint32]


class QuoteMatch(NamedTuple):
    """Stored text that matches a quote."""

    text: str  # as stored
    start: float  # seconds: of the words, or of the spans that contain them
    end: float
    channel: TextChannel
    similarity: float  # 1 - edits / letters, from 0.9 to 1


class _Word(NamedTuple):
    token: Token
    span: TextSpan


def find_quote(quote: str, evidence: Evidence) -> QuoteMatch | None:
    """Return the text of a clip that best matches a quote; None if nothing is similar enough.

    Case, punctuation and line breaks are ignored, and a tenth of the letters may differ.
    """
    pattern = split_words(quote)
    if not pattern:
        return None
    groups = groupby(evidence.spans, key=lambda span: (span.channel, span.source))
    found = [match for _, spans in groups if (match := _find(pattern, _words_of(spans)))]
    return max(found, key=lambda match: match.similarity, default=None)


def _words_of(spans: Iterable[TextSpan]) -> list[_Word]:
    return [_Word(token, span) for span in spans for token in tokenize(span.text)]


def _find(pattern: Sequence[str], words: Sequence[_Word]) -> QuoteMatch | None:
    # Spaces at both ends make a match start and end at word boundaries.
    wanted, text = f" {' '.join(pattern)} ", f" {' '.join(word.token.word for word in words)} "
    place = text.find(wanted)
    if place >= 0:
        return _match_at(words, place, place + len(wanted), 1.0)
    if len(wanted) > MAX_FUZZY_QUOTE:
        return None
    best = _most_similar(_letters(wanted), _letters(text))
    match = _match_at(words, *best) if best[2] >= MIN_SIMILARITY else None
    return match if match and has_same_words(pattern, split_words(match.text)) else None


def has_same_words(quote: Sequence[str], stored: Sequence[str]) -> bool:
    """Return whether words differ in spelling only, as in a typing error or one of a speech recogniser.

    A quantity may be written otherwise. Words that are left out or added must be hesitations.

    >>> [has_same_words(quote.split(), "it leaves at nine".split()) for quote in ("it leves at 9", "it leaves at noon")]
    [True, False]
    """
    changes = SequenceMatcher(None, quote, stored, autojunk=False).get_opcodes()
    return all(_is_spelling(quote[a:b], stored[c:d]) for kind, a, b, c, d in changes if kind != "equal")


def _is_spelling(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    ours, theirs = ([word for word in words if word not in _HESITATIONS] for words in (ours, theirs))
    if "".join(ours) == "".join(theirs):
        return True
    values = [[(q.kind, q.value, q.unit) for q in find_quantities(" ".join(words))] for words in (ours, theirs)]
    if any(values):
        return values[0] == values[1]
    return len(ours) == len(theirs) and all(map(_is_typing_error, ours, theirs))


def _is_typing_error(ours: str, theirs: str) -> bool:
    is_function = any(is_function_word(word, language) for word in (ours, theirs) for language in LANGUAGES)
    negated = [is_negated(word, language) for word in (ours, theirs) for language in LANGUAGES]
    return not is_function and not any(negated) and SequenceMatcher(None, ours, theirs).ratio() >= MIN_WORD_SIMILARITY


def _match_at(words: Sequence[_Word], start: int, end: int, similarity: float) -> QuoteMatch:
    """Return the words that overlap [start, end) of their text joined by spaces, with one space before it."""
    begins = np.cumsum([1, *(len(word.token.word) + 1 for word in words)])[:-1]
    first = max(bisect_right(begins, start + 1) - 1, 0)
    last = max(bisect_right(begins, end - 2) - 1, first)
    chosen = words[first : last + 1]
    parts = [list(part) for _, part in groupby(chosen, key=lambda word: id(word.span))]
    times = [part[0].span.time_range(part[0].token.start, part[-1].token.end) for part in parts]
    text = " ".join(map(_stored_text, parts))
    return QuoteMatch(text, times[0][0], max(end for _, end in times), chosen[0].span.channel, similarity)


def _stored_text(words: Sequence[_Word]) -> str:
    """Return adjacent words of one span as they are stored, with the punctuation that ends them."""
    text, end = words[0].span.text, words[-1].token.end
    return text[words[0].token.start : end + (text[end : end + 1] in _CLOSING)]


def _letters(text: str) -> _Letters:
    return np.array([ord(letter) for letter in text], dtype=np.uint32)


def _most_similar(pattern: _Letters, text: _Letters) -> tuple[int, int, float]:
    """Return start, end and similarity of the substring with the fewest edits to the pattern (Sellers 1980)."""
    costs = _edits(pattern, text, np.zeros(len(text) + 1, dtype=np.int64))
    end = int(np.argmin(costs))
    # Align backwards from that end, counting every letter, to find the start.
    before = text[:end][::-1]
    lengths = _edits(pattern[::-1], before, np.arange(len(before) + 1))
    length = int(np.argmin(lengths))
    return end - length, end, 1 - float(lengths[length]) / max(len(pattern), length)


def _edits(pattern: _Letters, text: _Letters, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the edits between the pattern and the text that ends at each place; `row`: the cost of starting there."""
    places = np.arange(len(text) + 1)
    for number, letter in enumerate(pattern, start=1):
        step = np.minimum(row[:-1] + (text != letter), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[number], step]) - places) + places
    return row


def leaks_instructions(text: str, instructions: str, cited: Sequence[Evidence], question: str) -> bool:
    """Return whether a text repeats the instructions: five consecutive words, or a code such as a key.

    What also occurs in the question or in a cited clip is no leak.
    """
    private, words = split_words(instructions), split_words(text)
    sources = [question, *(piece.title for piece in cited), *(span.text for piece in cited for span in piece.spans)]
    public = " / ".join(" ".join(split_words(source)) for source in sources)
    secrets = {*_word_runs(private), *filter(_is_code, private)}
    return any(part in secrets and part not in public for part in [*_word_runs(words), *words])


def _is_code(word: str) -> bool:
    """Return whether a word is at least five characters long and mixes letters with others, as keys do."""
    return len(word) >= 5 and not word.isalpha() and any(map(str.isalpha, word))


def _word_runs(words: Sequence[str]) -> list[str]:
    return [" ".join(words[i : i + _LEAK_WORDS]) for i in range(len(words) - _LEAK_WORDS + 1)]
