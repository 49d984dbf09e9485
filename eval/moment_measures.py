"""Measure how well ranked moments match judged ones: R@n at a temporal overlap, and mIoU."""

import re
from collections.abc import Callable, Mapping, Sequence

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.moments import parse_moment, temporal_iou

_RECALL = re.compile(r"R\(tIoU=(?P<threshold>[01]?\.?\d+)\)@(?P<n>\d+)", re.ASCII)

MomentMeasure = Callable[[Sequence[str], Mapping[str, int]], float]
"""Maps a ranking of moments and the grades of judged ones to a value."""


def moment_measure(name: str) -> MomentMeasure | None:
    """Return the measure of that name, None where it is not one of moments.

    "R(tIoU=0.5)@5": 1 where one of the first 5 has a temporal IoU of at least 0.5 with a judged moment (from grade 1), else 0;
    its mean is the R@5, tIoU=0.5 of the literature. "mIoU": the best temporal IoU of the first moment with a judged one.
    Where a query has several judged moments, matching any of them is enough; DiDeMo's own script averages over annotators.
    """
    if name == "mIoU":
        return lambda ranking, grades: _best_overlap(ranking[:1], grades)
    if not (found := _RECALL.fullmatch(name)):
        return None
    threshold, n = float(found["threshold"]), int(found["n"])
    if not 0 < threshold <= 1 or n < 1:
        raise InputError(f"{name!r}: the overlap must lie above 0 and up to 1, and the number after @ must be at least 1")
    # Seconds are sums in binary: an overlap of 0.7 may come out as 0.6999999999999998.
    return lambda ranking, grades: float(_best_overlap(ranking[:n], grades) > threshold - 1e-9)


def _best_overlap(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    judged = [parse_moment(document) for document, grade in grades.items() if grade >= 1]
    ranked = [parse_moment(document) for document in ranking]
    return max((temporal_iou(one, other) for one in ranked for other in judged), default=0.0)
