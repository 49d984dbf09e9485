"""Parse subtitle text (SubRip, WebVTT) in bounded time. Broken cues are counted, not fatal."""

import html
import re
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.schema import TimedWord

MAX_CUES = 100_000
_TIME = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")
_WORD_TIME = re.compile(rf"<{_TIME}>")  # <00:00:01.500>, when the words after it are spoken
_COMMENT = re.compile(r"(?:NOTE|STYLE|REGION)(?:\s|$)")  # begins a block of WebVTT that is no cue
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>|<[\d:.]{1,20}>|</?>")  # <i>, <c.loud>, <v Ann>, <00:01.500>
_BREAKING_TAG = re.compile(r"</?(?:br|p|div|li|tr|td|v)\b[^<>]{0,200}>", re.IGNORECASE)  # separates the words around it
_OVERRIDE = re.compile(r"\{\\[^{}]{0,500}\}")  # {\an8}
_LINE_BREAK = re.compile(r"\\[Nnh]")  # as ASS writes them


class Cue(NamedTuple):
    """Text on screen from `start` to `end` seconds, without markup."""

    start: float
    end: float
    text: str
    words: tuple[TimedWord, ...] = ()  # with the time tags of WebVTT


class Cues(NamedTuple):
    """The cues of a file in order of time, and the number of broken ones."""

    cues: list[Cue]
    broken: int


def decode_text(data: bytes) -> str:
    """Decode a subtitle file: by its byte order mark, else as UTF-8, else as Windows code page 1252."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


def parse_cues(text: str) -> Cues:
    """Parse a .srt or .vtt file. Cue numbers, settings, styles, notes and markup are left out."""
    lines = text.replace("\x00", "").splitlines()
    found: list[Cue] = []
    broken = 0
    for timing, text_lines in _blocks(lines):
        cue = _cue(timing, text_lines)
        if cue is None:
            broken += 1
        elif cue.text and len(found) < MAX_CUES:
            found.append(cue)
    return Cues(sorted(found), broken)


def strip_markup(text: str) -> str:
    """Return the text of a cue without tags, overrides and entities.

    >>> strip_markup(r"{\\an8}<i>5 &lt; 6</i> if a < b\\Nstill")
    '5 < 6 if a < b still'
    """
    text = _BREAKING_TAG.sub(" ", _LINE_BREAK.sub(" ", _OVERRIDE.sub("", text)))
    return " ".join(html.unescape(_TAG.sub("", text)).split())


def _blocks(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Return each timing line with the text lines below it, up to the next one: empty lines do not end a cue."""
    is_webvtt = bool(lines) and lines[0].removeprefix("\ufeff").startswith("WEBVTT")
    blocks: list[tuple[str, list[str]]] = []
    text_lines: list[str] = []  # before the first cue: what comes before it, such as a title
    in_comment = False
    for before, line in pairwise(["", *lines]):
        if _TIMING.match(line) or ("-->" in line and (not before.strip() or before.strip().isdigit()) and not in_comment):
            _drop_identifier(text_lines, is_webvtt=is_webvtt)
            text_lines, in_comment = [], False
            blocks.append((line, text_lines))
        elif is_webvtt and not before.strip() and _COMMENT.match(line):
            in_comment = True
        elif not in_comment:
            text_lines.append(line)
        elif not line.strip():
            in_comment = False
    return blocks


def _drop_identifier(text_lines: list[str], *, is_webvtt: bool) -> None:
    """Delete the identifier of the next cue at the end of the text of the one before it.

    In SubRip it is a number, in WebVTT any line after an empty one.
    """
    if text_lines and (text_lines[-1].strip().isdigit() or (is_webvtt and not "".join(text_lines[-2:-1]).strip())):
        text_lines.pop()


def _cue(timing: str, text_lines: list[str]) -> Cue | None:
    match = _TIMING.match(timing)
    if match is None:
        return None
    start, end = _seconds(*match.groups()[:4]), _seconds(*match.groups()[4:])
    text = "\n".join(text_lines)
    return Cue(start, end, strip_markup(text), _timed_words(text, start, end)) if end > start else None


def _timed_words(text: str, start: float, end: float) -> tuple[TimedWord, ...]:
    """Return the words between time tags; none if there are no tags or their times are not in order."""
    tags = list(_WORD_TIME.finditer(text))
    times = [start, *(_seconds(*tag.groups()) for tag in tags), end]
    if not tags or times != sorted(times):
        return ()
    places = [0, *(place for tag in tags for place in tag.span()), len(text)]
    parts = [strip_markup(text[first:last]) for first, last in zip(places[::2], places[1::2], strict=True)]
    timed = zip(parts, pairwise(times), strict=True)
    return tuple(TimedWord(part, begins, ends) for part, (begins, ends) in timed if part)


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str | None) -> float:
    milliseconds = int((fraction or "0").ljust(3, "0"))
    return int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + milliseconds / 1000
