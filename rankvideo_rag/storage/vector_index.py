"""The vectors of clips or passages, ready to be searched; derived from the stored ones and rebuilt if absent, stale or damaged.

With fewer than `IndexOptions.flat_below` vectors the index is flat and exact; with more it is an IVF-PQ index with re-scoring.
Both return inner products with the stored vectors: cosines, if these are unit vectors.
"""

import logging
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.files import sync_folder
from rankvideo_rag.storage.flat_index import FlatIndex, GpuIndex, SearchableIndex, check_gpu
from rankvideo_rag.storage.index_files import (
    DAMAGED,
    EXTERNAL_STATE,
    FaissIndex,
    IndexPaths,
    IvfPqTuning,
    Manifest,
    build_lock,
    delete_quietly,
    derived_files,
    find_fault,
    open_rescore_file,
    read_index,
    read_manifest,
    write_index,
    write_manifest,
)
from rankvideo_rag.storage.ivfpq_build import BuiltIndex, IndexOptions, build_ivfpq
from rankvideo_rag.storage.ivfpq_index import IvfPqIndex
from rankvideo_rag.storage.rescore_file import RescoreFile
from rankvideo_rag.storage.store import Store, StoredVectors
from rankvideo_rag.storage.stored_vectors import Snapshot, snapshot
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VISUAL, VectorTable

logger = logging.getLogger(__name__)

__all__ = ["IndexOptions", "Neighbour", "VectorIndex", "derived_files", "find_fault", "find_faulty_files", "update_index_files"]


class Neighbour(NamedTuple):
    """A clip or passage near a query."""

    number: int  # of its row in the store
    cosine: float


class VectorIndex:
    """The vectors of a table of an archive at one generation. Immutable."""

    def __init__(self, index: SearchableIndex | None, generation: int) -> None:
        self._index = index  # None if there are no vectors
        self.generation = generation

    def __len__(self) -> int:
        return 0 if self._index is None else len(self._index)

    @property
    def dim(self) -> int:
        """Dimensions of a vector; 0 if there are no vectors."""
        return 0 if self._index is None else self._index.dim

    @property
    def tuning(self) -> IvfPqTuning | None:
        """How an IVF-PQ index is searched and the recall that was measured; None for other indexes."""
        return self._index.tuning if isinstance(self._index, IvfPqIndex) else None

    @classmethod
    def open(cls, store: Store, options: IndexOptions | None = None, table: VectorTable = VISUAL) -> "VectorIndex":
        """Open the index of a table's present generation: from its files if they are whole and current, else rebuilt.

        Files that cannot be written (a full or read-only disk) cost a warning and the next build.

        Raises InputError if a GPU is asked for and FAISS cannot use one, ArchiveError if stored vectors differ in size or a
        large index has no room on disk.
        """
        options = options or IndexOptions()
        if options.gpu:
            check_gpu()
        files = _IndexFiles(store, options, table)
        found = files.load()
        if found is None:
            with build_lock(store.folder):  # another process may be building it
                found = files.load() or files.build()
        if options.gpu and isinstance(found._index, FlatIndex | IvfPqIndex):
            return cls(GpuIndex(found._index), found.generation)
        return found

    def search(self, vector: NDArray[np.float32], *, depth: int, among: NDArray[np.int64] | None = None) -> list[Neighbour]:
        """Return the `depth` rows nearest to a unit vector (dim,), best first, of the row numbers in `among` if given."""
        if self._index is None or (among is not None and not len(among)):
            return []
        depth = min(depth, len(self) if among is None else len(among))
        numbers, cosines = self._index.search(np.ascontiguousarray(vector, dtype=np.float32), depth, among)
        return [Neighbour(number, cosine) for number, cosine in zip(numbers.tolist(), cosines.tolist(), strict=True)]


def update_index_files(store: Store, options: IndexOptions | None = None, *, external: bool | None = None) -> None:
    """Rebuild the derived files that are not current, so that the first search need not.

    Vectors of clips are left out if they are searched in an external store only, by default as its last use tells.
    """
    if external is None:
        external = (store.folder / EXTERNAL_STATE).exists() and not IndexPaths(store.folder).index.exists()
    for table in VECTOR_TABLES.values():
        if table != VISUAL or not external:
            VectorIndex.open(store, options, table)


def find_faulty_files(store: Store) -> dict[Path, str]:
    """Return what is wrong with derived files, by file. Reads every byte of them."""
    generations = {str(name): store.generation_of(table) for name, table in VECTOR_TABLES.items()}
    found = {file: find_fault(file, generations.get(file.stem, 0)) for file in derived_files(store.folder)}
    return {file: fault for file, fault in found.items() if fault}


