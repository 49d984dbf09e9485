"""Speech recognisers get stuck: on music or noise they write one phrase tens or thousands of times over.

Pure text: this file knows no model and no times beyond those of the spans it is given.
"""

from collections.abc import Sequence
from itertools import groupby, takewhile

from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import terms

MAX_SPAN_REPEATS = 2  # people say a sentence twice; the same one a third time without a break is a loop
MAX_PHRASE_REPEATS = 4  # "no no no no" is speech; a phrase five times in a row inside one span is a loop
MAX_PHRASE_WORDS = 10  # words of a phrase that is looked for inside one span


def remove_repeated_spans(spans: Sequence[TextSpan]) -> list[TextSpan]:
    """The spans, each run of the same text longer than MAX_SPAN_REPEATS reduced to its first one.

    The first alone keeps its times: of a chant it is a true place, and a made-up loop claims no more of the video than that.
    """
    kept: list[TextSpan] = []
    for _, run in groupby(spans, key=lambda span: terms(span.text)):
        same = list(run)
        kept += same[:1] if len(same) > MAX_SPAN_REPEATS else same
    return kept


def remove_repeated_phrases(text: str) -> str:
    """The text, each phrase that stands more than MAX_PHRASE_REPEATS times in a row reduced to one.

    Words are what spaces part: a loop inside one sentence of Chinese or Japanese is not seen.

    >>> remove_repeated_phrases("Oh well. Thank you. Thank you. Thank you, thank you. Thank you. Bye.")
    'Oh well. Thank you. Bye.'
    """
    kept: list[str] = []
    words = text.split()
    while words:
        length, times = _loop_at_beginning(words)
        kept += words[:length]
        words = words[length * times :]
    return " ".join(kept)


def _loop_at_beginning(words: Sequence[str]) -> tuple[int, int]:
    """How many words the phrase has that loops at the beginning, and how often it stands there; (1, 1) for no loop."""
    bare = [tuple(terms(word)) for word in words[: MAX_PHRASE_WORDS * (MAX_PHRASE_REPEATS + 1)]]
    for length in range(1, MAX_PHRASE_WORDS + 1):
        enough = length * (MAX_PHRASE_REPEATS + 1)
        if len(bare) >= enough and bare[:enough] == bare[:length] * (MAX_PHRASE_REPEATS + 1):
            return length, _times_in_a_row(words, length)
    return 1, 1


def _times_in_a_row(words: Sequence[str], length: int) -> int:
    phrase = terms(" ".join(words[:length]))
    starts = range(0, len(words) - length + 1, length)
    return sum(1 for _ in takewhile(lambda start: terms(" ".join(words[start : start + length])) == phrase, starts))
