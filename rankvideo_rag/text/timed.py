"""Join timed text (subtitles, speech) into sentences, and split it into them, with the time of their own words.

In timed text a sentence also ends at a long pause and where the speaker changes. Text without full stops, such as automatic
captions and lyrics, ends at shorter pauses, and at a length.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rankvideo_rag.text.sentences import CLOSING, STOPS, sentence_ranges, split_sentences, trim

if TYPE_CHECKING:
    from rankvideo_rag.schema import TextChannel, TextSpan

WORDS_PER_STOP = 40  # text with fewer full stops counts as text without

_MARK = re.compile(r"[-–—]\s*(?=[^\W\d])|>>+\s*")  # before the words of another speaker
_LABEL = re.compile(r"(?:[-–—]\s*)?[^\W\d_][\w .'’-]{1,30}:(?=\s)")  # ANNA:
_CJK = re.compile("[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60]")  # joined without a space
_DENSE = re.compile("[\u0e00-\u0eff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"\w+")


class TimedSentence(NamedTuple):
    """A sentence of timed text."""

    text: str
    start: float  # seconds: of its own words, or of its share of a cue
    end: float
    channel: "TextChannel"
    spans: "tuple[TextSpan, ...]"  # that it is from


class _Limits(NamedTuple):
    """When a sentence ends without a full stop."""

    pause: float  # seconds between cues
    words: int
    seconds: float


# Measured on the transcripts of real talks: pauses inside a sentence are up to 2.4 s long between cues that have full stops.
WITH_STOPS = _Limits(pause=3.0, words=60, seconds=30.0)
WITHOUT_STOPS = _Limits(pause=0.7, words=20, seconds=10.0)


class _Cue(NamedTuple):
    span: "TextSpan"
    start: int  # characters [start, end) of the joined text
    end: int


def timed_sentences(spans: Iterable["TextSpan"]) -> list[TimedSentence]:
    """Return the sentences of timed text, by channel and source, in order of time.

    Speech continues from span to span. Each on-screen text is a sentence of its own. The sentences of a description have its
    time.
    """
    groups: dict[tuple[str, str], list[TextSpan]] = {}
    for span in spans:
        groups.setdefault((span.channel, span.source), []).append(span)
    return [sentence for group in groups.values() for sentence in _sentences(group)]


def _sentences(spans: Sequence["TextSpan"]) -> Iterator[TimedSentence]:
    if spans[0].channel == "speech":
        yield from _speech(spans)
        return
    for span in spans:
        texts = split_sentences(span.text) if span.channel == "description" else [span.text]
        yield from (TimedSentence(text, span.start, span.end, span.channel, (span,)) for text in texts)


def _speech(spans: Sequence["TextSpan"]) -> Iterator[TimedSentence]:
    text, cues = _join(spans)
    ranges = sentence_ranges(text)
    stops = sum(text[start:end].rstrip(CLOSING)[-1:] in STOPS for start, end in ranges)
    has_stops = count_words(text) <= WORDS_PER_STOP * stops
    breaks = _breaks(cues, WITH_STOPS.pause) if has_stops else _breaks_without_stops(cues)
    begins = [cue.start for cue in cues]
    for start, end in trim(text, [0, *sorted({*breaks, *(end for _, end in ranges)}), len(text)]):
        own = cues[bisect_right(begins, start) - 1 : bisect_left(begins, end)]
        cuts = _cuts(text, (start, end), own, WITH_STOPS if has_stops else WITHOUT_STOPS)
        for part in trim(text, [start, *cuts, end]):
            if any(map(str.isalnum, text[slice(*part)])):
                yield _timed(text, part, own)


def _join(spans: Sequence["TextSpan"]) -> tuple[str, list[_Cue]]:
    """Return the texts joined, with spaces except in Chinese and Japanese, and the place of each."""
    parts: list[str] = []
    cues: list[_Cue] = []
    place = 0
    for span in spans:
        if parts and not (_CJK.match(parts[-1][-1:]) and _CJK.match(span.text)):
            parts.append(" ")
            place += 1
        cues.append(_Cue(span, place, place + len(span.text)))
        parts.append(span.text)
        place += len(span.text)
    return "".join(parts), cues


def _breaks(cues: Sequence[_Cue], pause: float) -> Iterator[int]:
    """Yield the places where a sentence ends whatever stands there: at pauses, and where the speaker changes."""
    for before, cue in pairwise(cues):
        if cue.span.start - before.span.end >= pause or _is_turn(cue.span.text):
            yield cue.start


def _breaks_without_stops(cues: Sequence[_Cue]) -> Iterator[int]:
    yield from _breaks(cues, WITHOUT_STOPS.pause)
    yield from (place for cue in cues for place in _inner_pauses(cue))
    capitals = [cue.start for cue in cues if cue.span.text[:1].isupper() and not cue.span.text.isupper()]
    if len(capitals) > 0.7 * len(cues):  # each line begins with a capital letter, as in lyrics
        yield from capitals


def _inner_pauses(cue: _Cue) -> Iterator[int]:
    """Yield the places of words that come after a pause, where words are timed."""
    place = 0
    for number, word in enumerate(cue.span.words):
        at = cue.span.text.find(word.text.strip(), place)
        if at < 0:
            return
        if number and word.start - cue.span.words[number - 1].end >= WITHOUT_STOPS.pause:
            yield cue.start + at
        place = at + len(word.text.strip())


def _is_turn(text: str) -> bool:
    """Return whether a cue begins with the mark or the label of a speaker, or is sung."""
    if mark := _MARK.match(text):
        return not text[mark.end() : mark.end() + 1].islower() or text.islower()
    label = _LABEL.match(text)
    return (label is not None and label[0].isupper()) or text.startswith(("♪", "♫"))


def _cuts(text: str, part: tuple[int, int], cues: Sequence[_Cue], limits: _Limits) -> list[int]:
    """Return where to cut a sentence that is too long: between cues, and inside a cue that is too long itself."""
    begin, end = part
    cuts: list[int] = []
    for place, following in pairwise([*_places(text, part, cues, limits), end]):
        if place > begin and _is_too_long(text, (begin, following), cues, limits):
            cuts.append(place)
            begin = place
    return cuts


def _places(text: str, part: tuple[int, int], cues: Sequence[_Cue], limits: _Limits) -> Iterator[int]:
    """Yield the places where a sentence may be cut, in order."""
    for cue in cues:
        start, end = max(cue.start, part[0]), min(cue.end, part[1])
        yield start
        if _is_too_long(text, (start, end), cues, limits):
            yield from (start + space.end() for space in re.finditer(r"\s+", text[start:end]))


def _is_too_long(text: str, part: tuple[int, int], cues: Sequence[_Cue], limits: _Limits) -> bool:
    start, end = _time(part, cues)
    return end - start > limits.seconds or count_words(text[slice(*part)]) > limits.words


def _timed(text: str, part: tuple[int, int], cues: Sequence[_Cue]) -> TimedSentence:
    own = [cue for cue in cues if cue.start < part[1] and cue.end > part[0]]
    mark = _MARK.match(text, *part)
    return TimedSentence(
        text[mark.end() if mark else part[0] : part[1]], *_time(part, own), "speech", tuple(c.span for c in own)
    )


def _time(part: tuple[int, int], cues: Sequence[_Cue]) -> tuple[float, float]:
    """Return when the characters [start, end) of the joined text are spoken."""
    own = [cue for cue in cues if cue.start < part[1] and cue.end > part[0]]
    return _time_in_cue(own[0], part)[0], _time_in_cue(own[-1], part)[1]


def _time_in_cue(cue: _Cue, part: tuple[int, int]) -> tuple[float, float]:
    """Return when the characters of a part that a cue holds are spoken: by timed words, else by length."""
    first, last, span = max(part[0] - cue.start, 0), min(part[1], cue.end) - cue.start, cue.span
    if span.words:
        return span.time_range(first, last)
    pace = (span.end - span.start) / len(span.text)
    return round(span.start + first * pace, 3), round(span.start + last * pace, 3)


def count_words(text: str) -> float:
    """Return the length of a text in words; two characters of a script without spaces count as one."""
    dense = len(_DENSE.findall(text))
    return dense / 2 + len(_WORD.findall(_DENSE.sub(" ", text)))