class _IndexFiles:
    """Loads the derived files of a table, or builds them."""

    def __init__(self, store: Store, options: IndexOptions, table: VectorTable) -> None:
        self._store, self._options, self._table = store, options, table
        self._paths = IndexPaths(store.folder, table.name)
        self._damaged = False

    def load(self) -> VectorIndex | None:
        """Return the index in the files; None if they are absent, damaged, of another generation or of the other kind."""
        manifest, fault = read_manifest(self._paths)
        if manifest is None:
            self._damaged = fault == DAMAGED
            return None
        is_right_kind = (manifest.ivfpq is not None) == (manifest.vectors >= self._options.flat_below)
        if manifest.generation != self._store.generation_of(self._table) or not is_right_kind:
            return None
        index = self._read(manifest)
        return None if index is None else VectorIndex(index, manifest.generation)

    def _read(self, manifest: Manifest) -> FlatIndex | IvfPqIndex | None:
        try:
            index = read_index(self._paths.index, manifest.sha256)
            rescore = open_rescore_file(self._paths, manifest) if manifest.ivfpq else None
        except FileNotFoundError:
            return None
        if index is not None and manifest.ivfpq is None:
            return FlatIndex(index)
        if index is not None and manifest.ivfpq and rescore is not None:
            return self._ivfpq(index, rescore, manifest.ivfpq)
        self._damaged = True
        return None

    def _ivfpq(self, codes: FaissIndex, rescore: RescoreFile, tuning: IvfPqTuning) -> IvfPqIndex:
        return IvfPqIndex(codes, rescore, tuning, file=self._paths.rescore, fetch=self._fetch)

    def _fetch(self, numbers: NDArray[np.int64]) -> StoredVectors:
        return self._store.vectors(numbers, self._table)

    def _former(self) -> IvfPqIndex | None:
        """Return the IVF-PQ index of an earlier generation if its files are whole."""
        manifest, _ = read_manifest(self._paths)
        index = self._read(manifest) if manifest and manifest.ivfpq and not self._damaged else None
        return index if isinstance(index, IvfPqIndex) else None

    def build(self) -> VectorIndex:
        """Build the index of the present generation and write its files."""
        if self._damaged:
            logger.warning("%s is damaged: rebuilding it from the stored vectors", self._paths.index)
        for file in self._paths.partials():
            logger.info("deleting %s, which a killed process left", file)
            delete_quietly(file)
        with snapshot(self._store, self._table) as vectors:
            if not len(vectors.numbers):
                for file in (self._paths.manifest, self._paths.index, self._paths.rescore):
                    delete_quietly(file)
                return VectorIndex(None, vectors.generation)
            if len(vectors.numbers) < self._options.flat_below:
                flat = FlatIndex.build(vectors)
                self._write(flat.index, vectors)
                return VectorIndex(flat, vectors.generation)
            return VectorIndex(self._build_ivfpq(vectors), vectors.generation)

    def _build_ivfpq(self, vectors: Snapshot) -> IvfPqIndex:
        """Build with the re-score file in the archive, or in the temporary folder if the archive cannot be written."""
        size = f"{len(vectors.numbers):,} vectors need {len(vectors.numbers) * (vectors.dim * 2 + 12) / 1e9:.1f} GB"
        with ExitStack() as cleanup:
            for folder in (self._paths.folder, Path(cleanup.enter_context(tempfile.TemporaryDirectory()))):
                partial = self._paths.partial(folder / self._paths.rescore.name)
                cleanup.callback(delete_quietly, partial)
                try:
                    built = build_ivfpq(vectors, partial, self._options, self._former())
                except OSError as error:
                    logger.warning("%s cannot be written (%s): %s while they are searched", partial, error, size)
                    continue
                if folder == self._paths.folder:
                    self._write(built.codes, vectors, built, partial)
                return self._ivfpq(built.codes, built.rescore, built.tuning)
        raise ArchiveError(f"there is no room to build the vector index of {self._paths.folder}: {size} in it or in $TMPDIR")

    def _write(
        self, index: FaissIndex, vectors: Snapshot, built: BuiltIndex | None = None, rescore: Path | None = None
    ) -> None:
        """Write the index for later processes; a disk that refuses costs them only the time to build it again."""
        partial = self._paths.partial(self._paths.index)
        try:
            sha256 = write_index(index, partial)
            partial.replace(self._paths.index)
            rescore.replace(self._paths.rescore) if rescore else self._paths.rescore.unlink(missing_ok=True)
            sync_folder(self._paths.folder)
            manifest = Manifest(
                sha256=sha256,
                generation=vectors.generation,
                vectors=len(vectors.numbers),
                dim=vectors.dim,
                ivfpq=built.tuning if built else None,
            )
            write_manifest(self._paths, manifest)
        except OSError as error:
            delete_quietly(partial)
            logger.warning("%s cannot be written (%s): it will be built again when it is next opened", self._paths.index, error)
