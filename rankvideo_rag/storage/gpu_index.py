"""Searching on a GPU with faiss-gpu: all vectors as float16 in its memory, each compared with the question, so exactly.

FAISS for GPUs searches no fast-scan codes and knows no filters: with a filter the index of the CPU answers. What is derived on
the disk is the same with a GPU and without. It is GPU 0 of those that CUDA_VISIBLE_DEVICES shows.
"""

from collections.abc import Iterator

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError
from rankvideo_rag.storage.flat_index import Scored, StoredIndex, Vector
from rankvideo_rag.storage.index_files import FaissIndex

_MOST = 2048  # neighbours that FAISS finds on a GPU


def check_gpu() -> None:
    """Raise InputError, with what to do, unless the FAISS that is installed sees a GPU."""
    if not hasattr(faiss, "StandardGpuResources"):
        raise InputError(
            "the FAISS that is installed is built for CPUs only. faiss-cpu and faiss-gpu give the same module, so: "
            "pip uninstall faiss-cpu, then pip install --force-reinstall --no-deps faiss-gpu (Linux). Or leave --gpu out."
        )
    if faiss.get_num_gpus() < 1:
        raise InputError("faiss-gpu sees no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES. Or leave --gpu out.")


def on_gpu(index: FaissIndex) -> FaissIndex:
    """The same flat index in a GPU's memory, its vectors as float16."""
    options = faiss.GpuClonerOptions()
    options.useFloat16 = True
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index, options)


class GpuIndex:
    """An index whose vectors are in a GPU's memory too."""

    def __init__(self, on_cpu: StoredIndex) -> None:
        self._on_cpu = on_cpu
        self._index = on_gpu(faiss.IndexFlatIP(on_cpu.dim))
        clips = []
        for some, vectors in on_cpu.batches():
            self._index.add(vectors)
            clips.append(some)
        self._clips = np.concatenate(clips)

    def __len__(self) -> int:
        return len(self._on_cpu)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self._on_cpu.dim

    def search(self, vector: Vector, depth: int, among: NDArray[np.int64] | None) -> Scored:
        """The `depth` clips with the largest inner products; `among` restricts them to those clips."""
        if among is not None or depth > _MOST:
            return self._on_cpu.search(vector, depth, among)
        products, positions = self._index.search(vector[None], depth)
        return Scored(self._clips[positions[0]], products[0])

    def batches(self) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """All clips and their vectors, some thousands at a time."""
        return self._on_cpu.batches()
