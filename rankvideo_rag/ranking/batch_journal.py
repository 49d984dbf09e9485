"""Record which result files of a batch are complete: one line for each, written after its file."""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter

from rankvideo_rag.files import replace_file
from rankvideo_rag.formats.resumable_jsonl import ResumableJsonl
from rankvideo_rag.schema import Record

FILE = "journal.jsonl"


class JournalEntry(Record):
    """One complete result file."""

    file: str
    fingerprint: str  # of what the result was computed from
    sha256: str  # of the file's bytes


class BatchJournal:
    """The journal of one folder, which this process alone writes to until it is closed.

    Raises RankVideoError when another process writes to the folder.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._log = ResumableJsonl(self._folder / FILE, TypeAdapter(JournalEntry))
        self._entries = {entry.file: entry for entry in self._log.lines}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._log.close()

    def is_done(self, name: str, fingerprint: str) -> bool:
        """Return whether the file of that name is complete, unchanged, and was computed from the same things."""
        entry = self._entries.get(name)
        if entry is None or entry.fingerprint != fingerprint:
            return False
        try:
            return hashlib.sha256((self._folder / name).read_bytes()).hexdigest() == entry.sha256
        except FileNotFoundError:
            return False

    def write(self, name: str, data: bytes, fingerprint: str | None) -> None:
        """Write a result file atomically. With a fingerprint it is done; without one the next run computes it again."""
        replace_file(self._folder / name, data)
        if fingerprint is not None:
            sha256 = hashlib.sha256(data).hexdigest()
            self._log.append(JournalEntry(file=name, fingerprint=fingerprint, sha256=sha256))
