"""Unit vectors in clusters, and clips of a store that have them."""

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.store import Store


def clustered_vectors(count: int, *, seed: int, dim: int = 32) -> NDArray[np.float16]:
    """Return unit vectors (count, dim) around forty centres."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    centres = fixed.standard_normal((40, dim))
    found = centres[random.integers(0, 40, count)] + 0.6 * random.standard_normal((count, dim))
    unit: NDArray[np.float16] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)
    return unit


def put_clips(store: Store, vectors: NDArray[np.float16], *, first: int = 1, video: str = "v") -> None:
    """Add clips with these vectors to a video; clip number n, from `first`, has the id VIDEO-n."""
    connection = store.connection
    numbers = range(first, first + len(vectors))
    connection.execute("BEGIN")
    connection.execute(
        "INSERT OR IGNORE INTO videos (video_id, title, probe, config_hash, outcome) VALUES (?, '', '{}', '', 'ok')", (video,)
    )
    connection.executemany("INSERT INTO clips VALUES (?, ?, ?, 0, 1)", [(n, f"{video}-{n}", video) for n in numbers])
    rows = [(n, vector.tobytes()) for n, vector in zip(numbers, vectors, strict=True)]
    connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows)
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    connection.execute("COMMIT")


def delete_video(store: Store, video: str) -> None:
    """Delete a video with its clips."""
    store.connection.execute("DELETE FROM videos WHERE video_id = ?", (video,))
    store.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
