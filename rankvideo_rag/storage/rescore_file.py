"""The re-score file: every stored vector as float16, to score the candidates of an IVF-PQ index exactly.

In SQLite a vector is several pages of a tree away; here it is one read. Vectors are ordered by the index's lists, so that
neighbours lie close together on disk.

The file is read by offset, not memory-mapped: a truncated or failing mapped file kills the process (SIGBUS) where a read
raises an error, and every mapped page counts as this process's memory.

Behind the vectors follow a table of their row numbers and one of their CRC-32s. Opening the file reads the tables only, whose
hash is in the manifest; each vector is checked whenever it is read, so no damaged byte is used.
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

_BATCH = 4096  # vectors
_TABLE_BYTES = 8 + 4  # per vector: row number and CRC-32

Positions = NDArray[np.int64]


class CheckedVectors(NamedTuple):
    """Vectors read from the file; those that are not whole have arbitrary values."""

    vectors: NDArray[np.float16]  # (m, dim)
    whole: NDArray[np.bool_]  # (m,)


class RescoreFile:
    """A finished re-score file, open for reading. It stays readable when another file takes its name."""

    def __init__(self, descriptor: int, numbers: NDArray[np.int64], checksums: NDArray[np.uint32], dim: int) -> None:
        self._descriptor = descriptor
        self.numbers = numbers  # (n,) row numbers in the store
        self._checksums = checksums  # (n,)
        self.dim = dim

    def __len__(self) -> int:
        return len(self.numbers)

    def __del__(self) -> None:
        os.close(self._descriptor)

    @classmethod
    def open(cls, file: Path, count: int, dim: int, tables_sha256: str) -> "RescoreFile | None":
        """Open a file of `count` vectors; None if its size or its tables differ. Raises FileNotFoundError."""
        descriptor = os.open(file, os.O_RDONLY)
        size = os.fstat(descriptor).st_size
        tables = os.pread(descriptor, count * _TABLE_BYTES, count * dim * 2) if size == _size(count, dim) else b""
        if hashlib.sha256(tables).hexdigest() != tables_sha256:
            os.close(descriptor)
            return None
        numbers = np.frombuffer(tables, dtype=np.int64, count=count)
        return cls(descriptor, numbers, np.frombuffer(tables, dtype=np.uint32, offset=count * 8), dim)

    def read(self, positions: Positions) -> CheckedVectors:
        """Read the vectors at ascending positions; consecutive ones take one system call."""
        found = np.empty((len(positions), self.dim), dtype=np.float16)
        view, size = memoryview(found.view(np.uint8).reshape(-1).data), self.dim * 2
        edges = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        for first, last in pairwise(edges):
            if first < last:
                self._read_into(view[first * size : last * size], int(positions[first]) * size)
        checksums = [zlib.crc32(view[at * size : (at + 1) * size]) for at in range(len(positions))]
        return CheckedVectors(found, np.array(checksums, dtype=np.uint32) == self._checksums[positions])

    def _read_into(self, buffer: memoryview, offset: int) -> None:
        try:
            os.preadv(self._descriptor, [buffer], offset)
        except OSError as error:
            logger.warning("the re-score file cannot be read at byte %d: %s", offset, error)
            buffer[:] = bytes(len(buffer))  # fails the check, unless zeros were written

    def is_whole(self) -> bool:
        """Read the whole file and check every vector."""
        starts = range(0, len(self), _BATCH)
        return all(self.read(np.arange(at, min(at + _BATCH, len(self)), dtype=np.int64)).whole.all() for at in starts)

    def repair(self, file: Path, position: int, vector: NDArray[np.float16]) -> bool:
        """Write a vector again if it matches its checksum and `file` is still this file; return whether it was written."""
        data = vector.tobytes()
        if zlib.crc32(data) != self._checksums[position]:
            return False
        try:
            with open(file, "r+b") as out:
                if os.path.samestat(os.fstat(out.fileno()), os.fstat(self._descriptor)):
                    return os.pwrite(out.fileno(), data, position * self.dim * 2) == len(data)
        except OSError as error:
            logger.warning("%s cannot be repaired: %s", file, error)
        return False


class RescoreFileWriter:
    """Writes a re-score file: vectors in any order. Allocates its disk space at once."""

    def __init__(self, file: Path, numbers: NDArray[np.int64], dim: int) -> None:
        self._numbers, self._dim = numbers, dim
        self._checksums = np.zeros(len(numbers), dtype=np.uint32)
        self._out = open(file, "w+b")  # noqa: SIM115 - closed by `close`
        try:
            if hasattr(os, "posix_fallocate"):  # not on macOS, where a full disk shows later
                os.posix_fallocate(self._out.fileno(), 0, _size(len(numbers), dim))
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Close the file, finished or not."""
        self._out.close()

    def put(self, positions: Positions, vectors: NDArray[np.float16]) -> None:
        """Write vectors to these positions."""
        size = self._dim * 2
        for position, vector in zip(positions.tolist(), vectors, strict=True):
            data = vector.tobytes()
            _write_all(self._out.fileno(), data, position * size)
            self._checksums[position] = zlib.crc32(data)

    def finish(self) -> tuple[RescoreFile, str]:
        """Write the tables and flush to disk; return the file for reading and the sha256 of its tables."""
        tables = self._numbers.tobytes() + self._checksums.tobytes()
        self._out.seek(len(self._numbers) * self._dim * 2)
        self._out.write(tables)
        self._out.flush()
        os.fsync(self._out.fileno())
        finished = RescoreFile(os.dup(self._out.fileno()), self._numbers, self._checksums, self._dim)
        return finished, hashlib.sha256(tables).hexdigest()


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data`: one call may write only a part of it."""
    left = memoryview(data)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _size(count: int, dim: int) -> int:
    return count * (dim * 2 + _TABLE_BYTES)
