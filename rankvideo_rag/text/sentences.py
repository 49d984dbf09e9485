"""Split text into sentences, and join timed text (subtitles, speech) into sentences with the time of their own words.

Sentences end at full stops of any script. A stop before a small letter is inside a sentence, so are stops of abbreviations,
initials, decimal numbers and German ordinals ("am 3. Mai"). In timed text a sentence also ends at a pause and where the speaker
changes; text without full stops, such as automatic captions and lyrics, ends at shorter pauses, and at a length.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from rankvideo_rag.text.content import is_function_word
from rankvideo_rag.text.languages import language_of

if TYPE_CHECKING:
    from rankvideo_rag.schema import TextChannel, TextSpan

PAUSE = 0.7  # seconds between cues that end a sentence of text without full stops
LONG_PAUSE = 2.5  # and of text with full stops
MAX_WORDS = 20  # of a sentence of text without full stops
MAX_SECONDS = 10.0
MAX_WORDS_WITH_STOPS = 60  # text with full stops is divided only where it seems to lack one
MAX_SECONDS_WITH_STOPS = 30.0
WORDS_PER_STOP = 40  # text with fewer stops counts as text without

_WIDE_STOPS = "。！？｡．।॥։۔؟።፧၊။។៕།༎꘎‼⁇⁈⁉︒"  # end a sentence without a space
_STOPS = ".!?…" + _WIDE_STOPS
_CLOSING = "\"'”’“‘»«›‹)]}」』）】》〉］｣♪"
_END = re.compile(rf"(?P<stops>[{re.escape(_STOPS)}]+)(?P<closing>[{re.escape(_CLOSING)}]*)(?P<space>\s*)")
_DENSE = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_LAST_WORD = re.compile(r"[^\s\"'“‘«»(\[]+$")
_ABBREVIATIONS = frozenset(
    """mr mrs ms messrs dr prof st ste mt ft rev hon pres gov sen rep gen col maj capt cpt lt sgt cpl pvt insp supt fig figs vol
    vols nos pp ed eds vs cf approx ca
    hr fr frl nr bzw usw ggf evtl inkl zzgl str abb bd kap mio mrd tel sog vgl
    sra srta dra ud uds vd vds pág núm aprox
    mme mlle mm mgr sig dott ing avv av
    dhr mevr drs""".split()
)
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])*")  # J  U.S  z.B
_NUMBERED = frozenset("no nr art".split())  # abbreviations before a number, words otherwise
_MARK = re.compile(r"(?:[-–—]\s*(?=[^\W\d])|>>+\s*)")  # before the words of another speaker
_LABEL = re.compile(r"(?:[-–—]\s*)?[^\W\d_][\w .'’-]{1,30}:(?=\s)")  # ANNA:
_WORD = re.compile(r"\w+")


class TimedSentence(NamedTuple):
    """A sentence of timed text."""

    text: str
    start: float  # seconds: of its own words, or of its share of a cue
    end: float
    channel: "TextChannel"
    spans: "tuple[TextSpan, ...]"  # that it is from


class _Cue(NamedTuple):
    span: "TextSpan"
    start: int  # characters [start, end) of the joined text
    end: int


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text.

    >>> split_sentences("Dr. J. Smith paid 3.5 million... in cash. 他说好。我们走。")
    ['Dr. J. Smith paid 3.5 million... in cash.', '他说好。', '我们走。']
    """
    return [text[start:end] for start, end in sentence_ranges(text)]


def sentence_ranges(text: str) -> list[tuple[int, int]]:
    """Return the characters [start, end) of each sentence, without the spaces around it."""
    capital = next((place for place, c in enumerate(text) if c.isupper()), len(text))
    ends = [match.end("closing") for match in _END.finditer(text) if _ends_sentence(match, text, capital < match.start())]
    return _trim(text, [0, *ends, len(text)])


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
    stops = sum(text[start:end].rstrip(_CLOSING)[-1:] in _STOPS for start, end in ranges)
    style = _Style.of(spans, has_stops=count_words(text) <= WORDS_PER_STOP * stops)
    places = sorted({place for pair in ranges for place in pair} | set(_breaks(cues, style)))
    begins = [cue.start for cue in cues]
    for start, end in _trim(text, [0, *places, len(text)]):
        own = cues[bisect_right(begins, start) - 1 : bisect_left(begins, end)]
        for first, last in _trim(text, [start, *_divisions(text[start:end], start, own, style), end]):
            yield _timed(text, first, last, [cue for cue in own if cue.start < last and cue.end > first])


class _Style(NamedTuple):
    """How timed text is written."""

    has_stops: bool
    has_capital_lines: bool  # without stops, but each line begins with a capital letter, as in lyrics

    @classmethod
    def of(cls, spans: Sequence["TextSpan"], *, has_stops: bool) -> "_Style":
        capitals = sum(span.text[:1].isupper() for span in spans)
        return cls(has_stops, not has_stops and capitals > 0.7 * len(spans))

    @property
    def max_words(self) -> int:
        return MAX_WORDS_WITH_STOPS if self.has_stops else MAX_WORDS

    @property
    def max_seconds(self) -> float:
        return MAX_SECONDS_WITH_STOPS if self.has_stops else MAX_SECONDS


def _join(spans: Sequence["TextSpan"]) -> tuple[str, list[_Cue]]:
    """Return the texts joined, by a space except between characters of scripts without spaces, and the place of each."""
    parts: list[str] = []
    cues: list[_Cue] = []
    place = 0
    for span in spans:
        if parts and not (_DENSE.match(parts[-1][-1:]) and _DENSE.match(span.text)):
            parts.append(" ")
            place += 1
        cues.append(_Cue(span, place, place + len(span.text)))
        parts.append(span.text)
        place += len(span.text)
    return "".join(parts), cues


