"""Represent moments as document ids.

A moment is a video and a span of it, written as a media fragment (W3C, Media Fragments URI 1.0): `v7#t=12.5,20`. That is one
word, so that runs and qrels of moments are ordinary TREC files.
"""

import re
from typing import NamedTuple

from rankvideo_rag.errors import InputError

_FRAGMENT = re.compile(r"(?P<video>\S+)#t=(?P<start>\d+(?:\.\d+)?),(?P<end>\d+(?:\.\d+)?)", re.ASCII)


class Moment(NamedTuple):
    """A span of a video."""

    video: str
    start: float  # seconds
    end: float  # seconds, after start

    @property
    def document_id(self) -> str:
        """The media fragment, read back by `parse_moment`."""
        return f"{self.video}#t={self.start:.10g},{self.end:.10g}"


def parse_moment(document: str) -> Moment:
    """Return the moment of a document id. Raises InputError for one without a span, or with an empty one."""
    found = _FRAGMENT.fullmatch(document)
    if not found or float(found["start"]) >= float(found["end"]):
        raise InputError(f"{document!r} is not a moment: write it as VIDEO#t=START,END, in seconds, the start before the end")
    return Moment(found["video"], float(found["start"]), float(found["end"]))


def temporal_iou(one: Moment, other: Moment) -> float:
    """Return the length of the intersection over that of the union; 0 where the videos differ.

    >>> temporal_iou(Moment("v", 0, 10), Moment("v", 5, 20))
    0.25
    """
    both = min(one.end, other.end) - max(one.start, other.start)
    if one.video != other.video or both <= 0:
        return 0.0
    return both / ((one.end - one.start) + (other.end - other.start) - both)
