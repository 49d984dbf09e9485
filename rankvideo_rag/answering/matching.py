"""Match generated text with the text of the evidence: quotes, terms and numbers.

Matching is lexical: it detects invented names and numbers, but not a changed meaning. A paraphrase, or a translation, does not
match; then only a quote can support a claim.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.text import Token, content_tokens, split_words, stem, timestamp, tokenize

MIN_SIMILARITY = 0.9  # share of letters of a quote that must agree
MAX_FUZZY_QUOTE = 1_000  # letters: a longer quote must match exactly
MIN_SUPPORT = 0.6  # share of a claim's new terms that the text of its clips must contain
_LEAK_WORDS = 5  # consecutive words that do not repeat by chance
_CLOSING = ".!?…。！？؟"
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve".split()
_DIGITS_OF = {word: str(number) for number, word in enumerate(_NUMBER_WORDS)}

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
    return _match_at(words, *best) if best[2] >= MIN_SIMILARITY else None


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


def is_supported(sentence: str, question: str, cited: Sequence[Evidence]) -> bool:
    """Return whether the text of the cited clips contains what the sentence states.

    It must contain at least 60 % of the terms that the sentence adds to the question and the clips' titles, or all terms if it
    adds none. Every number must occur in the text, the question or a title. A sentence without terms is supported.
    """
    known = _term_set(question, *(piece.title for piece in cited))
    terms, stored = _terms(_without_times(sentence, cited)), _stored_terms(cited)
    numbers = {term for term in terms if any(map(str.isdigit, term))}
    if not numbers <= stored | known:
        return False
    added = [term for term in terms if term not in known]
    return _coverage(added, stored) >= MIN_SUPPORT if added else _coverage(terms, stored) == 1.0


def measure_support(sentence: str, cited: Sequence[Evidence]) -> float:
    """Return the share, from 0 to 1, of the sentence's terms that the text of the cited clips contains."""
    return _coverage(_terms(_without_times(sentence, cited)), _stored_terms(cited))


def restates(sentence: str, text: str) -> bool:
    """Return whether a sentence has terms, at least 60 % of which occur in a text."""
    terms = _terms(sentence)
    return bool(terms) and _coverage(terms, _term_set(text)) >= MIN_SUPPORT


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


def _coverage(terms: Sequence[str], stored: set[str]) -> float:
    return sum(term in stored for term in terms) / len(terms) if terms else 1.0


def _terms(text: str) -> list[str]:
    # `content_tokens` keeps function words if there is nothing else: the added word prevents that.
    return [_canonical(token.word) for token in content_tokens(f"subject {text}")[1:]]


def _stored_terms(cited: Sequence[Evidence]) -> set[str]:
    return _term_set(*(span.text for piece in cited for span in piece.spans))


def _term_set(*texts: str) -> set[str]:
    return {_canonical(term) for text in texts for term in split_words(text)}


def _canonical(term: str) -> str:
    return (_DIGITS_OF.get(term) or stem(term)).lstrip("0") or "0"


def _without_times(sentence: str, cited: Sequence[Evidence]) -> str:
    """Remove times of the evidence from a sentence: the prompt contains them, so they are not numbers that need support."""
    ranges = [(e.start, e.end) for e in cited] + [(span.start, span.end) for e in cited for span in e.spans]
    times = {timestamp(time) for start_end in ranges for time in start_end}
    for time in sorted(times, key=len, reverse=True):
        sentence = sentence.replace(time, " ")
    return sentence
