"""The files that are derived from an archive's vectors: what they are called, whether they are whole, how they are replaced.

    visual.faiss   FAISS's index: all of the vectors where they are few, else codes of them
    visual.rescore  with many vectors: the vectors themselves (`vector_rows`)
    visual.json    the manifest: written last, it says which bytes the others must have, and of which generation they are

The manifest and the FAISS file are hashed whole before a byte of them is used: FAISS reads a file with a zeroed tail without a
word, and gives wrong answers. At 200 bytes a vector that takes .15 s for a million. The rows, eight times as large, are checked
row by row as they are read. This file does not know how vectors are searched.
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

logger = logging.getLogger(__name__)

FaissIndex = Any  # the types that come with FAISS know the members of no kind of index

EXTERNAL_STATE = "vectors.copy.json"  # what a vector store elsewhere holds of an archive
ABSENT = "is absent"
DAMAGED = "is damaged: its bytes are not those that were written"
STALE = "is stale: the archive has changed since"
LEFT_BEHIND = "was left behind by a writer that died"


class IvfPqTuning(Record):
    """How two tiers are searched, and what was measured when they were built."""

    trained_on: int  # vectors that there were when the lists were last learnt
    lists: int
    probes: int  # lists that are looked into for 100 neighbours
    candidates: int  # scored exactly for each neighbour that is asked for
    recall_at_100: float  # of exact search, over vectors of the archive with noise added
    rescore_sha256: str  # of the tables of the rows file


class Manifest(Record):
    """What the derived files hold."""

    sha256: str  # of the FAISS file
    generation: int
    vectors: int
    dim: int
    ivfpq: IvfPqTuning | None = None


class IndexPaths:
    """The names of the derived files of one channel."""

    def __init__(self, folder: Path, channel: str) -> None:
        self.folder, self.channel = folder, channel
        self.index = folder / f"{channel}.faiss"
        self.rows = folder / f"{channel}.rescore"
        self.manifest = folder / f"{channel}.json"

    def unfinished(self, file: Path) -> Path:
        """What a file is called while it is written."""
        return file.with_name(f".{file.name}.{os.getpid()}")

    def drop_pieces(self) -> None:
        """Delete what killed writers left. Only while no other process builds."""
        for piece in _pieces(self.folder, self.channel):
            logger.info("deleting %s, which a writer that died has left", piece)
            drop(piece)


def drop(piece: Path) -> None:
    """Delete an unfinished file. Where the disk refuses even that, it is left to the next building."""
    try:
        piece.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s cannot be deleted: %s", piece, error.strerror)


def derived_files(folder: Path) -> list[Path]:
    """The files in an archive's folder that were derived from its vectors, and what a killed writer left of one."""
    return sorted([*folder.glob("*.faiss"), *folder.glob("*.rescore"), *_pieces(folder, "*")])


def _pieces(folder: Path, channel: str) -> list[Path]:
    return [piece for kind in ("faiss", "rescore", "json") for piece in folder.glob(f".{channel}.{kind}.*")]


def find_fault(file: Path, generation: int) -> str | None:
    """What is wrong with a derived file, in words; None where it is whole and shows that generation of the archive.

    Every byte is read.
    """
    if file.suffix not in (".faiss", ".rescore"):
        return LEFT_BEHIND
    files = IndexPaths(file.parent, file.stem)
    manifest, fault = read_manifest(files)
    if manifest is None or not file.is_file():
        return fault or ABSENT
    fault = _fault_of_rows(files, manifest) if file.suffix == ".rescore" else _fault_of_index(file, manifest)
    return fault or (None if manifest.generation == generation else STALE)


def _fault_of_index(file: Path, manifest: Manifest) -> str | None:
    with open(file, "rb") as data:
        return None if hashlib.file_digest(data, "sha256").hexdigest() == manifest.sha256 else DAMAGED


def _fault_of_rows(files: IndexPaths, manifest: Manifest) -> str | None:
    if manifest.ivfpq is None:
        return "is not needed any more"
    rows = RescoreFile.open(files.rows, manifest.vectors, manifest.dim, manifest.ivfpq.rescore_sha256)
    return DAMAGED if rows is None or rows.first_fault() is not None else None


def read_manifest(files: IndexPaths) -> tuple[Manifest | None, str | None]:
    """The manifest, or what is wrong with it."""
    try:
        found = json.loads(files.manifest.read_bytes())
        check = found.pop("check", None)
        manifest = Manifest.model_validate(found)
    except FileNotFoundError:
        return None, ABSENT
    except (ValueError, AttributeError, ValidationError):
        return None, DAMAGED
    if check is None:
        return None, "is stale: an older version of rankvideo-rag wrote it"
    return (manifest, None) if check == _check(manifest) else (None, DAMAGED)


def write_manifest(files: IndexPaths, manifest: Manifest) -> None:
    """Write the manifest: from now on it is the truth about the other files."""
    said = manifest.model_dump(mode="json") | {"check": _check(manifest)}
    replace_file(files.manifest, json.dumps(said).encode())


def _check(manifest: Manifest) -> str:
    return hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()


def read_index(file: Path, sha256: str) -> FaissIndex | None:
    """The FAISS index in `file`; None unless it holds the very bytes that were written. Memory holds it once."""
    with open(file, "rb") as data:
        if hashlib.file_digest(data, "sha256").hexdigest() != sha256:
            return None
        data.seek(0)
        return faiss.read_index(faiss.PyCallbackIOReader(data.read))  # type: ignore[attr-defined]


def write_index(index: FaissIndex, file: Path) -> str:
    """Write an index to `file`, have it on the disk, and give the hash of its bytes."""
    with open(file, "wb") as out:
        sink = _Hashing(out)
        faiss.write_index(index, faiss.PyCallbackIOWriter(sink.write))  # type: ignore[attr-defined]
        out.flush()
        os.fsync(out.fileno())
    return sink.sha256.hexdigest()


class _Hashing:
    """A file that hashes what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self.sha256 = out, hashlib.sha256()

    def write(self, data: bytes) -> int:
        self.sha256.update(data)
        return self._out.write(data)


@contextmanager
def build_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process builds derived files in this folder, and keep others waiting meanwhile.

    Where the file system has no locks two may build at once: each makes whole files, and the later one's stay.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)  # frees the lock


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        logger.info("another process derives the vector index of %s: waiting for it", folder)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        logger.info("%s cannot be locked (%s)", folder, error)
