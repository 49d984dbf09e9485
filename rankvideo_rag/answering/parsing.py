"""What a generator wrote, as statements with the evidence and the words that each names: nothing in here is checked yet.

Read are, in this order: the arguments of a function call or JSON with claims, bare, in fences or among prose, cut short or not;
else prose with markers such as `[2]`, `[1, 3]`, `[2 @ 01:05-01:09]`. This file knows neither LlamaIndex nor models.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MAX_CHARACTERS = 50_000  # characters that are read of what a generator wrote
MAX_CLAIMS = 50  # statements that are read

_TIME = r"(?:\d+:)?\d{1,3}:\d{2}(?:\.\d+)?"
_MARK = rf"\[\d+(?:\s*,\s*\d+)*(?:\s*@\s*{_TIME}(?:\s*[-–]\s*{_TIME})?)?\]"
MARKER = re.compile(rf"\[(\d+(?:\s*,\s*\d+)*)(?:\s*@\s*({_TIME})(?:\s*[-–]\s*({_TIME}))?)?\]")
_LATE_MARKERS = re.compile(rf"([.!?。！？؟]+[\"”»]?)\s*((?:{_MARK}\s*)+)")  # "So it is. [1]"
_TITLES = "".join(rf"(?<!\b{short}\.)" for short in ("Dr", "Mr", "Ms", "Mrs", "St", "Prof", "No", "approx"))
_SENTENCE_END = re.compile(rf"(?<=[.!?]){_TITLES}\s+|(?<=[.!?][\"”»])\s+|(?<=[。！？؟])\s*")
_BULLET = re.compile(r"^\s*(?:[-*•#>]+|\d{1,2}[.)])\s+")
_QUOTED = re.compile(r"“([^“”]+)”|\"([^\"]+)\"|«([^«»]+)»|„([^„“”]+)[“”]|「([^「」]+)」")
_HOLE = re.compile(r"[ \t]+([.,;:!?。！？؟])|[ \t]{2,}")  # what a marker leaves behind
_BEGUN = re.compile(r"\[[^\]]*$")  # a marker of which the end is not written yet
_MOST_DIGITS = 6  # of an evidence number: no prompt has a million clips


class CitationMarker(NamedTuple):
    """A piece of evidence as a generator names it."""

    marker: str  # as written, each number by itself: "[3]"
    number: int
    start: float | None = None  # seconds, where times were written
    end: float | None = None


class ParsedClaim(NamedTuple):
    """One statement as it was written, markers taken out."""

    text: str
    marks: tuple[CitationMarker, ...]
    quotes: tuple[str, ...] = ()


def parse_claims(written: str) -> list[ParsedClaim]:
    """The statements of an answer as a generator wrote it.

    >>> parse_claims('It leaves at nine [1]. So they say.')[0]
    ParsedClaim(text='It leaves at nine.', marks=(CitationMarker(marker='[1]', number=1, start=None, end=None),), quotes=())
    """
    return [*limit_claims(_read(written[:MAX_CHARACTERS])), *_unread(written)]


def finished_claims(written: str) -> list[ParsedClaim]:
    """The statements of an answer in the making that nothing written later can change, from its beginning."""
    drafts = _read(written) if any(in_json(written)) else _in_prose(_BEGUN.sub("", written.partition("{")[0]))[:-1]
    return _cited(drafts)[:MAX_CLAIMS]


def limit_claims(drafts: Sequence[ParsedClaim]) -> list[ParsedClaim]:
    """The first statements, as many as are read, and one that tells of the rest."""
    rest = [ParsedClaim(f"(what came after {MAX_CLAIMS} statements)", ())] if len(drafts) > MAX_CLAIMS else []
    return [*drafts[:MAX_CLAIMS], *rest]


def _read(written: str) -> list[ParsedClaim]:
    """JSON after what is cited before it, or prose."""
    claims = list(in_json(written))
    before = _in_prose(written.partition("{")[0] if claims else written)
    return [*_cited(before), *claims] if claims else before


def _cited(drafts: list[ParsedClaim]) -> list[ParsedClaim]:
    """The statements as far as any is cited."""
    return drafts[: max((place for place, draft in enumerate(drafts, start=1) if draft.marks), default=0)]


def _unread(written: str) -> list[ParsedClaim]:
    return [ParsedClaim(f"(what came after {MAX_CHARACTERS:,} characters)", ())] if len(written) > MAX_CHARACTERS else []


def claims_from_json(claims: Any) -> Iterator[ParsedClaim]:
    """The statements among claims of any shape that JSON can have: each needs a text; the rest is read as far as it can be."""
    for claim in claims if isinstance(claims, list) else []:
        text = claim.get("text", claim.get("claim")) if isinstance(claim, dict) else None
        if isinstance(text, str) and text.strip():
            quotes = [quote for quote in _listed(claim.get("quote")) if isinstance(quote, str) and quote.strip()]
            named = [mark for item in _listed(claim.get("evidence", claim.get("citations"))) for mark in _named(item)]
            (draft,) = _with_pending_marks([_sentence(text)])
            yield draft._replace(marks=(*draft.marks, *named), quotes=(*draft.quotes, *quotes))


def in_json(written: str) -> Iterator[ParsedClaim]:
    """The statements of the JSON in a text; of JSON that is cut short, those that are whole."""
    reader = json.JSONDecoder()
    place = written.find("{")
    while place >= 0:
        try:
            value, end = reader.raw_decode(written, place)
        except (ValueError, RecursionError):
            value, end = None, place + 1
        if isinstance(value, dict):
            yield from claims_from_json(value.get("claims", [value]))
            yield from _in_prose(value["answer"]) if isinstance(value.get("answer"), str) else ()
        place = written.find("{", end)


def _in_prose(written: str) -> list[ParsedClaim]:
    """Sentences. Those without a marker share the markers of the next that has any, in the same paragraph."""
    paragraphs = (_LATE_MARKERS.sub(_moved, paragraph) for paragraph in re.split(r"\n+", written))
    return [
        draft
        for paragraph in paragraphs
        for draft in _with_pending_marks([_sentence(text) for text in _SENTENCE_END.split(_BULLET.sub("", paragraph))])
        if draft.text
    ]


def _moved(match: re.Match[str]) -> str:
    """Markers before the end of their sentence."""
    return f" {match[2].strip()}{match[1]} "


def _sentence(text: str) -> ParsedClaim:
    marks = tuple(mark for match in MARKER.finditer(text) for mark in _marks(match))
    bare = _HOLE.sub(lambda hole: hole[1] or " ", MARKER.sub("", text)).replace("**", "").strip()
    return ParsedClaim(bare, marks, tuple(next(filter(None, groups)) for groups in _QUOTED.findall(bare)))


def _with_pending_marks(drafts: Sequence[ParsedClaim]) -> list[ParsedClaim]:
    pending: tuple[CitationMarker, ...] = ()
    lent = []
    for draft in reversed(drafts):
        pending = draft.marks or pending
        lent.append(draft._replace(marks=pending))
    return lent[::-1]


def _marks(match: re.Match[str]) -> Iterator[CitationMarker]:
    for digits in match[1].split(","):
        marker = match[0] if "," not in match[1] else f"[{digits.strip()}]"
        start, end = (parse_timestamp(time) if time else None for time in (match[2], match[3]))
        yield CitationMarker(marker, int(digits.strip()[:_MOST_DIGITS]), start, end)


def _named(item: Any) -> Iterator[CitationMarker]:
    """Evidence as a list of a claim may name it: 2, "2", "[2 @ 00:05]"."""
    if isinstance(item, bool) or not isinstance(item, int | str):
        yield CitationMarker(f"[{str(item)[:40]}]", 0)
    elif match := MARKER.fullmatch(text := f"[{str(item).strip(' []')}]"):
        yield from _marks(match)
    else:
        yield CitationMarker(text[:40], 0)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def parse_timestamp(text: str) -> float:
    """A written time in seconds.

    >>> parse_timestamp("01:05"), parse_timestamp("1:00:05.5")
    (65.0, 3605.5)
    """
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total
