"""A consistent view of stored vectors while another process writes: index builds read them several times over."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.schema import Clip
from rankvideo_rag.storage.database import DATABASE, connect
from rankvideo_rag.storage.store import MIXED_SIZES, Store, StoredVectors
from rankvideo_rag.storage.vector_tables import VISUAL, VectorTable

BATCH = 4096  # vectors read at a time


class Snapshot:
    """The vectors of a table at one of its generations."""

    def __init__(self, store: Store, table: VectorTable) -> None:
        self._store, self._table = store, table
        self.generation = store.generation_of(table)
        rows = store.connection.execute(f"SELECT {table.key} FROM {table.source} ORDER BY 1")
        self.numbers = np.fromiter((row[0] for row in rows), dtype=np.int64)  # (n,) row numbers, ascending
        first = store.connection.execute(f"SELECT length(vector) FROM {table.source} LIMIT 1").fetchone()
        self.dim: int = first[0] // 2 if first else 0  # 0 if there are no vectors

    def read(self, numbers: NDArray[np.int64]) -> Iterator[StoredVectors]:
        """Yield the vectors of these rows in batches, in ascending order of number.

        Raises ArchiveError if vectors differ in size.
        """
        for start in range(0, len(numbers), BATCH):
            batch = self._store.vectors(numbers[start : start + BATCH], self._table)
            if batch.vectors.shape[1:] != (self.dim,):
                raise ArchiveError(MIXED_SIZES.format(self._store.folder))
            yield batch

    def records(self, clips: NDArray[np.int64]) -> dict[int, Clip]:
        """Return these clips by row number."""
        return self._store.clips(clips.tolist())


@contextmanager
def snapshot(store: Store, table: VectorTable = VISUAL) -> Iterator[Snapshot]:
    """Open a read transaction: what is committed during the block is not seen in it."""
    with closing(connect(store.folder / DATABASE)) as connection:
        connection.execute("BEGIN")
        yield Snapshot(Store(store.folder, connection), table)
