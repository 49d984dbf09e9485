"""Moments as documents, and how well ranked ones meet the judged ones: R@n at a temporal overlap, and mIoU.

A moment is a video and a span of it, written as a media fragment (W3C, Media Fragments URI 1.0): `v7#t=12.5,20`. So written
it is one word, and runs and qrels of moments are ordinary TREC files. Pure: this file reads no files.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.errors import InputError

_FRAGMENT = re.compile(r"(?P<video>\S+)#t=(?P<start>\d+(?:\.\d+)?),(?P<end>\d+(?:\.\d+)?)", re.ASCII)
_RECALL = re.compile(r"R\(tIoU=(?P<least>[01]?\.?\d+)\)@(?P<n>\d+)", re.ASCII)
MEAN_OVERLAP = "mIoU"

MomentMeasure = Callable[[Sequence[str], Mapping[str, int]], float]
"""From a ranking of moments and the grades of judged ones to a value."""


class Moment(NamedTuple):
    """A span of a video."""

    video: str
    start: float  # seconds
    end: float  # seconds, after start

    @property
    def word(self) -> str:
        """As a document id: read back by `parse_moment`."""
        return f"{self.video}#t={self.start:.10g},{self.end:.10g}"


def parse_moment(document: str) -> Moment:
    """The moment that a document id stands for. Raises InputError for one that has no span, or an empty one."""
    found = _FRAGMENT.fullmatch(document)
    if not found or float(found["start"]) >= float(found["end"]):
        raise InputError(f"{document!r} is no moment: write it as VIDEO#t=START,END, in seconds, the start before the end")
    return Moment(found["video"], float(found["start"]), float(found["end"]))


def temporal_iou(one: Moment, other: Moment) -> float:
    """Length of what both cover over the length of what either covers; 0 where they are not of one video.

    >>> temporal_iou(Moment("v", 0, 10), Moment("v", 5, 20))
    0.25
    """
    both = min(one.end, other.end) - max(one.start, other.start)
    if one.video != other.video or both <= 0:
        return 0.0
    return both / ((one.end - one.start) + (other.end - other.start) - both)


def moment_measure(name: str) -> MomentMeasure | None:
    """The measure of that name; None where it is none of moments.

    "R(tIoU=0.5)@5": 1 where one of the first 5 has a temporal IoU of at least 0.5 with a judged moment (from grade 1), else 0;
    its mean is the R@5, tIoU=0.5 of the literature. "mIoU": the best temporal IoU that the first has with a judged one.
    Where a query has several judged moments, meeting any of them is enough; DiDeMo's own script averages over annotators.
    """
    if name == MEAN_OVERLAP:
        return lambda ranking, grades: _best(ranking[:1], grades)
    if not (found := _RECALL.fullmatch(name)):
        return None
    least, n = float(found["least"]), int(found["n"])
    if not 0 < least <= 1 or n < 1:
        raise InputError(f"{name!r}: the overlap must lie above 0 and up to 1, and the number after @ must be at least 1")
    # Seconds are sums in binary: an overlap of 0.7 may come out as 0.6999999999999998.
    return lambda ranking, grades: float(_best(ranking[:n], grades) > least - 1e-9)


def _best(ranking: Sequence[str], grades: Mapping[str, int]) -> float:
    judged = [parse_moment(document) for document, grade in grades.items() if grade >= 1]
    ranked = [parse_moment(document) for document in ranking]
    return max((temporal_iou(one, other) for one in ranked for other in judged), default=0.0)
