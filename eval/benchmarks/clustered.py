"""Generate vectors with the structure of embeddings of clips, without a model.

Topics are points on a sphere of few dimensions (GLOBAL), so that each has near and far neighbours; a clip lies around its topic
within a small random subspace of its own (LOCAL dimensions, the intrinsic dimension), plus a little noise in all
directions. Few topics have many clips and many have few, as 1 / sqrt(rank). A question is another clip that is not in
the archive, plus noise of the same length: its cosine to what it asks for is about 0.7.

`independent` draws all numbers independently instead: no index can find structure in them, and no archive looks like that.
The same arguments give the same vectors.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

GLOBAL = 32  # dimensions that topics differ in
LOCAL = 24  # dimensions that the clips of a topic differ in: the intrinsic dimension
_SPREAD = 0.8  # of clips around their topic, whose length is 1
_NOISE = 0.2
_CLIPS_A_TOPIC = 500  # on average
_AT_ONCE = 8192  # rows

Vectors = NDArray[np.float32]  # rows of length 1


class ClusteredVectors:
    """Clips and questions about them."""

    def __init__(self, n: int, dim: int, *, independent: bool = False, seed: int = 0) -> None:
        self.n, self.dim, self.independent, self._seed = n, dim, independent, seed
        topics = 1 if independent else max(20, n // _CLIPS_A_TOPIC)
        random = np.random.default_rng((seed, 0))
        frame = np.linalg.qr(random.standard_normal((dim, min(GLOBAL, dim))))[0].T
        self._centres = _unit((random.standard_normal((topics, len(frame))) @ frame).astype(np.float32))
        self._axes = (random.standard_normal((topics, LOCAL, dim), dtype=np.float32)) / np.float32(math.sqrt(dim))
        weights = 1 / np.sqrt(np.arange(1, topics + 1))
        self._share = weights / weights.sum()

    def clips(self) -> Iterator[Vectors]:
        """Yield all n clips, some thousands at a time."""
        for at in range(0, self.n, _AT_ONCE):
            yield self._draw(min(_AT_ONCE, self.n - at), np.random.default_rng((self._seed, 1, at)))

    def questions(self, count: int) -> Vectors:
        """Return questions, (count, dim)."""
        random = np.random.default_rng((self._seed, 2))
        return _unit(self._draw(count, random) + self._noise(count, 1.0, random))

    def _draw(self, count: int, random: np.random.Generator) -> Vectors:
        if self.independent:
            return _unit(self._noise(count, 1.0, random))
        topics = np.sort(random.choice(len(self._share), count, p=self._share))
        around = random.standard_normal((count, LOCAL), dtype=np.float32) * np.float32(_SPREAD / math.sqrt(LOCAL))
        found = self._centres[topics] + self._noise(count, _NOISE, random)
        for topic, first, last in _runs(topics):
            found[first:last] += around[first:last] @ self._axes[topic]
        return _unit(random.permutation(found))

    def _noise(self, count: int, length: float, random: np.random.Generator) -> Vectors:
        return random.standard_normal((count, self.dim), dtype=np.float32) * np.float32(length / math.sqrt(self.dim))


def _runs(numbers: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """Return each number of a sorted array with the positions where it begins and ends."""
    found, first = np.unique(numbers, return_index=True)
    return zip(found.tolist(), first.tolist(), [*first[1:].tolist(), len(numbers)], strict=True)


def _unit(vectors: Vectors) -> Vectors:
    lengths: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / lengths