def _breaks(cues: Sequence[_Cue], style: _Style) -> Iterator[int]:
    """Yield the places where a sentence ends although there may be no stop: pauses, changes of speaker, lines of lyrics."""
    for before, cue in pairwise(cues):
        pause = cue.span.start - before.span.end >= (LONG_PAUSE if style.has_stops else PAUSE)
        line = style.has_capital_lines and cue.span.text[:1].isupper()
        if pause or line or _is_turn(cue.span.text):
            yield cue.start
    if not style.has_stops:
        yield from (place for cue in cues for place in _inner_pauses(cue))


def _inner_pauses(cue: _Cue) -> Iterator[int]:
    """Yield the places of words that come after a pause, where words are timed."""
    place = 0
    for number, word in enumerate(cue.span.words):
        at = cue.span.text.find(word.text.strip(), place)
        if at < 0:
            return
        if number and word.start - cue.span.words[number - 1].end >= PAUSE:
            yield cue.start + at
        place = at + len(word.text.strip())


def _is_turn(text: str) -> bool:
    """Return whether a cue begins with the mark or the label of a speaker."""
    if mark := _MARK.match(text):
        return not text[mark.end() : mark.end() + 1].islower() or text.islower()
    label = _LABEL.match(text)
    return label is not None and label[0].isupper()


def _divisions(text: str, place: int, cues: Sequence[_Cue], style: _Style) -> list[int]:
    """Return where to divide a sentence that is too long into parts of similar length: between cues, else between words."""
    seconds = cues[-1].span.end - cues[0].span.start if len(cues) > 1 else 0.0
    parts = math.ceil(max(count_words(text) / style.max_words, seconds / style.max_seconds))
    candidates = [cue.start for cue in cues[1:]] or [place + space.end() for space in re.finditer(r"\s+", text)]
    if parts < 2 or not candidates:
        return []
    wanted = (place + len(text) * part / parts for part in range(1, parts))
    return sorted({min(candidates, key=lambda candidate: abs(candidate - target)) for target in wanted})


def _timed(text: str, start: int, end: int, cues: Sequence[_Cue]) -> TimedSentence:
    mark = _MARK.match(text, start, end)
    start = mark.end() if mark else start
    begins = _time_at(cues[0], start, end)[0]
    return TimedSentence(text[start:end], begins, _time_at(cues[-1], start, end)[1], "speech", tuple(cue.span for cue in cues))


def _time_at(cue: _Cue, start: int, end: int) -> tuple[float, float]:
    """Return when the characters [start, end) of the joined text are spoken in a cue: by its timed words, else by length."""
    first, last, span = max(start - cue.start, 0), min(end, cue.end) - cue.start, cue.span
    if span.words:
        return span.time_range(first, last)
    pace = (span.end - span.start) / len(span.text)
    return round(span.start + first * pace, 3), round(span.start + last * pace, 3)


def count_words(text: str) -> float:
    """Return the length of a text in words; two characters of a script without spaces count as one."""
    dense = len(_DENSE.findall(text))
    return dense / 2 + len(_WORD.findall(_DENSE.sub(" ", text)))


def _trim(text: str, places: Sequence[int]) -> list[tuple[int, int]]:
    """Return the characters [start, end) between places, without the spaces around them and those without any letter."""
    found = []
    for start, end in pairwise(places):
        part = text[start:end]
        if part.strip():
            found.append((start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())))
    return found


def _ends_sentence(match: re.Match[str], text: str, has_capitals: bool) -> bool:
    stops, closing, space = match.group("stops", "closing", "space")
    after = text[match.end() : match.end() + 100]
    if not after:
        return True
    if any(stop in _WIDE_STOPS for stop in stops):
        return not (closing and not space and after.startswith(("と", "って")))
    if not space:
        return stops[-1] in "!?" and _DENSE.match(after) is not None
    after_letter = text[match.start() - 1 : match.start()].isalnum()
    if after_letter and _first_letter(after).islower() and (has_capitals or stops.endswith(("..", "…"))):
        return False
    if stops.endswith(("..", "…")):
        return not text[: match.start()].endswith(" ") and _first_word(after) != "I"
    if stops != "." or closing:
        return True
    return _full_stop_ends(text[max(match.start() - 100, 0) : match.start()], after)


def _full_stop_ends(before: str, after: str) -> bool:
    """Return whether a full stop between two texts ends a sentence: not after abbreviations, initials and ordinals."""
    last = _LAST_WORD.search(before)
    word, following = last[0] if last else "", _first_word(after)
    if word.casefold() in _ABBREVIATIONS or (word.casefold() in _NUMBERED and following.isdigit()):
        return False
    if word.casefold() in ("a.m", "p.m"):
        return True
    if _INITIALS.fullmatch(word):
        return _begins_sentence(following, after)
    if word.isdigit() and len(word) <= 2:
        numbers_item = before[: -len(word)].rstrip()[-1:] in ("", *_STOPS)
        return not numbers_item and (_begins_sentence(following, after) or language_of(before + after) != "de")
    return True


def _first_letter(text: str) -> str:
    return text.lstrip(" \"'“„«»‘‚([¿¡")[:1]


def _first_word(text: str) -> str:
    found = _WORD.search(text)
    return found[0] if found else ""


def _begins_sentence(word: str, text: str) -> bool:
    return word[:1].isupper() and is_function_word(word, language_of(text) or "en")
