"""Parse what a language model wrote into claims, with the evidence and the quotes that each one names.

Accepted are, in this order: the arguments of a function call, or JSON with claims (bare, fenced, within prose, truncated);
else prose with markers such as `[2]`, `[1, 3]` or `[2 @ 01:05-01:09]`, or in another of the usual styles. Nothing is verified
here.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeGuard

from rankvideo_rag.answering.citation_styles import normalize_citations
from rankvideo_rag.text import split_sentences

MAX_CHARACTERS = 50_000  # of a reply; the rest is ignored and reported
MAX_CLAIMS = 50

_TIME = r"(?:\d+:)?\d{1,3}:\d{2}(?:\.\d+)?"
_MARKER = re.compile(rf"\[(\d+(?:\s*,\s*\d+)*)(?:\s*@\s*({_TIME})(?:\s*[-–]\s*({_TIME}))?)?\]")
_ANY_MARKER = rf"\[\d+(?:\s*,\s*\d+)*(?:\s*@\s*{_TIME}(?:\s*[-–]\s*{_TIME})?)?\]"
_LATE_MARKERS = re.compile(rf"([.!?。！？؟]+[\"”»]?)\s*((?:{_ANY_MARKER}\s*)+)")  # "So it is. [1]"
_UNFINISHED_MARKER = re.compile(r"(?:\[[^\]]*|【[^】]*|\([^)]*|\^\d*)$")
_GAP = re.compile(r"[ \t]+([.,;:!?。！？؟])|[ \t]{2,}")  # left where a marker was removed
_BULLET = re.compile(r"^\s*(?:[-*•#>]+|\(?\d{1,2}[.)])\s+")
_QUOTED = re.compile(r"“([^“”]+)”|\"([^\"]+)\"|«([^«»]+)»|„([^„“”]+)[“”]|「([^「」]+)」")
_MAX_DIGITS = 6  # of an evidence number


class CitationMarker(NamedTuple):
    """A piece of evidence as the model names it."""

    marker: str  # as written, one number each: "[3]"
    number: int
    start: float | None = None  # seconds, if times were written
    end: float | None = None


class ParsedClaim(NamedTuple):
    """One claim as it was written, without its markers."""

    text: str
    markers: tuple[CitationMarker, ...]
    quotes: tuple[str, ...] = ()


def parse_claims(written: str) -> list[ParsedClaim]:
    """Return the claims of a model's reply.

    >>> parse_claims('It leaves at nine [1]. So they say.')[0]
    ParsedClaim(text='It leaves at nine.', markers=(CitationMarker(marker='[1]', number=1, start=None, end=None),), quotes=())
    """
    claims = limit_claims(_parse(_without_reasoning(written[:MAX_CHARACTERS])))
    if len(written) > MAX_CHARACTERS:
        claims.append(ParsedClaim(f"(text after {MAX_CHARACTERS:,} characters)", ()))
    return claims


def parse_finished_claims(written: str) -> list[ParsedClaim]:
    """Return the first claims of a reply in progress: those that nothing written later can change."""
    written = _without_reasoning(written)
    if any(_parse_json(written)):
        claims = _parse(written)
    else:
        claims = _parse_prose(_UNFINISHED_MARKER.sub("", written.partition("{")[0]))[:-1]
    return _until_last_cited(claims)[:MAX_CLAIMS]


def limit_claims(claims: Sequence[ParsedClaim]) -> list[ParsedClaim]:
    """Return the first claims, and one that reports the others if there are too many."""
    rest = [ParsedClaim(f"(text after {MAX_CLAIMS} claims)", ())] if len(claims) > MAX_CLAIMS else []
    return [*claims[:MAX_CLAIMS], *rest]


def claims_from_json(claims: Any) -> Iterator[ParsedClaim]:
    """Return the claims of a JSON value: each needs a text, other fields are read as far as they are valid."""
    for claim in claims if isinstance(claims, list) else []:
        text = claim.get("text", claim.get("claim")) if isinstance(claim, dict) else None
        if _is_text(text):
            parsed = _parse_sentence(normalize_citations(text))
            quotes = filter(_is_text, _as_list(claim.get("quote")))
            named = _as_list(claim.get("evidence", claim.get("citations")))
            markers = (marker for item in named for marker in _parse_evidence_item(item))
            yield parsed._replace(markers=(*parsed.markers, *markers), quotes=(*parsed.quotes, *quotes))


def parse_timestamp(text: str) -> float:
    """Return a written time in seconds.

    >>> parse_timestamp("01:05"), parse_timestamp("1:00:05.5")
    (65.0, 3605.5)
    """
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total


def _without_reasoning(written: str) -> str:
    """Return what follows the <think>…</think> that reasoning models begin with; nothing as long as it is open."""
    return written.partition("</think>")[2] if written.lstrip().startswith("<think>") else written


def _parse(written: str) -> list[ParsedClaim]:
    """Return claims in JSON, after those that are cited before it; without JSON, claims in prose."""
    claims = list(_parse_json(written))
    before = _parse_prose(written.partition("{")[0] if claims else written)
    return [*_until_last_cited(before), *claims] if claims else before


def _until_last_cited(claims: list[ParsedClaim]) -> list[ParsedClaim]:
    return claims[: max((count for count, claim in enumerate(claims, start=1) if claim.markers), default=0)]


def _parse_json(written: str) -> Iterator[ParsedClaim]:
    """Return the claims of all JSON objects in a text; of a truncated object, the claims that are complete."""
    decoder = json.JSONDecoder()
    place = written.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(written, place)
        except (ValueError, RecursionError):
            value, end = None, place + 1
        if isinstance(value, dict):
            yield from claims_from_json(value.get("claims", [value]))
            yield from _parse_prose(value["answer"]) if isinstance(value.get("answer"), str) else ()
        place = written.find("{", end)


def _parse_prose(written: str) -> list[ParsedClaim]:
    """Return the sentences. One without a marker shares those of the next marked sentence of its paragraph."""
    claims = []
    for paragraph in re.split(r"\n+", written):
        text = _LATE_MARKERS.sub(_before_sentence_end, normalize_citations(_BULLET.sub("", paragraph)))
        markers: tuple[CitationMarker, ...] = ()
        shared = []
        for claim in reversed([_parse_sentence(sentence) for sentence in split_sentences(text)]):
            markers = claim.markers or markers
            shared.append(claim._replace(markers=markers))
        claims += [claim for claim in reversed(shared) if claim.text]
    return claims


def _before_sentence_end(match: re.Match[str]) -> str:
    return f" {match[2].strip()}{match[1]} "


def _parse_sentence(text: str) -> ParsedClaim:
    markers = tuple(marker for match in _MARKER.finditer(text) for marker in _split_marker(match))
    bare = _GAP.sub(lambda gap: gap[1] or " ", _MARKER.sub("", text)).replace("**", "").strip()
    return ParsedClaim(bare, markers, tuple(next(filter(None, groups)) for groups in _QUOTED.findall(bare)))


def _split_marker(match: re.Match[str]) -> Iterator[CitationMarker]:
    start, end = (parse_timestamp(time) if time else None for time in (match[2], match[3]))
    for digits in match[1].split(","):
        marker = match[0] if "," not in match[1] else f"[{digits.strip()}]"
        yield CitationMarker(marker, int(digits.strip()[:_MAX_DIGITS]), start, end)


def _parse_evidence_item(item: Any) -> Iterator[CitationMarker]:
    """Return the markers that one item of a claim's evidence list stands for: 2, "2" or "[2 @ 00:05]"."""
    if isinstance(item, bool) or not isinstance(item, int | str):
        yield CitationMarker(f"[{str(item)[:40]}]", 0)
    elif match := _MARKER.fullmatch(normalize_citations(text := f"[{str(item).strip(' []()【】^')}]")):
        yield from _split_marker(match)
    else:
        yield CitationMarker(text[:40], 0)


def _is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value.strip())


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
