"""Files as whole things: their content's hash, and replacing one so that nobody ever sees half of it."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from rankvideo_rag.errors import MediaError


def file_hash(path: str | Path) -> str:
    """The sha256 of a file's bytes, in hex. Raises MediaError for a file that cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise MediaError("io", f"{str(path)!r}: {error.strerror}") from error


def replace_file(file: Path, data: bytes) -> None:
    """Put `data` in the place of `file` so that a reader or a crash sees the old bytes or the new ones, whole."""
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with open(unfinished, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        unfinished.replace(file)
    except OSError:
        with suppress(OSError):  # what the caller is to hear of is the first error
            unfinished.unlink(missing_ok=True)
        raise
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
