"""What is said when the disk does not take an archive's writes."""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rankvideo_rag.errors import ArchiveError, DiskFull

_OF_THE_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def convert_errors(folder: Path) -> Iterator[None]:
    """Turn what SQLite or the system says of a write under `folder` into an ArchiveError for people, or DiskFull."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        raise (DiskFull if _is_full(error) else ArchiveError)(
            f"writing the archive at {folder} failed: {error}. {shutil.disk_usage(there).free:,} bytes are free there. "
            f"What was committed before is safe; when there is room again, run the same command to go on."
        ) from error


def _is_full(error: sqlite3.OperationalError | OSError) -> bool:
    if isinstance(error, OSError):
        return error.errno in _FULL
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def is_disk_error(error: sqlite3.Error) -> bool:
    """Whether SQLite failed because of the disk and not because of what is in the file."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_DISK
