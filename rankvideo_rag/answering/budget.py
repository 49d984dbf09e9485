"""Evidence cut to what a prompt can hold, and every cut told. This file knows neither LlamaIndex nor models.

Each clip gets an equal share of the tokens; what one does not need goes to the others. So no clip, however long its words, can
push another one out of the prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence, line
from rankvideo_rag.answering.extractive import support
from rankvideo_rag.schema import OmittedEvidence, TextSpan

BYTES_PER_TOKEN = 3  # English has more, most other scripts about as many: an estimate that errs to the safe side
ESTIMATE = f"estimate: UTF-8 bytes / {BYTES_PER_TOKEN}"
_PAUSE = 1  # tokens of a line break

Count = Callable[[str], int]


class Fitted(NamedTuple):
    """The evidence that a prompt holds."""

    evidence: list[Evidence]
    used: int  # tokens
    omitted: list[OmittedEvidence]


def estimate(text: str) -> int:
    """About how many tokens a text has, for models that do not tell.

    >>> estimate("nine"), estimate("九点")
    (2, 2)
    """
    return ceil(len(text.encode()) / BYTES_PER_TOKEN)


def fit(question: str, evidence: Sequence[Evidence], *, budget: int, count: Count) -> Fitted:
    """The clips, best first, with as many of their words as the budget holds.

    Of a clip with too many words those stay that RankVideo saw to be relevant or that hold most of what is asked. Where not
    even the heads of all clips fit, the last clips are left out.
    """
    shown, omitted = list(evidence), []
    while shown and sum(count(piece.head()) + 2 * _PAUSE for piece in shown) > budget:
        omitted.append(_omitted(shown.pop(), "clip", 1, 1))
    needs = [_cost(piece, count) for piece in shown]
    fitted = []
    for piece, need, share in zip(shown, needs, shares(needs, budget), strict=True):
        kept = piece if need <= share else _trimmed(question, piece, share, count)
        fitted.append(kept)
        if words := _words(piece) - _words(kept):
            omitted.append(_omitted(piece, "text", words, _words(piece)))
    return Fitted(fitted, sum(_cost(piece, count) for piece in fitted), omitted)


def shares(needs: Sequence[int], budget: int) -> list[int]:
    """The budget divided: nobody gets more than they need, and nobody less than another who gets less than they need.

    >>> shares([10, 50, 90], 100)
    [10, 45, 45]
    """
    left, given = budget, dict.fromkeys(range(len(needs)), 0)
    for waiting, number in zip(range(len(needs), 0, -1), sorted(given, key=lambda i: needs[i]), strict=True):
        given[number] = min(needs[number], left // waiting)
        left -= given[number]
    return list(given.values())


def _cost(piece: Evidence, count: Count) -> int:
    return count(piece.head()) + 2 * _PAUSE + sum(count(line(span)) + _PAUSE for span in piece.spans)


def _trimmed(question: str, piece: Evidence, room: int, count: Count) -> Evidence:
    left = room - count(piece.head()) - 2 * _PAUSE
    kept: dict[int, TextSpan] = {}
    for place in _by_worth(question, piece):
        span = _beginning(piece.spans[place], left - _PAUSE, count)
        if span is not None:
            kept[place] = span
            left -= count(line(span)) + _PAUSE
    return piece._replace(spans=tuple(kept[place] for place in sorted(kept)))


def _by_worth(question: str, piece: Evidence) -> Iterator[int]:
    """Places of the spans, the worthiest first: what is asked, then what lies in the window that was seen to be relevant."""
    held = [support(question, span.text, span.channel) for span in piece.spans]
    # A sentence may be cut by subtitles: neighbours share in each other's worth.
    near = [max(held[max(i - 1, 0) : i + 2]) for i in range(len(held))]
    seen = [bool(piece.seen) and s.start < piece.seen.end and s.end > piece.seen.start for s in piece.spans]  # type: ignore[union-attr]
    yield from sorted(range(len(held)), key=lambda i: (-near[i], not seen[i], i))


def _beginning(span: TextSpan, room: int, count: Count) -> TextSpan | None:
    """As many of the first words as there is room for; None where there is none for any."""
    words = span.text.split()
    few, many = 0, len(words)
    while few < many:
        middle = (few + many + 1) // 2
        fits = count(line(span.model_copy(update={"text": " ".join(words[:middle])}))) <= room
        few, many = (middle, many) if fits else (few, middle - 1)
    return None if not few else span if few == len(words) else span.model_copy(update={"text": " ".join(words[:few])})


def _words(piece: Evidence) -> int:
    return sum(len(span.text.split()) for span in piece.spans)


def _omitted(piece: Evidence, kind: str, count: int, total: int) -> OmittedEvidence:
    return OmittedEvidence.model_validate(
        {
            "title": piece.title,
            "start": piece.start,
            "end": piece.end,
            "kind": kind,
            "count": count,
            "total": total,
            "reason": "the prompt's token budget",
        }
    )
