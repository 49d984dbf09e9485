"""The writer lock: an advisory lock on a file of the archive, which the kernel releases when its process ends."""

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from rankvideo_rag.errors import ArchiveError, ArchiveLocked

logger = logging.getLogger(__name__)

_DEAD_HOLDER_SECONDS = 2.0  # wait for the lock of a killed process: one that it was starting may hold it for a moment


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the writer lock of an archive.

    Raises ArchiveLocked at once if another process holds it, naming that process, and ArchiveError if this user may not write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = open(folder / "writer.lock", "a+", encoding="utf-8")  # noqa: SIM115 - closed by the next statement
    except OSError as error:
        raise ArchiveError(f"the archive at {folder} cannot be written: {error.strerror}") from error
    with lock as file:
        _acquire(file, folder)
        _write_holder(file.fileno(), folder)
        yield


def _acquire(file: TextIO, folder: Path) -> None:
    until = time.monotonic() + _DEAD_HOLDER_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _parse_holder(file.read())
            if not _is_dead(holder) or time.monotonic() > until:
                name = "process {pid} on {host} since {since}".format_map(holder) if holder else "another process"
                raise ArchiveLocked(f"the archive at {folder} is being written by {name}: wait for it") from None
        time.sleep(0.01)


def _write_holder(descriptor: int, folder: Path) -> None:
    """Record who holds the lock. A full disk only costs the record: deleting videos must still be possible."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    holder = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, holder.encode())
    except OSError as error:
        logger.warning("the lock of the archive at %s does not name its process: %s", folder, error.strerror)


def _parse_holder(text: str) -> dict[str, Any]:
    """Return who holds the lock; {} between locking and writing the record."""
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Return whether the holder was a process of this host that no longer exists."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(holder["pid"], 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
