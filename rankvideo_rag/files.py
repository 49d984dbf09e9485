"""Hash files, and replace them atomically."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from rankvideo_rag.errors import MediaError


def file_hash(path: str | Path) -> str:
    """Return the sha256 of a file in hex. Raises MediaError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("io", f"{str(path)!r}: {error.strerror}") from error


def replace_file(file: Path, data: bytes) -> None:
    """Replace a file atomically and durably: readers see the old content or the new one, also after a crash."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(partial, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError:
        with suppress(OSError):  # the first error is raised
            partial.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
