"""What a derived index of vectors does, and the simplest that does it: every vector is compared with the question.

Vectors are float16 as they are stored, so nothing is lost; half the bytes to read make it twice as fast as float32.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.index_files import FaissIndex
from rankvideo_rag.storage.stored_vectors import Snapshot

_AT_ONCE = 4096  # rows

Vector = NDArray[np.float32]


class Scored(NamedTuple):
    """Clips with their inner products, best first."""

    clips: NDArray[np.int64]
    products: Vector


class SearchableIndex(Protocol):
    """An index of vectors."""

    def __len__(self) -> int: ...

    @property
    def dim(self) -> int:
        """Numbers in a vector."""

    def search(self, vector: Vector, depth: int, among: NDArray[np.int64] | None) -> Scored:
        """The `depth` clips with the largest inner products; `among` restricts them to those clips."""


class StoredIndex(SearchableIndex, Protocol):
    """An index that has the vectors themselves."""

    def batches(self) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """All clips and their vectors, some thousands at a time."""


class TopK:
    """The rows with the largest products for each of some questions, of rows that come a batch at a time."""

    def __init__(self, questions: int, k: int) -> None:
        self._numbers = np.empty((questions, 0), dtype=np.int64)
        self._products = np.empty((questions, 0), dtype=np.float32)
        self._k = k

    def add(self, numbers: NDArray[np.int64], products: Vector) -> None:
        """Look at some more rows: their numbers, and their products with each question, (questions, rows)."""
        every_product = np.hstack([self._products, products])
        every_number = np.hstack([self._numbers, np.broadcast_to(numbers, products.shape)])
        k = min(self._k, every_product.shape[1])
        kept = np.argpartition(-every_product, k - 1, axis=1)[:, :k]
        self._products, self._numbers = (np.take_along_axis(of, kept, axis=1) for of in (every_product, every_number))

    def numbers(self) -> NDArray[np.int64]:
        """The rows of each question, best first, (questions, k)."""
        return np.take_along_axis(self._numbers, np.argsort(-self._products, axis=1, kind="stable"), axis=1)


class FlatIndex:
    """All vectors, searched one and all."""

    def __init__(self, index: FaissIndex) -> None:
        self.index = index

    @classmethod
    def of(cls, snapshot: Snapshot) -> "FlatIndex":
        """The index of these vectors, of which some thousands at a time are held beside it."""
        flat = faiss.IndexScalarQuantizer(snapshot.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexIDMap2(flat)
        for batch in snapshot.read(snapshot.clips):
            index.add_with_ids(batch.vectors.astype(np.float32), batch.clips)
        return cls(index)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return int(self.index.d)

    def search(self, vector: Vector, depth: int, among: NDArray[np.int64] | None) -> Scored:
        """The `depth` clips with the largest inner products; `among` restricts them to those clips."""
        chosen: Any = None if among is None else faiss.SearchParameters(sel=faiss.IDSelectorBatch(among))  # type: ignore[call-arg]
        products, clips = self.index.search(vector[None], depth, params=chosen)
        there = clips[0] >= 0  # FAISS fills up with -1 where it found fewer than asked
        return Scored(clips[0][there], products[0][there])

    def batches(self) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """All clips and their vectors, some thousands at a time."""
        clips = faiss.vector_to_array(self.index.id_map)
        for at in range(0, len(clips), _AT_ONCE):
            some = clips[at : at + _AT_ONCE]
            yield some, self.index.index.reconstruct_n(at, len(some))
