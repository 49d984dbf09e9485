"""The vectors that an archive stores, read a batch at a time as they are at one moment.

What is derived from them reads them several times over and must meet the same rows each time, also while a writer is at work.
This file knows SQL and float16 blobs; it does not know what is derived.
"""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.schema import Clip
from rankvideo_rag.storage.store import Store, StoredVectors
from rankvideo_rag.storage.tables import DATABASE, connect

_AT_ONCE = 4096  # rows of one statement


class Snapshot:
    """The vectors of one channel, and the generation of the archive that they belong to."""

    def __init__(self, store: Store, channel: str, generation: int, clips: NDArray[np.int64], dim: int) -> None:
        self._store, self._channel = store, channel
        self.generation = generation
        self.clips = clips  # (n,) row numbers, ascending
        self.dim = dim  # 0 when there is no vector

    def read(self, clips: NDArray[np.int64]) -> Iterator[StoredVectors]:
        """The vectors of these clips, in ascending order of clip, some thousands at a time."""
        for at in range(0, len(clips), _AT_ONCE):
            found = read_vectors(self._store, self._channel, clips[at : at + _AT_ONCE])
            if found.vectors.shape[1:] != (self.dim,):
                raise ArchiveError(f"vectors of {self._store.folder} differ in size: {_DOCTOR}")
            yield found

    def records(self, clips: NDArray[np.int64]) -> dict[int, Clip]:
        """What these clips are."""
        return self._store.clips(clips.tolist())


_DOCTOR = "rankvideo doctor ARCHIVE --repair marks the videos at fault, rankvideo update ARCHIVE reads them again"


@contextmanager
def snapshot(store: Store, channel: str) -> Iterator[Snapshot]:
    """The vectors as they are now; what is committed while the block runs is not seen in it."""
    with closing(connect(store.folder / DATABASE)) as connection:
        connection.execute("BEGIN")
        still = Store(store.folder, connection)
        generation = still.generation
        rows = connection.execute("SELECT clip FROM vectors WHERE channel = ? ORDER BY clip", (channel,))
        clips = np.fromiter((row[0] for row in rows), dtype=np.int64)
        first = connection.execute("SELECT length(vector) FROM vectors WHERE channel = ? LIMIT 1", (channel,)).fetchone()
        yield Snapshot(still, channel, generation, clips, first[0] // 2 if first else 0)


def read_vectors(store: Store, channel: str, clips: NDArray[np.int64]) -> StoredVectors:
    """The stored vectors of these clips, in ascending order of clip; those that are gone are left out.

    Raises ArchiveError where vectors differ in size.
    """
    with store.lock:
        rows = store.connection.execute(
            "SELECT clip, vector FROM vectors WHERE channel = ? AND clip IN (SELECT value FROM json_each(?)) ORDER BY clip",
            (channel, json.dumps(clips.tolist())),
        ).fetchall()
    if len({len(row[1]) for row in rows}) > 1:
        raise ArchiveError(f"vectors of {store.folder} differ in size: {_DOCTOR}")
    matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
    numbers = np.array([row[0] for row in rows], dtype=np.int64)
    return StoredVectors(numbers, matrix.reshape(len(rows), -1) if rows else matrix.reshape(0, 0))
