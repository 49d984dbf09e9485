"""Unit vectors in clusters, and clips of a store that have them."""

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.store import Store


def topics(count: int, *, seed: int, dim: int = 32) -> NDArray[np.float16]:
    """Unit vectors around forty centres."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    centres = fixed.standard_normal((40, dim))
    found = centres[random.integers(0, 40, count)] + 0.6 * random.standard_normal((count, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def put(store: Store, vectors: NDArray[np.float16], *, first: int = 1) -> None:
    """Clips numbered from `first`, with these vectors, in one video."""
    connection = store.connection
    connection.execute("BEGIN")
    connection.execute("INSERT OR IGNORE INTO videos VALUES ('v', '', '{}', '', 'ok', NULL, '', 0, NULL)")
    numbers = range(first, first + len(vectors))
    connection.executemany("INSERT INTO clips VALUES (?, ?, 'v', 0, 1)", [(n, str(n)) for n in numbers])
    rows = [(n, vector.tobytes()) for n, vector in zip(numbers, vectors, strict=True)]
    connection.executemany("INSERT INTO vectors VALUES (?, 'visual', ?)", rows)
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    connection.execute("COMMIT")
