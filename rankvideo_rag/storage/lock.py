"""One writer at a time: an advisory lock on a file of the archive, which the kernel frees when its holder dies."""

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

_PATIENCE = 2.0  # seconds for which a dead holder's lock is waited for


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the writer's lock of an archive. Raises ArchiveLocked at once when another process holds it, saying which, and
    ArchiveError where this user may not write."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = open(folder / "writer.lock", "a+", encoding="utf-8")  # noqa: SIM115 - closed by the next line but one
    except OSError as error:
        raise ArchiveError(f"the archive at {folder} cannot be written: {error.strerror}") from error
    with lock as file:
        _take(file, folder)
        _note(file.fileno(), folder)
        yield


def _take(file: TextIO, folder: Path) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = _noted(file.read())
            if not _is_dead(holder) or time.monotonic() > until:
                who = "process {pid} on {host} since {since}".format_map(holder) if holder else "another process"
                raise ArchiveLocked(f"the archive at {folder} is being written by {who}: wait for it") from None
        time.sleep(0.01)


def _note(descriptor: int, folder: Path) -> None:
    """Say who holds the lock. It holds all the same where a full disk takes no note: to delete something may be what helps."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    note = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now})
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, note.encode())
    except OSError as error:
        logger.warning("the lock of the archive at %s does not say who holds it: %s", folder, error.strerror)


def _noted(note: str) -> dict[str, Any]:
    """Who holds the lock; nothing in the moment between taking it and writing the note."""
    try:
        return dict(json.loads(note))
    except ValueError:
        return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder was killed: then only a process that it was just starting has the lock still, for a moment."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(holder["pid"], 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False
