"""Citations as a generator writes them, checked against what it was shown: `[2]`, `[2 @ 01:05-01:09]`, `[1, 3]`.

A citation holds when its number was shown and its times, if any, lie inside that clip. What does not hold is taken out of the
text and reported. This file knows neither LlamaIndex nor models.
"""

import re
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import Answer, Citation, RemovedCitation
from rankvideo_rag.text import timestamp

NOT_ANSWERED = "The archive does not answer this."
_TIME = r"(?:\d+:)?\d{1,3}:\d{2}(?:\.\d+)?"
_MARKER = re.compile(rf"\[(\d+(?:\s*,\s*\d+)*)(?:\s*@\s*({_TIME})(?:\s*[-–]\s*({_TIME}))?)?\]")
_HOLE = re.compile(r"[ \t]+([.,;:!?])|[ \t]{2,}")  # what a removed marker leaves behind
# Written times are whole seconds, rounded down: a second at either end is no error.
_SLACK = 1.0


class _Checked(NamedTuple):
    citations: list[Citation]
    removed: list[RemovedCitation]


def resolve(question: str, written: str, shown: list[Evidence]) -> Answer:
    """The answer that a generator wrote, with every citation checked, and in words instead of numbers: `[title @ mm:ss]`.

    No citation left means that nothing shown bears the answer out: the answer is then "The archive does not answer this."
    """
    by_number = {evidence.number: evidence for evidence in shown}
    kept: list[Citation] = []
    removed: list[RemovedCitation] = []

    def replaced(match: re.Match[str]) -> str:
        checked = _check(match, by_number)
        kept.extend(checked.citations)
        removed.extend(checked.removed)
        return " ".join(in_words(citation) for citation in checked.citations)

    text = _MARKER.sub(replaced, written)
    return answer(question, _HOLE.sub(lambda hole: hole[1] or " ", text).strip(), kept, removed)


def answer(question: str, text: str, kept: list[Citation], removed: list[RemovedCitation]) -> Answer:
    """The answer with these citations, each once; without any, that the archive does not answer."""
    return Answer(
        question=question,
        text=text if kept else NOT_ANSWERED,
        answered=bool(kept),
        citations=tuple(dict.fromkeys(kept)),
        removed_citations=tuple(removed),
    )


def in_words(citation: Citation) -> str:
    """A citation as people read it."""
    return f"[{citation.title} @ {timestamp(citation.start)}]"


def _check(match: re.Match[str], shown: dict[int, Evidence]) -> _Checked:
    checked = _Checked([], [])
    for number in (int(digits) for digits in match[1].split(",")):
        marker = match[0] if "," not in match[1] else f"[{number}]"
        if number not in shown:
            checked.removed.append(RemovedCitation(marker=marker, reason=f"no clip {number} was shown"))
            continue
        evidence = shown[number]
        start = seconds(match[2]) if match[2] else None
        end = seconds(match[3]) if match[3] else None
        fault = _fault(evidence, start, end)
        if fault:
            checked.removed.append(RemovedCitation(marker=marker, reason=fault))
        else:
            checked.citations.append(evidence.cite(_within(evidence, start), _within(evidence, end)))
    return checked


def _fault(evidence: Evidence, start: float | None, end: float | None) -> str | None:
    for time in (start, end):
        if time is not None and not evidence.start - _SLACK <= time <= evidence.end + _SLACK:
            span = f"{timestamp(evidence.start)}-{timestamp(evidence.end)}"
            return f"{timestamp(time)} lies outside clip {evidence.number}, which is {span}"
    if start is not None and end is not None and end < start:
        return f"it ends at {timestamp(end)}, before it begins"
    return None


def _within(evidence: Evidence, time: float | None) -> float | None:
    return None if time is None else min(max(time, evidence.start), evidence.end)


def seconds(text: str) -> float:
    """A written time in seconds.

    >>> seconds("01:05"), seconds("1:00:05.5")
    (65.0, 3605.5)
    """
    total = 0.0
    for part in text.split(":"):
        total = total * 60 + float(part)
    return total
