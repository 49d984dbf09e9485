"""The boxes of an MP4 file at the top level, by their headers alone. Runs in the decoder process."""

import os
from collections.abc import Iterator
from typing import NamedTuple

_MAX_BOXES = 10_000


class Box(NamedTuple):
    """A box: its type, and where it begins, in bytes."""

    kind: bytes  # four letters
    place: int


def boxes(descriptor: int) -> Iterator[Box]:
    """The boxes in order, as far as each says where the next one begins."""
    place, end = 0, os.fstat(descriptor).st_size
    for _ in range(_MAX_BOXES):
        header = os.pread(descriptor, 16, place)
        if len(header) < 8 or place >= end:
            return
        yield Box(header[4:8], place)
        size = int.from_bytes(header[:4], "big")
        size = int.from_bytes(header[8:16], "big") if size == 1 else size
        if size < 8:  # 0 means: to the end of the file
            return
        place += size


def second_film(descriptor: int) -> int | None:
    """Where a second film begins behind the first one, as in files that were pasted together; None where there is none."""
    found = list(boxes(descriptor))
    starts = [box.place for box in found if box.kind == b"ftyp"]
    films = sum(box.kind == b"moov" for box in found)
    return starts[1] if films > 1 and len(starts) > 1 else None
