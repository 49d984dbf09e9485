"""Approximate search over many vectors: an IVF-PQ index proposes candidates, the re-score file scores them exactly.

IVF: k-means divides the vectors into lists, and a query searches the nearest ones. PQ: each vector is a code of half a byte for
about two of its dimensions (product quantisation, FAISS's fast-scan layout). The best candidates are scored with the stored
vectors, so scores equal those of a flat index and only the choice of rows is approximate. The number of lists to search was
measured when the index was built (`ivfpq_build`).
"""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.flat_index import Numbers, ScoredRows, Vector
from rankvideo_rag.storage.index_files import FaissIndex, IvfPqTuning
from rankvideo_rag.storage.rescore_file import Positions, RescoreFile
from rankvideo_rag.storage.store import StoredVectors
from rankvideo_rag.storage.stored_vectors import BATCH

logger = logging.getLogger(__name__)

TUNED_FOR = 100  # neighbours
_EXACT_BELOW = 1_500  # filtered rows that are all scored: about the cost of searching the codes


class IvfPqIndex:
    """A finished IVF-PQ index with its re-score file.

    Args:
        codes: the FAISS index; its ids are positions in the re-score file.
        rescore: the stored vectors.
        tuning: how to search the codes.
        file: the path of the re-score file, for repairs.
        fetch: reads vectors from the archive, in the place of damaged ones.
    """

    def __init__(
        self,
        codes: FaissIndex,
        rescore: RescoreFile,
        tuning: IvfPqTuning,
        *,
        file: Path,
        fetch: Callable[[Numbers], StoredVectors],
    ) -> None:
        self.codes, self.rescore, self.tuning = codes, rescore, tuning
        self._file, self._fetch = file, fetch
        self._by_number: tuple[Numbers, Positions] | None = None  # sorted by number; computed for the first filter

    def __len__(self) -> int:
        return len(self.rescore)

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return self.rescore.dim

    def search(self, vector: Vector, depth: int, among: Numbers | None) -> ScoredRows:
        """Return the `depth` rows with the largest inner products, of those in `among` if it is given."""
        if among is None:
            return self._rescored(vector, self._candidates(vector, depth), depth)
        allowed = self._positions_of(among)
        if len(allowed) > _EXACT_BELOW:
            allowed = self._candidates(vector, depth, allowed)
        return self._rescored(vector, allowed, depth)

    def batches(self) -> Iterator[tuple[Numbers, Vector]]:
        """Yield all row numbers with their vectors (n, dim)."""
        for start in range(0, len(self), BATCH):
            positions = np.arange(start, min(start + BATCH, len(self)), dtype=np.int64)
            yield self.rescore.numbers[positions], self._read(positions).astype(np.float32)

    def _candidates(self, vector: Vector, depth: int, allowed: Positions | None = None) -> Positions:
        """Return the positions whose codes score best, ascending."""
        tuning, n = self.tuning, len(self)
        wanted = min(depth, n if allowed is None else len(allowed))
        # Neighbours further down, and those that a filter leaves, are spread over more lists.
        share = 1.0 if allowed is None else len(allowed) / n
        probes = min(tuning.lists, math.ceil(tuning.probes * max(1.0, depth / TUNED_FOR) / share))
        k = max(wanted, TUNED_FOR) * tuning.candidates  # a small depth needs as many: the codes err as much
        options: dict[str, Any] = {} if allowed is None else {"sel": _selector(allowed, n)}
        while True:
            found = search_codes(self.codes, vector[None], k, probes, **options)[0]
            found = found[found >= 0]  # FAISS pads with -1
            if len(found) >= wanted or probes >= tuning.lists:
                return np.sort(found)
            probes = min(tuning.lists, probes * 4)

    def _positions_of(self, numbers: Numbers) -> Positions:
        if self._by_number is None:
            order = np.argsort(self.rescore.numbers)
            self._by_number = self.rescore.numbers[order], order
        ordered, order = self._by_number
        at = np.minimum(np.searchsorted(ordered, numbers), len(self) - 1)
        found = np.zeros(len(self), dtype=np.bool_)
        found[order[at[ordered[at] == numbers]]] = True
        return np.flatnonzero(found)

    def _rescored(self, vector: Vector, positions: Positions, depth: int) -> ScoredRows:
        parts = [positions[start : start + BATCH] for start in range(0, len(positions), BATCH)]
        scores = np.concatenate([np.empty(0, np.float32), *(self._read(part).astype(np.float32) @ vector for part in parts)])
        numbers = self.rescore.numbers[positions]
        best = np.lexsort((numbers, -scores))[:depth]
        best = best[np.isfinite(scores[best])]
        return ScoredRows(numbers[best], scores[best])

    def _read(self, positions: Positions) -> NDArray[np.float16]:
        """Read vectors; NaN for a damaged one whose row has left the archive."""
        vectors, whole = self.rescore.read(positions)
        for at in np.flatnonzero(~whole).tolist():
            vectors[at] = self._read_from_archive(int(positions[at]))
        return vectors

    def _read_from_archive(self, position: int) -> NDArray[np.float16]:
        """Read the vector of a damaged position from the archive and repair the file."""
        number = int(self.rescore.numbers[position])
        stored = self._fetch(np.array([number])).vectors
        if stored.shape != (1, self.dim):
            return np.full(self.dim, np.nan, dtype=np.float16)
        repaired = self.rescore.repair(self._file, position, stored[0])
        state = "the file is repaired" if repaired else "rankvideo doctor ARCHIVE --repair rebuilds the file"
        logger.warning("%s: the vector of row %d is damaged and was read from the archive; %s", self._file, number, state)
        vector: NDArray[np.float16] = stored[0]
        return vector


def search_codes(codes: FaissIndex, vectors: Vector, k: int, probes: int, **options: Any) -> Positions:
    """Return the k best positions for each query, (m, k), padded with -1, after searching `probes` lists."""
    parameters = faiss.IVFSearchParameters(nprobe=probes, **options)  # type: ignore[call-arg]
    found: Positions = codes.search(vectors, min(k, codes.ntotal), params=parameters)[1]
    return found


def _selector(positions: Positions, n: int) -> Any:
    allowed = np.zeros(n, dtype=np.bool_)
    allowed[positions] = True
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
