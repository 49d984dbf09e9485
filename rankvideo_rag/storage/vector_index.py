"""The vectors of an archive, ready to be searched: derived from the stored ones, rebuilt when absent, stale or damaged.

Few vectors are searched one and all, as float16 like the stored ones, so the result is exact. Many are searched in two tiers
(`two_tiers`). Both give inner products of what is stored, over unit vectors cosines. Not known here: models and questions.
"""

import logging
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.files import sync_folder
from rankvideo_rag.storage.flat_index import FlatIndex, SearchableIndex
from rankvideo_rag.storage.gpu_index import GpuIndex, check_gpu
from rankvideo_rag.storage.index_files import (
    DAMAGED,
    EXTERNAL_STATE,
    STALE,
    FaissIndex,
    IndexPaths,
    IvfPqTuning,
    Manifest,
    build_lock,
    derived_files,
    drop,
    find_fault,
    read_index,
    read_manifest,
    write_index,
    write_manifest,
)
from rankvideo_rag.storage.ivfpq_build import Built, IndexOptions, build_ivfpq
from rankvideo_rag.storage.ivfpq_index import IvfPqIndex
from rankvideo_rag.storage.rescore_file import RescoreFile
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.stored_vectors import Snapshot, read_vectors, snapshot

logger = logging.getLogger(__name__)

__all__ = ["IndexOptions", "Neighbour", "VectorIndex", "derived_files", "find_fault", "update_index_files"]


class Neighbour(NamedTuple):
    """A clip near a question."""

    clip: int  # row number in the store
    cosine: float


class VectorIndex:
    """The vectors of one channel, ready to be searched. Immutable: it shows the generation it was opened at."""

    def __init__(self, searched: SearchableIndex | None, generation: int) -> None:
        self._searched = searched  # None when no clip has a vector
        self.generation = generation

    def __len__(self) -> int:
        return 0 if self._searched is None else len(self._searched)

    @property
    def dim(self) -> int:
        """Numbers in a vector; 0 when there is no vector."""
        return 0 if self._searched is None else self._searched.dim

    @property
    def tuning(self) -> IvfPqTuning | None:
        """How two tiers are searched, and the recall that was measured when they were built; None for a flat index."""
        return self._searched.tuning if isinstance(self._searched, IvfPqIndex) else None

    @classmethod
    def open(cls, store: Store, channel: str = "visual", *, scale: IndexOptions | None = None) -> "VectorIndex":
        """The index of the store's present generation: from its files if they are whole and current, else built anew.

        Raises MissingDependency where the scale asks for a GPU and FAISS cannot use one, ArchiveError where many vectors find
        no room on the disk.
        """
        scale, files = scale or IndexOptions(), IndexPaths(store.folder, channel)
        if scale.gpu:
            check_gpu()
        found = _Reader(store, files, scale).current()
        if found is None:
            with build_lock(store.folder):  # it may be another process that is building it
                reader = _Reader(store, files, scale)
                found = reader.current() or _Builder(store, files, scale).build(reader)
        searched = found._searched
        return (
            cls(GpuIndex(searched), found.generation) if scale.gpu and isinstance(searched, FlatIndex | IvfPqIndex) else found
        )

    def search(self, vector: NDArray[np.float32], *, depth: int, among: NDArray[np.int64] | None = None) -> list[Neighbour]:
        """The `depth` clips nearest to a unit vector (dim,), best first; `among` restricts them to those row numbers."""
        if self._searched is None or (among is not None and not len(among)):
            return []
        depth = min(depth, len(self) if among is None else len(among))
        clips, cosines = self._searched.search(np.ascontiguousarray(vector, dtype=np.float32), depth, among)
        return [Neighbour(clip, cosine) for clip, cosine in zip(clips.tolist(), cosines.tolist(), strict=True)]


def update_index_files(store: Store, *, scale: IndexOptions | None = None) -> None:
    """Bring the files up to date, so that the first question need not. Where vectors are searched elsewhere there are none."""
    if derived_files(store.folder) or not (store.folder / EXTERNAL_STATE).exists():
        VectorIndex.open(store, scale=scale)


