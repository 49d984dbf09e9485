"""The FAISS file of an archive: derived from the stored vectors, checksummed, rebuilt when absent, stale or damaged.

Searching is exact: inner product over unit vectors, so a score is a cosine. This file knows no models and no questions.
"""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.files import replace_file
from rankvideo_rag.indexing.store import Store

logger = logging.getLogger(__name__)


class Neighbour(NamedTuple):
    """A clip near a question."""

    clip: int  # row number in the store
    cosine: float


class VectorIndex:
    """The vectors of one channel, ready to be searched. Immutable: it shows the generation it was opened at."""

    def __init__(self, index: faiss.Index | None, generation: int) -> None:
        self._index = index  # None when no clip has a vector
        self.generation = generation

    def __len__(self) -> int:
        return 0 if self._index is None else int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Numbers in a vector; 0 when there is no vector."""
        return 0 if self._index is None else int(self._index.d)

    @classmethod
    def open(cls, store: Store, channel: str = "visual") -> "VectorIndex":
        """The index of the store's present generation: from its file if that is whole and current, else built anew."""
        generation = store.generation
        file = store.folder / f"{channel}.faiss"
        index = _read(file, generation)
        if index is None:
            index = _build(store, channel)
            if index is not None:
                _keep(file, index, generation)
        return cls(index, generation)

    def search(self, vector: NDArray[np.float32], *, depth: int, among: NDArray[np.int64] | None = None) -> list[Neighbour]:
        """The `depth` clips nearest to a unit vector (dim,), best first; `among` restricts them to those row numbers."""
        if self._index is None or (among is not None and not len(among)):
            return []
        selector: Any = None if among is None else faiss.SearchParameters(sel=faiss.IDSelectorBatch(among))  # type: ignore[call-arg]
        depth = min(depth, len(self) if among is None else len(among))
        cosines, clips = self._index.search(vector[None].astype(np.float32), depth, params=selector)
        # FAISS fills up with -1 where it found fewer than asked.
        found = zip(clips[0].tolist(), cosines[0].tolist(), strict=True)
        return [Neighbour(clip, cosine) for clip, cosine in found if clip >= 0]


def _build(store: Store, channel: str) -> faiss.Index | None:
    clips, vectors = store.vectors(channel)
    if not len(clips):
        return None
    index = faiss.IndexIDMap2(faiss.IndexFlatIP(vectors.shape[1]))
    index.add_with_ids(vectors.astype(np.float32), clips)
    return index


def _manifest_of(file: Path) -> Path:
    return file.with_suffix(".json")


def _read(file: Path, generation: int) -> faiss.Index | None:
    """The index in `file`, or None when it is absent, of another generation, or not the bytes that were written."""
    manifest = _manifest_of(file)
    if not (file.is_file() and manifest.is_file()):
        return None
    data = file.read_bytes()
    try:
        expected = json.loads(manifest.read_bytes())
    except ValueError:
        expected = {}
    if expected.get("sha256") != hashlib.sha256(data).hexdigest():
        logger.warning("%s is damaged: rebuilding it from the archive's stored vectors", file)
        return None
    if expected.get("generation") != generation:
        return None
    return faiss.deserialize_index(np.frombuffer(data, dtype=np.uint8))


def _keep(file: Path, index: faiss.Index, generation: int) -> None:
    """Write the index for the next reader. It can be derived again, so a full or read-only disk only costs that time."""
    data = faiss.serialize_index(index).tobytes()
    manifest = {"sha256": hashlib.sha256(data).hexdigest(), "generation": generation, "vectors": index.ntotal, "dim": index.d}
    try:
        replace_file(file, data)
        replace_file(_manifest_of(file), json.dumps(manifest).encode())
    except OSError as error:
        logger.warning("%s cannot be written (%s): it will be derived again when the archive is next opened", file, error)
