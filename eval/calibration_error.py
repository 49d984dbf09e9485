"""Does sigmoid(margin) say how often a pair is relevant? Expected calibration error, and the bins behind it, for a plot.

Bins of equal mass by default (Nixon et al., CVPR workshops 2019): as p_yes saturates, nearly all pairs would fall into the
first and the last of equal width. This file measures; it corrects nothing.
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

    low: float  # least p_yes in it
    high: float  # greatest
    pairs: int
    p_yes: float  # mean
    relevant: float  # share


class CalibrationReport(Record):
    """The error, and what it is made of."""

    pairs: int
    relevant: int
    error: float | None  # sum over bins of their share of pairs x |p_yes - relevant|; None without pairs
    reason: str | None = None
    bins: tuple[CalibrationBin, ...] = ()


def measure_calibration(
    margins: Sequence[float], relevant: Sequence[bool], *, bins: int = BINS, edges: Sequence[float] | None = None
) -> CalibrationReport:
    """Hold margins, logp(yes) - logp(no), against judgements of the same pairs.

    With `edges`, probabilities from 0 to 1 in ascending order, these part the bins, each holding its lower edge; empty ones are
    left out. Otherwise `bins` hold as many pairs as each other, except that equal p_yes stay in one.
    """
    if len(margins) != len(relevant):
        raise InputError(f"{len(margins)} margins and {len(relevant)} judgements: each pair needs both")
    if not margins:
        return CalibrationReport(pairs=0, relevant=0, error=None, reason="no pair has both a margin and a judgement")
    order = np.argsort(np.array(margins, dtype=np.float64), kind="stable")
    p_yes = _sigmoid(np.array(margins, dtype=np.float64)[order])
    truth = np.array(relevant, dtype=np.float64)[order]
    cuts = _equal_mass(p_yes, bins) if edges is None else np.searchsorted(p_yes, _checked(edges)[1:-1])
    filled = [_bin(p, t) for p, t in zip(np.split(p_yes, cuts), np.split(truth, cuts), strict=True) if p.size]
    error = sum(one.pairs * abs(one.p_yes - one.relevant) for one in filled) / len(margins)
    return CalibrationReport(pairs=len(margins), relevant=int(truth.sum()), error=error, bins=tuple(filled))


def _bin(p_yes: _Floats, truth: _Floats) -> CalibrationBin:
    return CalibrationBin(
        low=float(p_yes[0]),
        high=float(p_yes[-1]),
        pairs=p_yes.size,
        p_yes=float(p_yes.mean()),
        relevant=float(truth.mean()),
    )


def _equal_mass(p_yes: _Floats, bins: int) -> npt.NDArray[np.intp]:
    """Where sorted values are cut: after the last of those that equal the one at the cut."""
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
