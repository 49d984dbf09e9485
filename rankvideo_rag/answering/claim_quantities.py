"""Compare the quantities of a claim with those of its evidence."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

from rankvideo_rag.answering.clauses import Passage, Term
from rankvideo_rag.text.numbers import Quantity, find_quantities

_CALENDAR = frozenset({"date", "month", "weekday", "time", "year", "decade", "century"})
_LATER = frozenset({("weekday", "day"), ("date", "day"), ("year", "year")})  # what a duration leads to
_REACH = 2  # content words on either side that tell what a quantity is of


class Finding(NamedTuple):
    """What is wrong with a claim. A contradiction is certain, a doubt leaves the claim unchecked."""

    contradicts: bool
    reason: str
    is_open: bool = False  # a doubt about wording only, which an NLI model may decide


class Bound(NamedTuple):
    """A quantity with the content words beside it in its clause, nearest first."""

    quantity: Quantity
    left: tuple[str, ...]
    right: tuple[str, ...]
    is_count: bool  # a number directly before a noun: six gates
    part: str  # "part" and "whole" of "two of the six gates", else empty


def bind(passage: Passage) -> list[Bound]:
    """Return the quantities of a passage with what stands beside them."""
    found = list(find_quantities(passage.text))
    terms = [term for clause in passage.clauses for term in clause.terms]
    return [_bind(quantity, found, terms, passage) for quantity in found if not _is_vague(quantity)]


def _is_vague(quantity: Quantity) -> bool:
    """Return whether a number is as often a pronoun or an adverb: one, first."""
    return quantity.value == 1 and quantity.kind in ("number", "ordinal")


def _bind(quantity: Quantity, quantities: Sequence[Quantity], terms: Sequence[Term], passage: Passage) -> Bound:
    before = max((q.end for q in quantities if q.end <= quantity.start), default=0)
    after = min((q.start for q in quantities if q.start >= quantity.end), default=len(passage.text))
    clause = next((c for c in passage.clauses if c.start <= quantity.start < c.end), None)
    first, last = (clause.start, clause.end) if clause else (0, len(passage.text))
    left = [t for t in terms if max(before, first) <= t.start < quantity.start]
    right = [t for t in terms if quantity.end <= t.start < min(after, last)]
    if not left and not right:  # "Against? Five."
        left = [t for t in terms if before <= t.start < quantity.start]
    is_count = bool(right) and not quantity.unit and passage.text[quantity.end : right[0].start].strip() == ""
    return Bound(
        quantity,
        tuple(t.lemma for t in left[: -_REACH - 1 : -1]),
        tuple(t.lemma for t in right[:_REACH]),
        is_count,
        _part(passage.text[: quantity.start], passage.text[quantity.end :]),
    )


_OF = r"(?:of(?: the| all| these| those)?|von(?: den)?|der|de(?: los| las| la| les| l['’])?|des)"
_WHOLE = re.compile(rf"\b{_OF}\s*$", re.IGNORECASE)
_PART = re.compile(rf"\s+{_OF}\b", re.IGNORECASE)


def _part(before: str, after: str) -> str:
    return "whole" if _WHOLE.search(before) else "part" if _PART.match(after) else ""


def check_quantities(claim: Passage, evidence: Passage, question: str) -> Iterator[Finding]:
    """Yield what is wrong with the quantities of a claim. Reasons name no words of the claim: it may be withheld."""
    stated, asked = bind(evidence), find_quantities(question)
    for bound in bind(claim):
        equal = [other for other in stated if is_same(bound.quantity, other.quantity)]
        if not equal:
            yield _missing(bound, stated, asked)
        elif _belongs_elsewhere(bound, equal, stated):
            yield Finding(True, f"{_name(bound)} in it belongs to something else in the evidence")


def _missing(bound: Bound, stated: Sequence[Bound], asked: Iterable[Quantity]) -> Finding:
    name = _name(bound)
    if is_derived(bound.quantity, [other.quantity for other in stated]):
        return Finding(False, f"{name} in it is not in the evidence, but may be calculated from it")
    if any(_is_rival(bound, other) for other in stated):
        return Finding(True, f"the evidence has another {bound.quantity.kind}")
    if any(is_same(bound.quantity, other) for other in asked):
        return Finding(False, f"{name} in it is in the question, not in the evidence")
    return Finding(False, f"{name} in it is not in the evidence")


def _name(bound: Bound) -> str:
    kind = bound.quantity.kind
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _is_rival(bound: Bound, other: Bound) -> bool:
    """Return whether another quantity stands where the claim has this one."""
    ours, theirs = bound.quantity, other.quantity
    if ours.kind in _CALENDAR or theirs.kind in _CALENDAR:
        return ours.kind == theirs.kind
    if ours.value == theirs.value and ours.unit != theirs.unit:
        return True
    shared = {*bound.left, *bound.right} & {*other.left, *other.right}
    return ours.unit == theirs.unit and bool(ours.unit or shared)


def is_same(ours: Quantity, theirs: Quantity) -> bool:
    """Return whether evidence that states one quantity supports another: a date its month, a bare number one with a unit."""
    kinds = (ours.kind, theirs.kind)
    if kinds == ("month", "date"):
        return ours.value == theirs.value // 100
    if kinds == ("decade", "year"):
        return 0 <= theirs.value - ours.value < 10
    if kinds == ("century", "year"):
        return ours.value == (theirs.value - 1) // 100 + 1
    if "time" in kinds:
        return _is_same_time(ours, theirs)
    if "percent" in kinds and "fraction" in kinds:
        factor = 0.01 if ours.kind == "percent" else 100
        return _is_close(ours.value * factor, theirs.value)
    if (ours.kind in _CALENDAR or theirs.kind in _CALENDAR) and not {"year", "number"}.issuperset(kinds):
        return kinds[0] == kinds[1] and ours.value == theirs.value
    return ("code" not in kinds and _is_close(ours.value, theirs.value) and _same_unit(ours.unit, theirs.unit)) or (
        kinds == ("code", "code") and ours.unit == theirs.unit
    )


def _same_unit(ours: str, theirs: str) -> bool:
    """Return whether units agree; one that is left out, and a rate of which one side is left out, agree with any."""
    if not ours or not theirs or ours == theirs:
        return True
    (unit, _, rate), (other, _, other_rate) = ours.partition("/"), theirs.partition("/")
    return unit == other and not (rate and other_rate)


def _is_same_time(ours: Quantity, theirs: Quantity) -> bool:
    if ours.kind != theirs.kind:  # "at nine" and "nine"
        bare, time = (ours, theirs) if theirs.kind == "time" else (theirs, ours)
        return bare.kind == "number" and bare.value * 60 % 720 == time.value % 720
    halves = {ours.unit, theirs.unit} - {""}
    return ours.value % 720 == theirs.value % 720 and len(halves) < 2


def _is_close(ours: float, theirs: float) -> bool:
    return abs(ours - theirs) <= 1e-6 * max(abs(ours), abs(theirs), 1)


def is_derived(quantity: Quantity, stated: Sequence[Quantity]) -> bool:
    """Return whether a quantity is a sum, a difference, a share or a later date of two others, or what is left of 100 %."""
    if quantity.kind == "percent" and any(q.kind == "percent" and _is_close(quantity.value, 100 - q.value) for q in stated):
        return True
    return any(_is_result(quantity, a, b) for a, b in permutations(stated, 2))


def _is_result(quantity: Quantity, a: Quantity, b: Quantity) -> bool:
    value, kinds = quantity.value, {quantity.kind, a.kind, b.kind}
    if quantity.kind == a.kind and (quantity.kind, b.unit) in _LATER:
        gap = abs(value - a.value)
        return gap == b.value or (quantity.kind == "weekday" and gap % 7 in (b.value % 7, -b.value % 7))
    if kinds & _CALENDAR:
        return False
    if quantity.kind in ("percent", "fraction"):
        return a.value != 0 and _is_close(value, b.value / a.value * (100 if quantity.kind == "percent" else 1))
    agree = _same_unit(a.unit, b.unit) and quantity.unit in (a.unit, b.unit, "")
    return agree and (_is_close(value, a.value + b.value) or _is_close(value, a.value - b.value))


def _belongs_elsewhere(bound: Bound, equal: Sequence[Bound], stated: Sequence[Bound]) -> bool:
    """Return whether the words beside a quantity stand beside another one in the evidence, rather than beside an equal one."""
    if bound.part == "part" and all(other.part == "whole" for other in equal):
        return True
    others = [other for other in stated if other not in equal and _is_comparable(bound, other)]
    against = in_favour = 0
    for side in ("right", "left"):
        for place, word in enumerate(getattr(bound, side)):
            weight = _REACH - place
            if any(word in getattr(one, side) for one in equal):
                in_favour += 2 * weight
            else:
                if any(word in getattr(one, side) for one in others):
                    against += (2 if side == "right" else 1) * weight
                elif any(word in (*one.left, *one.right) for one in others) and not _beside(word, equal):
                    against += weight
                in_favour += weight if _beside(word, equal) else 0
    return against > in_favour


def _beside(word: str, bounds: Iterable[Bound]) -> bool:
    return any(word in (*one.left, *one.right) for one in bounds)


def _is_comparable(bound: Bound, other: Bound) -> bool:
    ours, theirs = bound.quantity, other.quantity
    if (ours.unit and theirs.unit) or ours.kind in _CALENDAR or theirs.kind in _CALENDAR:
        return (
            ours.unit == theirs.unit
            and (ours.kind in _CALENDAR) == (theirs.kind in _CALENDAR)
            and (ours.kind == theirs.kind or ours.kind not in _CALENDAR)
        )
    if ours.unit or theirs.unit:
        return not (bound.is_count or other.is_count)
    return True
