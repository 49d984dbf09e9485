"""Search the vectors of a channel, with normalised scores."""

from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.ranking.cosine_scores import SAMPLE, Background, score_cosines
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import VectorIndex
from rankvideo_rag.storage.vector_tables import VISUAL, VectorTable

_samples: WeakKeyDictionary[VectorIndex, NDArray[np.float32]] = WeakKeyDictionary()  # (n, dim) of each open index


def search_vectors(
    store: Store,
    table: VectorTable,
    index: VectorIndex,
    vector: NDArray[np.float32],
    *,
    depth: int,
    among: NDArray[np.int64] | None = None,
) -> dict[int, float]:
    """Return the scores, from 0 to 1, of the `depth` rows nearest to a unit vector (dim,), best first, of those in `among`."""
    found = index.search(vector, depth=depth, among=among)
    if not found:
        return {}
    sample = _samples.get(index)
    if sample is None:
        sample = _samples[index] = store.sample_vectors(SAMPLE, table)
    cosines = {neighbour.number: neighbour.cosine for neighbour in found}
    count = len(index) if among is None else len(among)
    return score_cosines(cosines, Background.estimate(sample @ vector), among=count, same_kind=table != VISUAL)
