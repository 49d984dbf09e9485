"""A measure's number or the reason why there is none, and the few ways in which such numbers are put together.

Shares are between 0 and 1. This file knows no measure by name.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple


class MeasureValue(NamedTuple):
    """What was measured; where `value` is None, `reason` says why.

    `unjudged` tells what no judge had a verdict on from what is not there to be judged.
    """

    value: float | None
    reason: str | None = None
    unjudged: bool = False


def share(parts: Iterable[float | None], *, of: str) -> MeasureValue:
    """The mean of what is known of the parts: 1 or True for one that holds, 0 or False for one that does not.

    Unknown parts (None) are left out, as they say neither; they are counted where verdicts are counted.

    >>> share([True, None, False], of="claims")
    MeasureValue(value=0.5, reason=None, unjudged=False)
    >>> share([], of="claims")
    MeasureValue(value=None, reason='no claims', unjudged=False)
    """
    every = list(parts)
    known = [float(part) for part in every if part is not None]
    return ratio(math.fsum(known), len(known), of=of, unknown=len(every) - len(known))


def ratio(part: float, whole: float, *, of: str, unknown: int = 0) -> MeasureValue:
    """part / whole, of what is known; `unknown` more are not."""
    if whole:
        return MeasureValue(part / whole)
    return MeasureValue(None, f"no verdict on any of the {of}", unjudged=True) if unknown else MeasureValue(None, f"no {of}")


def f1(precision: MeasureValue, recall: MeasureValue) -> MeasureValue:
    """The harmonic mean. With one of the two 0 it is 0 also where the other has nothing to measure, as for an answer that says
    nothing; but not where the other was not judged: questions on which it is 0 would then be the only ones that count.

    >>> f1(MeasureValue(None, "no claims"), MeasureValue(0.0)).value, f1(MeasureValue(0.5), MeasureValue(1.0)).value
    (0.0, 0.6666666666666666)
    """
    unjudged = precision.unjudged or recall.unjudged
    if 0.0 in (precision.value, recall.value) and not unjudged:
        return MeasureValue(0.0)
    if precision.value is None or recall.value is None:
        return MeasureValue(None, precision.reason or recall.reason, unjudged)
    return MeasureValue(2 * precision.value * recall.value / (precision.value + recall.value))
