"""The FAISS files of an archive: their names, checks and replacement. They are derived from archive.db and can be rebuilt.

    NAME.faiss     the FAISS index: all vectors (flat), or their codes (IVF-PQ)
    NAME.rescore   with an IVF-PQ index: the vectors themselves (`rescore_file`)
    NAME.json      the manifest, written last: checksums of the others, and the generation they were built from

NAME is visual for the vectors of clips, and speech, on_screen or description for those of passages (`vector_tables`).

The manifest and the FAISS file are hashed whole before use: FAISS reads a file with a zeroed tail without an error and then
returns wrong results. Vectors in the re-score file are checked one by one as they are read.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import faiss
from pydantic import ValidationError

from rankvideo_rag.files import replace_file
from rankvideo_rag.schema import Record
from rankvideo_rag.storage.rescore_file import RescoreFile
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VISUAL

logger = logging.getLogger(__name__)

FaissIndex = Any  # FAISS's type stubs miss the members of indexes

EXTERNAL_STATE = "vectors.copy.json"  # what an external vector store holds of an archive
ABSENT = "is absent"
DAMAGED = "is damaged: its bytes are not those that were written"
STALE = "is stale: the archive has changed since"
UNUSED = "is not needed any more"
PARTIAL = "was left by a process that was killed while it wrote"


class IvfPqTuning(Record):
    """How an IVF-PQ index is searched, and what was measured when it was built."""

    trained_on: int  # vectors in the archive when the lists were trained
    lists: int
    probes: int  # lists searched for 100 neighbours
    candidates: int  # re-scored for each neighbour returned
    recall_at_100: float  # against exact search, for vectors of the archive with noise added
    rescore_sha256: str  # of the tables in the re-score file


class Manifest(Record):
    """What the derived files hold."""

    sha256: str  # of the FAISS file
    generation: int
    vectors: int
    dim: int
    ivfpq: IvfPqTuning | None = None  # None for a flat index


class IndexPaths:
    """The paths of the derived files of one index in an archive's folder."""

    def __init__(self, folder: Path, name: str = VISUAL.name) -> None:
        self.folder, self.name = folder, name
        self.index = folder / f"{name}.faiss"
        self.rescore = folder / f"{name}.rescore"
        self.manifest = folder / f"{name}.json"

    def partial(self, file: Path) -> Path:
        """Return the name of a file while it is written."""
        return file.with_name(f".{file.name}.{os.getpid()}")

    def partials(self) -> list[Path]:
        """Return the unfinished files, of this process or of killed ones."""
        return [file for kind in ("faiss", "rescore", "json") for file in self.folder.glob(f".{self.name}.{kind}.*")]


def derived_files(folder: Path) -> list[Path]:
    """Return the derived files in an archive's folder, with unfinished ones and without the manifests."""
    return sorted(file for name in VECTOR_TABLES for file in _files_of(IndexPaths(folder, name)))


def _files_of(paths: IndexPaths) -> list[Path]:
    return [file for file in (paths.index, paths.rescore) if file.exists()] + paths.partials()


def find_fault(file: Path, generation: int) -> str | None:
    """Return what is wrong with a derived file; None if it is whole and matches the archive's generation. Reads every byte."""
    paths = IndexPaths(file.parent, file.stem)
    if file not in (paths.index, paths.rescore):
        return PARTIAL
    manifest, fault = read_manifest(paths)
    if manifest is None or not file.is_file():
        return fault or ABSENT
    fault = _rescore_fault(paths, manifest) if file == paths.rescore else _index_fault(file, manifest)
    return fault or (None if manifest.generation == generation else STALE)


def _index_fault(file: Path, manifest: Manifest) -> str | None:
    with open(file, "rb") as data:
        return None if hashlib.file_digest(data, "sha256").hexdigest() == manifest.sha256 else DAMAGED


def _rescore_fault(paths: IndexPaths, manifest: Manifest) -> str | None:
    if manifest.ivfpq is None:
        return UNUSED
    rescore = open_rescore_file(paths, manifest)
    return DAMAGED if rescore is None or not rescore.is_whole() else None


def open_rescore_file(paths: IndexPaths, manifest: Manifest) -> RescoreFile | None:
    """Open the re-score file of a manifest; None if its size or tables differ. Raises FileNotFoundError."""
    assert manifest.ivfpq is not None
    return RescoreFile.open(paths.rescore, manifest.vectors, manifest.dim, manifest.ivfpq.rescore_sha256)


def read_manifest(paths: IndexPaths) -> tuple[Manifest | None, str | None]:
    """Return the manifest, or what is wrong with it."""
    try:
        found = json.loads(paths.manifest.read_bytes())
        check = found.pop("check", None)
        manifest = Manifest.model_validate(found)
    except FileNotFoundError:
        return None, ABSENT
    except (ValueError, AttributeError, ValidationError):
        return None, DAMAGED
    return (manifest, None) if check == _checksum(manifest) else (None, DAMAGED)


def write_manifest(paths: IndexPaths, manifest: Manifest) -> None:
    """Replace the manifest; from then on the other files must match it."""
    content = manifest.model_dump(mode="json") | {"check": _checksum(manifest)}
    replace_file(paths.manifest, json.dumps(content).encode())


def _checksum(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()


def read_index(file: Path, sha256: str) -> FaissIndex | None:
    """Read a FAISS index; None if its bytes have another hash. Raises FileNotFoundError."""
    with open(file, "rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != sha256:
            return None
        data.seek(0)
        return faiss.read_index(faiss.PyCallbackIOReader(data.read))  # type: ignore[attr-defined]


def write_index(index: FaissIndex, file: Path) -> str:
    """Write a FAISS index, flush it to disk and return the sha256 of its bytes."""
    with open(file, "wb") as out:
        writer = _HashingWriter(out)
        faiss.write_index(index, faiss.PyCallbackIOWriter(writer.write))  # type: ignore[attr-defined]
        out.flush()
        os.fsync(out.fileno())
    return writer.sha256.hexdigest()


class _HashingWriter:
    def __init__(self, out: BinaryIO) -> None:
        self._out, self.sha256 = out, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._out.write(data)


def delete_quietly(file: Path) -> None:
    """Delete an unfinished file; log a warning if that fails, since the next build tries again."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        if os.path.lexists(file):  # a read-only file system gives an error for a file that is not there, too
            logger.warning("%s cannot be deleted: %s", file, error.strerror)


@contextmanager
def build_lock(folder: Path) -> Iterator[None]:
    """Let one process at a time build derived files in `folder`; others wait.

    On a file system without locks two may build at once: each writes whole files, and the later ones stay.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # releases the lock


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("waiting for another process that builds the vector index of %s", folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        logger.info("%s cannot be locked (%s)", folder, error)
