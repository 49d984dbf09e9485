"""Read the top-level boxes of an MP4 file from their headers alone."""

import os
from collections.abc import Iterator
from typing import NamedTuple

_MAX_BOXES = 10_000


class Mp4Box(NamedTuple):
    """The four-letter type of a box, and its offset in bytes."""

    kind: bytes
    offset: int


def iterate_boxes(descriptor: int) -> Iterator[Mp4Box]:
    """Yield the boxes in order, as far as each says where the next one begins."""
    offset, end = 0, os.fstat(descriptor).st_size
    for _ in range(_MAX_BOXES):
        header = os.pread(descriptor, 16, offset)
        if len(header) < 8 or offset >= end:
            return
        yield Mp4Box(header[4:8], offset)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:16], "big") if size == 1 else size
        if size < 8:  # 0: to the end of the file
            return
        offset += size


def find_second_movie(descriptor: int) -> int | None:
    """Return the offset of a second movie in files that were concatenated; None if there is only one."""
    found = list(iterate_boxes(descriptor))
    starts = [box.offset for box in found if box.kind == b"ftyp"]
    movies = sum(box.kind == b"moov" for box in found)
    return starts[1] if movies > 1 and len(starts) > 1 else None
