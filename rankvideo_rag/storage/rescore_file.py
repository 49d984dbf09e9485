"""The second tier of a large vector index: every stored vector as float16, in a file beside the index, to score exactly.

In SQLite a vector is some pages of a tree away; here it is one read. Rows lie in the order of the first tier's lists, so that
what is near a question lies near each other on the disk too.

The file is read by offset and not memory-mapped. A mapped file that is cut, or whose disk fails, kills the process that touches
it (SIGBUS) where a read tells of an error; and every page that a question has touched would count as this process's memory, in
time the whole file. What is read often stays in the system's page cache either way.

Each row has its CRC-32 in a table behind the rows, and is checked each time it is read: opening reads only the tables, whose
hash stands in the manifest, and no byte answers that is not the one that was written. Knows no questions and no FAISS.
"""

import hashlib
import logging
import os
import zlib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)


class Read(NamedTuple):
    """Rows that were asked for. Those that are not whole hold anything."""

    vectors: NDArray[np.float16]  # (m, dim)
    whole: NDArray[np.bool_]  # (m,)


class RescoreFile:
    """A finished file of rows, open to be read. It stays what it was when another file takes its name."""

    def __init__(self, descriptor: int, clips: NDArray[np.int64], checks: NDArray[np.uint32], dim: int) -> None:
        self._descriptor = descriptor
        self.clips = clips  # (n,) row numbers in the store
        self._checks = checks  # (n,) CRC-32 of each row
        self.dim = dim

    def __len__(self) -> int:
        return len(self.clips)

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def open(cls, file: Path, count: int, dim: int, tables_sha256: str) -> "RescoreFile | None":
        """The rows in `file`; None where its size or its tables are not those that were written."""
        descriptor = os.open(file, os.O_RDONLY)
        size = os.fstat(descriptor).st_size
        tables = os.pread(descriptor, count * 12, count * dim * 2) if size == _size(count, dim) else b""
        if hashlib.sha256(tables).hexdigest() != tables_sha256:
            os.close(descriptor)
            return None
        clips = np.frombuffer(tables, dtype=np.int64, count=count)
        return cls(descriptor, clips, np.frombuffer(tables, dtype=np.uint32, offset=count * 8), dim)

    def read(self, positions: NDArray[np.int64]) -> Read:
        """The rows at these positions, which ascend, and which of them are whole."""
        found = np.empty((len(positions), self.dim), dtype=np.float16)
        view, size = memoryview(found.view(np.uint8).reshape(-1).data), self.dim * 2
        edges = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        for first, last in pairwise(edges):
            if first < last:
                self._fill(view[first * size : last * size], int(positions[first]) * size)
        sums = [zlib.crc32(view[at * size : (at + 1) * size]) for at in range(len(positions))]
        return Read(found, np.array(sums, dtype=np.uint32) == self._checks[positions])

    def _fill(self, part: memoryview, offset: int) -> None:
        try:
            os.preadv(self._descriptor, [part], offset)
        except OSError as error:
            logger.warning("a file of vectors cannot be read at byte %d: %s", offset, error)
            part[:] = bytes(len(part))  # fails the check, unless zeros are what was written

    def first_fault(self) -> int | None:
        """The position of the first row that is not whole; None where all are. Reads the whole file."""
        for at in range(0, len(self), _AT_ONCE):
            whole = self.read(np.arange(at, min(at + _AT_ONCE, len(self)), dtype=np.int64)).whole
            if not whole.all():
                return at + int(np.argmin(whole))
        return None

    def mend(self, file: Path, position: int, vector: NDArray[np.float16]) -> bool:
        """Write a row again, if `vector` is what it held and `file` is still the file that is read here."""
        data = vector.tobytes()
        if zlib.crc32(data) != self._checks[position]:
            return False
        try:
            with open(file, "r+b") as out:
                if os.path.samestat(os.fstat(out.fileno()), os.fstat(self._descriptor)):
                    return os.pwrite(out.fileno(), data, position * self.dim * 2) == len(data)
        except OSError as error:
            logger.warning("%s cannot be mended: %s", file, error)
        return False


class RescoreFileWriter:
    """A file of rows in the making: rows come in any order. Its room on the disk is taken at once."""

    def __init__(self, file: Path, clips: NDArray[np.int64], dim: int) -> None:
        self.file, self._clips, self._dim = file, clips, dim
        self._checks = np.zeros(len(clips), dtype=np.uint32)
        self._out = open(file, "w+b")  # noqa: SIM115 - closed by `close`
        try:
            if hasattr(os, "posix_fallocate"):  # not on macOS, where a full disk shows later
                os.posix_fallocate(self._out.fileno(), 0, _size(len(clips), dim))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file, finished or not."""
        self._out.close()

    def put(self, positions: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Write rows to their places."""
        size = self._dim * 2
        for position, row in zip(positions.tolist(), vectors, strict=True):
            data = row.tobytes()
            _write_whole(self._out.fileno(), data, position * size)
            self._checks[position] = zlib.crc32(data)

    def finish(self) -> tuple[RescoreFile, str]:
        """Write the tables, and have all of it on the disk: the rows to be read, and the hash of the tables."""
        tables = self._clips.tobytes() + self._checks.tobytes()
        self._out.seek(len(self._clips) * self._dim * 2)
        self._out.write(tables)
        self._out.flush()
        os.fsync(self._out.fileno())
        return RescoreFile(os.dup(self._out.fileno()), self._clips, self._checks, self._dim), hashlib.sha256(tables).hexdigest()


_AT_ONCE = 4096  # rows


def _write_whole(descriptor: int, data: bytes, offset: int) -> None:
    """A write may take a part only: then the rest is written, or the error is raised that stopped it."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _size(count: int, dim: int) -> int:
    return count * (dim * 2 + 12)
