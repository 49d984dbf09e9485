"""Remove the repetitions that speech recognition models write over music and noise."""

from collections.abc import Sequence
from itertools import groupby, takewhile

from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import split_words

MAX_SPAN_REPEATS = 2  # people say a sentence twice; the same one a third time in a row is a repetition
MAX_PHRASE_REPEATS = 4  # "no no no no" is speech; a phrase five times in a row inside one span is a repetition
MAX_PHRASE_WORDS = 10


def remove_repeated_spans(spans: Sequence[TextSpan]) -> list[TextSpan]:
    """Return the spans, each run of more than MAX_SPAN_REPEATS with the same text reduced to its first.

    The first keeps its own times, so that an invented repetition claims no more of the video.
    """
    kept: list[TextSpan] = []
    for _, run in groupby(spans, key=lambda span: split_words(span.text)):
        same = list(run)
        kept += same[:1] if len(same) > MAX_SPAN_REPEATS else same
    return kept


def remove_repeated_phrases(text: str) -> str:
    """Return the text, each phrase that occurs more than MAX_PHRASE_REPEATS times in a row reduced to one.

    Words are separated by spaces: repetitions inside a sentence of Chinese or Japanese are not found.

    >>> remove_repeated_phrases("Oh well. Thank you. Thank you. Thank you, thank you. Thank you. Bye.")
    'Oh well. Thank you. Bye.'
    """
    kept: list[str] = []
    words = text.split()
    while words:
        length, count = _leading_repetition(words)
        kept += words[:length]
        words = words[length * count :]
    return " ".join(kept)


def _leading_repetition(words: Sequence[str]) -> tuple[int, int]:
    """Return the length in words of the phrase that is repeated at the beginning, and its count; (1, 1) without repetition."""
    bare = [tuple(split_words(word)) for word in words[: MAX_PHRASE_WORDS * (MAX_PHRASE_REPEATS + 1)]]
    for length in range(1, MAX_PHRASE_WORDS + 1):
        needed = length * (MAX_PHRASE_REPEATS + 1)
        if len(bare) >= needed and bare[:needed] == bare[:length] * (MAX_PHRASE_REPEATS + 1):
            return length, _count_repeats(words, length)
    return 1, 1


def _count_repeats(words: Sequence[str], length: int) -> int:
    phrase = split_words(" ".join(words[:length]))
    starts = range(0, len(words) - length + 1, length)
    return sum(1 for _ in takewhile(lambda start: split_words(" ".join(words[start : start + length])) == phrase, starts))
