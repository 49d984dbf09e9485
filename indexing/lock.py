"""One writer at a time: an advisory lock on a file of the archive, which the kernel frees when its holder dies."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rankvideo_rag.errors import ArchiveLocked


@contextmanager
def writer_lock(folder: Path) -> Iterator[None]:
    """Hold the writer's lock of an archive. Raises ArchiveLocked at once when another process holds it, saying which."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "writer.lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ArchiveLocked(f"the archive at {folder} is being written by {_holder(file.read())}: wait for it") from None
        file.truncate(0)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}))
        file.flush()
        yield


def _holder(note: str) -> str:
    # Between taking the lock and writing the note there is a moment in which the note is empty.
    if not note:
        return "another process"
    holder = json.loads(note)
    return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
