"""Values of measures, computed from parts of which some may be unknown. All values are shares between 0 and 1."""

import math
from collections.abc import Iterable
from typing import NamedTuple


class MeasureValue(NamedTuple):
    """The value of a measure; where it is None, `reason` says why.

    `unjudged` is True where there was something to measure and the judge decided none of it.
    """

    value: float | None
    reason: str | None = None
    unjudged: bool = False


class Tally(NamedTuple):
    """How many parts hold, of those that were judged."""

    holding: float = 0.0
    judged: float = 0.0
    unknown: float = 0.0  # parts without a judgement

    def ratio(self, of: str) -> MeasureValue:
        """Return holding / judged. `of` names the parts in the reason for a missing value.

        >>> Tally(1, 2, unknown=1).ratio("claims").value, Tally().ratio("claims").reason
        (0.5, 'no claims')
        """
        if self.judged:
            return MeasureValue(self.holding / self.judged)
        if self.unknown:
            return MeasureValue(None, f"no judgement on any of the {of}", unjudged=True)
        return MeasureValue(None, f"no {of}")


def tally(parts: Iterable[float | None]) -> Tally:
    """Count parts: 1 or True for one that holds, 0 or False for one that does not, None for an unknown one."""
    all_parts = list(parts)
    known = [float(part) for part in all_parts if part is not None]
    return Tally(math.fsum(known), len(known), len(all_parts) - len(known))


def share(parts: Iterable[float | None], *, of: str) -> MeasureValue:
    """Return the mean of the known parts. Unknown ones (None) are left out, as they say neither yes nor no."""
    return tally(parts).ratio(of)


def f1(precision: MeasureValue, recall: MeasureValue) -> MeasureValue:
    """Return the harmonic mean.

    It is 0 where one of the two is 0, even if there was nothing to measure for the other, as for an empty answer. It is None
    where one of them was not judged: otherwise only the questions on which it is 0 would count.

    >>> f1(MeasureValue(None, "no claims"), MeasureValue(0.0)).value, f1(MeasureValue(0.5), MeasureValue(1.0)).value
    (0.0, 0.6666666666666666)
    """
    unjudged = precision.unjudged or recall.unjudged
    if 0.0 in (precision.value, recall.value) and not unjudged:
        return MeasureValue(0.0)
    if precision.value is None or recall.value is None:
        return MeasureValue(None, precision.reason or recall.reason, unjudged)
    return MeasureValue(2 * precision.value * recall.value / (precision.value + recall.value))


def with_f1(name: str, precision: MeasureValue, recall: MeasureValue, suffix: str = "") -> dict[str, MeasureValue]:
    """Return precision, recall and F1 under the measure's names, such as InfoP, InfoR and InfoF1."""
    return {f"{name}P{suffix}": precision, f"{name}R{suffix}": recall, f"{name}F1{suffix}": f1(precision, recall)}
