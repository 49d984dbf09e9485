"""Which results of a batch are done: a line for each, written after its file. Knows nothing of what the files hold.

A result is done when its line is whole, was made from the same things (the fingerprint), and its file has the bytes that
were written (the sha256): that a file exists says nothing.
"""

import fcntl
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Self

from rankvideo_rag.errors import RankVideoError
from rankvideo_rag.files import replace_file

logger = logging.getLogger(__name__)
FILE = "receipts.jsonl"


class BatchJournal:
    """The receipts of one folder, which belongs to this process until it is closed."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = open(self._folder / FILE, "ab+")  # noqa: SIM115 (closed by close)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise RankVideoError(f"another process is writing results to {folder}: wait for it, or name another") from None
        self._known = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write."""
        self._file.close()

    def done(self, name: str, fingerprint: str) -> bool:
        """Whether the file of that name is the whole result of the things that the fingerprint stands for."""
        if self._known.get(name, ("", ""))[0] != fingerprint:
            return False
        try:
            data = (self._folder / name).read_bytes()
        except FileNotFoundError:
            return False
        return hashlib.sha256(data).hexdigest() == self._known[name][1]

    def write(self, name: str, data: bytes, fingerprint: str | None) -> None:
        """Write a result, whole or not at all; with a fingerprint it is done, without it is made again at the next run."""
        replace_file(self._folder / name, data)
        if fingerprint is None:
            return
        receipt = {"file": name, "fingerprint": fingerprint, "sha256": hashlib.sha256(data).hexdigest()}
        self._file.write(json.dumps(receipt).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _read(self) -> dict[str, tuple[str, str]]:
        """File name -> fingerprint, sha256: the last word on each. A line cut off by a kill is no receipt."""
        self._file.seek(0)
        known: dict[str, tuple[str, str]] = {}
        data = self._file.read()
        for line in data.splitlines():
            try:
                receipt = json.loads(line)
                known[receipt["file"]] = (receipt["fingerprint"], receipt["sha256"])
            except (ValueError, KeyError, TypeError):
                logger.warning("%s: a line that was cut off is left aside: %r", self._folder / FILE, line[:80])
        if data and not data.endswith(b"\n"):
            self._file.write(b"\n")
        return known
