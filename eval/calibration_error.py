"""Measure whether sigmoid(margin) is the rate at which pairs are relevant: expected calibration error and reliability bins.

Bins of equal mass by default (Nixon et al., CVPR workshops 2019): as p_yes saturates, bins of equal width would leave nearly
all pairs in the first and the last.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Record

BINS = 10
_Floats = npt.NDArray[np.float64]


class CalibrationBin(Record):
    """Pairs whose p_yes lies close together: one point of a reliability plot."""

    low: float  # smallest p_yes
    high: float  # largest
    pairs: int
    p_yes: float  # mean
    relevant: float  # share


class CalibrationReport(Record):
    """The expected calibration error and its bins."""

    pairs: int
    relevant: int
    error: float | None  # sum over bins of their share of pairs x |p_yes - relevant|; None without pairs
    reason: str | None = None
    bins: tuple[CalibrationBin, ...] = ()


def measure_calibration(
    margins: Sequence[float], relevant: Sequence[bool], *, bins: int = BINS, edges: Sequence[float] | None = None
) -> CalibrationReport:
    """Compare margins, logp(yes) - logp(no) in nats, with judgements of the same pairs.

    `bins` hold equally many pairs, except that equal p_yes share one. `edges`, ascending from 0 to 1, replace them: each bin
    includes its lower edge, and empty ones are left out.
    """
    if len(margins) != len(relevant):
        raise InputError(f"{len(margins)} margins and {len(relevant)} judgements: each pair needs both")
    if not margins:
        return CalibrationReport(pairs=0, relevant=0, error=None, reason="no pair has both a margin and a judgement")
    order = np.argsort(margins, kind="stable")
    p_yes = _sigmoid(np.array(margins, dtype=np.float64)[order])
    truth = np.array(relevant, dtype=np.float64)[order]
    cuts = _equal_mass(p_yes, bins) if edges is None else np.searchsorted(p_yes, _checked(edges)[1:-1])
    filled = [_bin(p, t) for p, t in zip(np.split(p_yes, cuts), np.split(truth, cuts), strict=True) if p.size]
    error = sum(one.pairs * abs(one.p_yes - one.relevant) for one in filled) / len(margins)
    return CalibrationReport(pairs=len(margins), relevant=int(truth.sum()), error=error, bins=tuple(filled))


def _bin(p_yes: _Floats, truth: _Floats) -> CalibrationBin:
    low, high = float(p_yes[0]), float(p_yes[-1])
    return CalibrationBin(low=low, high=high, pairs=p_yes.size, p_yes=float(p_yes.mean()), relevant=float(truth.mean()))


def _equal_mass(p_yes: _Floats, bins: int) -> npt.NDArray[np.intp]:
    """Return where to cut sorted values: after the last of those that equal the one at the cut."""
    at = np.arange(1, bins) * p_yes.size // bins
    return np.unique(np.searchsorted(p_yes, p_yes[at[at > 0] - 1], side="right"))


def _checked(edges: Sequence[float]) -> _Floats:
    found = np.array(edges, dtype=np.float64)
    if found.size < 2 or found[0] != 0 or found[-1] != 1 or not (np.diff(found) > 0).all():
        raise InputError(f"edges {list(edges)}: bins of probabilities run from 0 to 1 and ascend, such as 0 0.5 1")
    return found


def _sigmoid(margins: _Floats) -> _Floats:
    small = np.exp(-np.abs(margins))  # never overflows
    return np.where(margins >= 0, 1 / (1 + small), small / (1 + small))
