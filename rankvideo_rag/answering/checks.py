"""Citations checked against what was shown: a number that was shown, times inside that clip, quotes that stand in its words.

A statement keeps the citations that hold; what does not hold is reported. This file knows neither LlamaIndex nor models.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.parsing import CitationMarker, ParsedClaim
from rankvideo_rag.answering.quotes import Found, find, split
from rankvideo_rag.answering.support import plain
from rankvideo_rag.schema import Citation, RemovedCitation
from rankvideo_rag.text import timestamp

# Written times are whole seconds, rounded down: a second at either end is no error.
_SLACK = 1.0
_QUOTATION_MARKS = (("“", "”"), ('"', '"'), ("«", "»"), ("„", "“"), ("„", "”"), ("「", "」"))


class Checked(NamedTuple):
    """What became of the evidence that a statement names."""

    cited: tuple[Evidence, ...]  # whose citations hold
    citations: tuple[Citation, ...]
    removed: tuple[RemovedCitation, ...]
    quoted: dict[str, Found]  # its quotes, with the words that are stored
    false_quote: bool  # one of its quotes stands in none of the words it cites


def check(draft: ParsedClaim, shown: Mapping[int, Evidence]) -> Checked:
    """The evidence that a statement names, checked. A citation whose words are quoted gets the time of these words."""
    faults = {mark: _fault(mark, shown) for mark in dict.fromkeys(draft.marks)}
    good = [mark for mark, fault in faults.items() if fault is None]
    found = {mark.number: _quotes(draft, shown[mark.number]) for mark in good}
    return Checked(
        tuple(shown[number] for number in found),
        tuple(dict.fromkeys(citation for mark in good for citation in _cited(mark, shown[mark.number], found[mark.number]))),
        tuple(RemovedCitation(marker=f"[{plain(mark.marker[1:-1])}]", reason=fault) for mark, fault in faults.items() if fault),
        {quote: match for matches in found.values() for quote, match in matches.items()},
        any(not any(quote in matches for matches in found.values()) for quote in _to_check(draft, shown)),
    )


def as_stored(text: str, quoted: Mapping[str, Found]) -> str:
    """A statement whose quotes are given as they are stored, not as they were written."""
    for quote, match in quoted.items():
        for left, right in _QUOTATION_MARKS:
            text = text.replace(f"{left}{quote}{right}", f"“{match.text.rstrip('.')}”")
    return text


def _to_check(draft: ParsedClaim, shown: Mapping[int, Evidence]) -> list[str]:
    """The quotes of a statement, without titles of what it cites: a title in quotation marks is a name."""
    titles = [split(shown[mark.number].title) for mark in draft.marks if mark.number in shown]
    return [quote for quote in draft.quotes if split(quote) not in titles]


def _quotes(draft: ParsedClaim, evidence: Evidence) -> dict[str, Found]:
    return {quote: match for quote in draft.quotes if (match := find(quote, evidence))}


def _cited(mark: CitationMarker, evidence: Evidence, quotes: Mapping[str, Found]) -> list[Citation]:
    if quotes:
        return [evidence.cite(match.start, match.end, match.text, match.channel) for match in quotes.values()]
    return [evidence.cite(_within(evidence, mark.start), _within(evidence, mark.end))]


def _fault(mark: CitationMarker, shown: Mapping[int, Evidence]) -> str | None:
    if mark.number not in shown:
        return f"no clip {mark.number} was shown"
    evidence = shown[mark.number]
    for time in (mark.start, mark.end):
        if time is not None and not evidence.extent.start - _SLACK <= time <= evidence.extent.end + _SLACK:
            span = f"{timestamp(evidence.start)}-{timestamp(evidence.end)}"
            return f"{timestamp(time)} lies outside clip {evidence.number}, which is {span}"
    if mark.start is not None and mark.end is not None and mark.end < mark.start:
        return f"it ends at {timestamp(mark.end)}, before it begins"
    return None


def _within(evidence: Evidence, time: float | None) -> float | None:
    return None if time is None else min(max(time, evidence.start), evidence.end)
