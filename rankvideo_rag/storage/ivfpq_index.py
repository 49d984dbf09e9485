"""Many vectors, searched in two tiers: codes say which clips may be near, stored vectors how near they are.

First tier: k-means divides the vectors into lists, each vector is a code of half a byte for two or so of its numbers (product
quantisation, FAISS's fast-scan layout), and a question looks into the lists that are nearest to it. Second tier: the best of
those are scored exactly. So a score is a cosine as in a flat index, and only which clips are found is approximate. How many
lists are looked into was measured when the index was built (`two_tiers_build`). Knows no questions and no models.
"""

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.flat_index import Scored, Vector
from rankvideo_rag.storage.index_files import FaissIndex, IvfPqTuning
from rankvideo_rag.storage.rescore_file import RescoreFile

logger = logging.getLogger(__name__)

TUNED_FOR = 100  # neighbours
_FEW = 1_500  # rows that are scored one and all: about what the first tier's work costs
_AT_ONCE = 4096  # rows


class IvfPqIndex:
    """The finished index. `fetch` gives the stored vectors of clips, for rows whose bytes are not those that were written."""

    def __init__(
        self,
        lists: FaissIndex,
        rows: RescoreFile,
        tuning: IvfPqTuning,
        file: Path,
        fetch: Callable[[NDArray[np.int64]], dict[int, NDArray[np.float16]]],
    ) -> None:
        self.lists, self.rows, self.tuning = lists, rows, tuning
        self._file, self._fetch = file, fetch
        self._by_clip: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None  # clips, positions; for the first filter

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self.rows.dim

    def search(self, vector: Vector, depth: int, among: NDArray[np.int64] | None) -> Scored:
        """The `depth` clips with the largest inner products; `among` restricts them to those clips."""
        if among is None:
            return self._scored(vector, self._candidates(vector, depth), depth)
        allowed = self._positions_of(among)
        if len(allowed) > _FEW:
            allowed = self._candidates(vector, depth, allowed)
        return self._scored(vector, allowed, depth)

    def batches(self) -> Iterator[tuple[NDArray[np.int64], Vector]]:
        """All clips and their vectors, some thousands at a time."""
        for at in range(0, len(self), _AT_ONCE):
            positions = np.arange(at, min(at + _AT_ONCE, len(self)), dtype=np.int64)
            yield self.rows.clips[positions], self._read(positions).astype(np.float32)

    def _candidates(self, vector: Vector, depth: int, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """Positions that the first tier proposes, ascending."""
        tuning, n = self.tuning, len(self)
        sought = min(depth, n if allowed is None else len(allowed))
        # Neighbours further down, and those that a filter leaves, are spread over more lists.
        share = 1.0 if allowed is None else len(allowed) / n
        probes = min(tuning.lists, math.ceil(tuning.probes * max(1.0, depth / TUNED_FOR) / share))
        k = max(sought, TUNED_FOR) * tuning.candidates  # fewer neighbours need no fewer candidates: codes err as they do
        options: dict[str, Any] = {} if allowed is None else {"sel": _selector(allowed, n)}
        while True:
            found = probe(self.lists, vector[None], k, probes, **options)[0]
            found = found[found >= 0]  # FAISS fills up with -1
            if len(found) >= sought or probes >= tuning.lists:
                return np.sort(found)
            probes = min(tuning.lists, probes * 4)

    def _positions_of(self, clips: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._by_clip is None:
            order = np.argsort(self.rows.clips)
            self._by_clip = self.rows.clips[order], order
        ordered, order = self._by_clip
        at = np.minimum(np.searchsorted(ordered, clips), len(self) - 1)
        found = np.zeros(len(self), dtype=np.bool_)
        found[order[at[ordered[at] == clips]]] = True
        return np.flatnonzero(found)

    def _scored(self, vector: Vector, positions: NDArray[np.int64], depth: int) -> Scored:
        parts = [positions[at : at + _AT_ONCE] for at in range(0, len(positions), _AT_ONCE)]
        products = [self._read(part).astype(np.float32) @ vector for part in parts]
        found = np.concatenate([np.empty(0, np.float32), *products])
        clips = self.rows.clips[positions]
        best = np.lexsort((clips, -found))[:depth]
        best = best[np.isfinite(found[best])]
        return Scored(clips[best], found[best])

    def _read(self, positions: NDArray[np.int64]) -> NDArray[np.float16]:
        """The vectors at these positions; nan for a damaged row whose clip is gone from the archive."""
        vectors, whole = self.rows.read(positions)
        for at in np.flatnonzero(~whole).tolist():
            vectors[at] = self._from_the_archive(int(positions[at]))
        return vectors

    def _from_the_archive(self, position: int) -> NDArray[np.float16]:
        """The vector of a damaged row, from the database; the row is written again."""
        clip = int(self.rows.clips[position])
        vector = self._fetch(np.array([clip])).get(clip)
        if vector is None or len(vector) != self.dim:
            return np.full(self.dim, np.nan, dtype=np.float16)
        mended = self.rows.mend(self._file, position, vector)
        what_follows = "it is mended" if mended else "rankvideo doctor ARCHIVE --repair derives the file again"
        logger.warning("%s: the row of clip %d is damaged and was read from the archive; %s", self._file, clip, what_follows)
        return vector


def probe(lists: FaissIndex, vectors: Vector, k: int, probes: int, **options: Any) -> NDArray[np.int64]:
    """The positions that the codes put first, (m, k), -1 where there are none; `probes` lists are looked into."""
    parameters = faiss.IVFSearchParameters(nprobe=probes, **options)  # type: ignore[call-arg]
    found: NDArray[np.int64] = lists.search(vectors, min(k, lists.ntotal), params=parameters)[1]
    return found


def _selector(positions: NDArray[np.int64], n: int) -> Any:
    allowed = np.zeros(n, dtype=np.bool_)
    allowed[positions] = True
    return faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))  # type: ignore[call-arg, arg-type]
