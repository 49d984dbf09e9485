"""Exact search: FAISS compares the query with every vector, on the CPU or on a GPU.

Vectors stay float16, as the archive stores them: nothing is lost, and half the bytes of float32 are read.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError
from rankvideo_rag.storage.index_files import FaissIndex
from rankvideo_rag.storage.stored_vectors import BATCH, Snapshot

_GPU_MAX_K = 2048  # neighbours that FAISS returns on a GPU

Numbers = NDArray[np.int64]  # row numbers of clips or passages
Vector = NDArray[np.float32]


class ScoredRows(NamedTuple):
    """Row numbers with their inner products, best first."""

    numbers: Numbers
    scores: Vector


class SearchableIndex(Protocol):
    """An index of vectors: FlatIndex, GpuIndex, IvfPqIndex or ExternalIndex."""

    def __len__(self) -> int: ...

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""

    def search(self, vector: Vector, depth: int, among: Numbers | None) -> ScoredRows:
        """Return the `depth` rows with the largest inner products, of those in `among` if it is given."""


class StoredIndex(SearchableIndex, Protocol):
    """An index that can return its vectors."""

    def batches(self) -> Iterator[tuple[Numbers, Vector]]:
        """Yield all row numbers with their vectors (n, dim)."""


class FlatIndex:
    """A FAISS flat index over float16 vectors."""

    def __init__(self, index: FaissIndex) -> None:
        self.index = index

    @classmethod
    def build(cls, snapshot: Snapshot) -> "FlatIndex":
        """Return the index of all vectors of a snapshot."""
        flat = faiss.IndexScalarQuantizer(snapshot.dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        index = faiss.IndexIDMap2(flat)
        for batch in snapshot.read(snapshot.numbers):
            index.add_with_ids(batch.vectors.astype(np.float32), batch.numbers)
        return cls(index)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self.index.d)

    def search(self, vector: Vector, depth: int, among: Numbers | None) -> ScoredRows:
        """Return the `depth` rows with the largest inner products, of those in `among` if it is given."""
        selector: Any = None if among is None else faiss.SearchParameters(sel=faiss.IDSelectorBatch(among))  # type: ignore[call-arg]
        scores, numbers = self.index.search(vector[None], depth, params=selector)
        found = numbers[0] >= 0  # FAISS pads with -1
        return ScoredRows(numbers[0][found], scores[0][found])

    def batches(self) -> Iterator[tuple[Numbers, Vector]]:
        """Yield all row numbers with their vectors (n, dim)."""
        numbers = faiss.vector_to_array(self.index.id_map)
        for start in range(0, len(numbers), BATCH):
            batch = numbers[start : start + BATCH]
            yield batch, self.index.index.reconstruct_n(start, len(batch))


class GpuIndex:
    """A flat index in the memory of GPU 0. Filtered queries go to the CPU index: FAISS has no filters on GPUs."""

    def __init__(self, cpu_index: StoredIndex) -> None:
        self._cpu_index = cpu_index
        self._index = to_gpu(faiss.IndexFlatIP(cpu_index.dim))
        numbers = []
        for batch, vectors in cpu_index.batches():
            self._index.add(vectors)
            numbers.append(batch)
        self._numbers = np.concatenate(numbers)

    def __len__(self) -> int:
        return len(self._cpu_index)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self._cpu_index.dim

    def search(self, vector: Vector, depth: int, among: Numbers | None) -> ScoredRows:
        """Return the `depth` rows with the largest inner products, of those in `among` if it is given."""
        if among is not None or depth > _GPU_MAX_K:
            return self._cpu_index.search(vector, depth, among)
        scores, positions = self._index.search(vector[None], depth)
        return ScoredRows(self._numbers[positions[0]], scores[0])


def check_gpu() -> None:
    """Raise InputError unless the installed FAISS can use a GPU."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise InputError(
            "the installed FAISS supports CPUs only. faiss-cpu and faiss-gpu install the same module, so: "
            "pip uninstall faiss-cpu, then pip install --force-reinstall --no-deps faiss-gpu (Linux). Or leave --gpu out."
        )
    if faiss.get_num_gpus() < 1:
        raise InputError("faiss-gpu finds no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES. Or leave --gpu out.")


def to_gpu(index: FaissIndex) -> FaissIndex:
    """Copy a flat index to the memory of GPU 0, its vectors as float16."""
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options)
