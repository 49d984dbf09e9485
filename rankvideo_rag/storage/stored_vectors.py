"""A consistent view of the stored vectors while another process writes: index builds read them several times over."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.schema import Clip
from rankvideo_rag.storage.database import DATABASE, connect
from rankvideo_rag.storage.store import MIXED_SIZES, Store, StoredVectors

BATCH = 4096  # vectors read at a time


class Snapshot:
    """The stored vectors at one generation of the archive."""

    def __init__(self, store: Store, clips: NDArray[np.int64], dim: int) -> None:
        self._store = store
        self.generation = store.generation
        self.clips = clips  # (n,) row numbers, ascending
        self.dim = dim  # 0 if there are no vectors

    def read(self, clips: NDArray[np.int64]) -> Iterator[StoredVectors]:
        """Yield the vectors of these clips in batches, in ascending order of clip.

        Raises ArchiveError if vectors differ in size.
        """
        for start in range(0, len(clips), BATCH):
            batch = self._store.vectors(clips[start : start + BATCH])
            if batch.vectors.shape[1:] != (self.dim,):
                raise ArchiveError(MIXED_SIZES.format(self._store.folder))
            yield batch

    def records(self, clips: NDArray[np.int64]) -> dict[int, Clip]:
        """Return these clips by row number."""
        return self._store.clips(clips.tolist())


@contextmanager
def snapshot(store: Store) -> Iterator[Snapshot]:
    """Open a read transaction: what is committed during the block is not seen in it."""
    with closing(connect(store.folder / DATABASE)) as connection:
        connection.execute("BEGIN")
        rows = connection.execute("SELECT clip FROM vectors ORDER BY clip")
        clips = np.fromiter((row[0] for row in rows), dtype=np.int64)
        first = connection.execute("SELECT length(vector) FROM vectors LIMIT 1").fetchone()
        yield Snapshot(Store(store.folder, connection), clips, first[0] // 2 if first else 0)