class _Reader:
    """Reads the files of an index, and says what is wrong with them."""

    def __init__(self, store: Store, files: IndexPaths, scale: IndexOptions) -> None:
        self._store, self._files, self._scale = store, files, scale
        self._manifest, self._fault = read_manifest(files)

    def current(self) -> VectorIndex | None:
        """The index in the files; None where they are absent, damaged, of another generation or of the other kind."""
        manifest = self._manifest
        if manifest is None or manifest.generation != self._store.generation or not self._right_kind(manifest):
            self._fault = self._fault or STALE
            return None
        searched = self._searched(manifest)
        return None if searched is None else VectorIndex(searched, manifest.generation)

    def former(self) -> IvfPqIndex | None:
        """The two tiers in the files, of whatever generation, if they are whole."""
        manifest = self._manifest
        found = self._searched(manifest) if manifest and manifest.ivfpq and self._fault == STALE else None
        return found if isinstance(found, IvfPqIndex) else None

    def warn(self) -> None:
        """Say so, where bytes are not those that were written."""
        if self._fault == DAMAGED:
            logger.warning("%s is damaged: rebuilding it from the archive's stored vectors", self._files.index)

    def _right_kind(self, manifest: Manifest) -> bool:
        return (manifest.ivfpq is not None) == (manifest.vectors >= self._scale.flat_below)

    def _searched(self, manifest: Manifest) -> "FlatIndex | IvfPqIndex | None":
        try:
            index = read_index(self._files.index, manifest.sha256)
            tuning = manifest.ivfpq
            if index is None or tuning is None:
                self._fault = DAMAGED if index is None else self._fault
                return None if index is None else FlatIndex(index)
            rows = RescoreFile.open(self._files.rows, manifest.vectors, manifest.dim, tuning.rescore_sha256)
        except FileNotFoundError:
            return None
        if rows is None:
            self._fault = DAMAGED
            return None
        return IvfPqIndex(index, rows, tuning, self._files.rows, partial(_fetch, self._store, self._files.channel))


def _fetch(store: Store, channel: str, clips: NDArray[np.int64]) -> dict[int, NDArray[np.float16]]:
    found = read_vectors(store, channel, clips)
    return dict(zip(found.clips.tolist(), found.vectors, strict=True))


class _Builder:
    """Builds an index and puts its files in place, if they can be written."""

    def __init__(self, store: Store, files: IndexPaths, scale: IndexOptions) -> None:
        self._store, self._files, self._scale = store, files, scale

    def build(self, reader: _Reader) -> VectorIndex:
        """The index of the archive as it is now."""
        reader.warn()
        self._files.drop_pieces()
        with snapshot(self._store, self._files.channel) as still:
            if not len(still.clips):
                return VectorIndex(None, still.generation)
            if len(still.clips) < self._scale.flat_below:
                flat = FlatIndex.of(still)
                self._keep(flat.index, still)
                return VectorIndex(flat, still.generation)
            return VectorIndex(self._two_tiers(still, reader.former()), still.generation)

    def _two_tiers(self, still: Snapshot, former: IvfPqIndex | None) -> IvfPqIndex:
        with ExitStack() as cleaning:
            built, unfinished = self._built(still, former, cleaning)
            if unfinished.parent == self._files.folder:
                self._keep(built.lists, still, built, unfinished)
        fetch = partial(_fetch, self._store, self._files.channel)
        return IvfPqIndex(built.lists, built.rows, built.tuning, self._files.rows, fetch)

    def _built(self, still: Snapshot, former: IvfPqIndex | None, cleaning: ExitStack) -> tuple[Built, Path]:
        """The index, and its rows' file: in the archive, or where that is full or read-only among the temporary files."""
        need = f"{len(still.clips):,} vectors need {len(still.clips) * (still.dim * 2 + 12) / 1e9:.1f} GB"
        for folder in (self._files.folder, Path(cleaning.enter_context(tempfile.TemporaryDirectory()))):
            unfinished = self._files.unfinished(folder / self._files.rows.name)
            cleaning.callback(drop, unfinished)
            try:
                return build_ivfpq(still, unfinished, self._scale, former), unfinished
            except OSError as error:
                logger.warning("%s cannot be written (%s): %s for the time that they are searched", unfinished, error, need)
        raise ArchiveError(f"there is no room to derive the vector index of {self._files.folder}: {need} in it or in $TMPDIR")

    def _keep(self, index: FaissIndex, still: Snapshot, built: Built | None = None, rows: Path | None = None) -> None:
        """Write the index for the next reader. It can be derived again, so a full or read-only disk only costs that time."""
        unfinished = self._files.unfinished(self._files.index)
        try:
            sha256 = write_index(index, unfinished)
            unfinished.replace(self._files.index)
            rows.replace(self._files.rows) if rows else self._files.rows.unlink(missing_ok=True)
            sync_folder(self._files.folder)
            ivfpq = built.tuning if built else None
            manifest = Manifest(
                sha256=sha256, generation=still.generation, vectors=len(still.clips), dim=still.dim, ivfpq=ivfpq
            )
            write_manifest(self._files, manifest)
        except OSError as error:
            drop(unfinished)
            why = "it will be derived again when the archive is next opened"
            logger.warning("%s cannot be written (%s): %s", self._files.index, error, why)
