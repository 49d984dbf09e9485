"""Append-only JSON Lines files that survive kills, so that a run that was stopped continues where it was.

A file is an optional header (what was given to the run), then one line for each finished item. Lines are flushed to the disk
before `append` returns. A last line without a newline was cut off by a kill: it is removed, and its item is done again.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Generic, NamedTuple, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from rankvideo_rag.errors import InputError, RankVideoError

logger = logging.getLogger(__name__)

Line = TypeVar("Line")
Header = Mapping[str, Any]  # JSON values


class Contents(NamedTuple, Generic[Line]):
    """What a file holds."""

    header: Header | None  # None: the file is empty, or has no header
    lines: list[Line]
    size: int  # bytes up to the last newline


def read_resumable(path: str | Path, kind: TypeAdapter[Line], *, has_header: bool = True) -> Contents[Line]:
    """Read a file without changing it; a last line that was cut off is left out, with a warning.

    Raises InputError, with the line's number, for a line that is not of this kind.
    """
    return _parse(Path(path), Path(path).read_bytes(), kind, has_header=has_header)


class ResumableJsonl(Generic[Line]):
    """A file that this process alone appends to until it is closed. `lines` are those of earlier runs and of this one.

    With `header` the file begins with it; one that was begun with another header is refused. Raises InputError for that and
    for a damaged line, RankVideoError when another process has the file open.
    """

    def __init__(self, path: str | Path, kind: TypeAdapter[Line], *, header: Header | None = None) -> None:
        self.path = Path(path)
        self._kind = kind
        self._file = _open_exclusively(self.path)
        try:
            self.lines = self._resume(header)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let other processes append."""
        self._file.close()

    def append(self, *lines: Line) -> None:
        """Write lines; once this returns, they are on the disk."""
        self.lines += lines
        write_to_disk(self._file, b"".join(self._kind.dump_json(line) + b"\n" for line in lines))

    def _resume(self, header: Header | None) -> list[Line]:
        self._file.seek(0)
        found = _parse(self.path, self._file.read(), self._kind, has_header=header is not None)
        self._file.truncate(found.size)
        if header is not None and found.header is None:
            write_to_disk(self._file, json.dumps(header).encode() + b"\n")
        elif header is not None and found.header is not None:
            check_header(self.path, found.header, header)
        return found.lines


def fingerprint(*values: Any) -> str:
    """Return 16 hex digits that identify JSON-serializable values, such as the inputs of an item."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def check_header(path: str | Path, found: Header, expected: Header) -> None:
    """Raise InputError, naming what differs, unless a file's header is the expected one."""
    expected = json.loads(json.dumps(expected))  # as it is read back: tuples are lists
    names = [*expected, *(name for name in found if name not in expected)]
    pairs = {name: (found.get(name), expected.get(name)) for name in names}
    differences = [f"{name} was {before!r} and is {now!r}" for name, (before, now) in pairs.items() if before != now]
    if differences:
        raise InputError(
            f"{path} was begun with other options ({'; '.join(differences)}): use the same options, or name another file"
        )


def write_to_disk(file: BinaryIO, data: bytes | bytearray) -> None:
    """Write data and wait until it is on the disk."""
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _open_exclusively(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "ab+")  # noqa: SIM115 (closed by ResumableJsonl.close)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RankVideoError(f"another process is writing {path}: wait for it, or name another file") from None
    return file


def _parse(path: Path, data: bytes, kind: TypeAdapter[Line], *, has_header: bool) -> Contents[Line]:
    whole, newline, torn = data.rpartition(b"\n")
    if torn:
        logger.warning("%s: the last line was cut off and is ignored: %r", path, torn[:80])
    rows = whole.split(b"\n") if newline else []
    numbers = range(1, len(rows) + 1)
    header = _parse_line(path, 1, rows[0], _HEADER) if has_header and rows else None
    skipped = int(has_header)
    lines = [_parse_line(path, *row, kind) for row in zip(numbers[skipped:], rows[skipped:], strict=True)]
    return Contents(header, lines, len(whole) + len(newline))


_HEADER: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


def _parse_line(path: Path, number: int, row: bytes, kind: TypeAdapter[Line]) -> Line:
    try:
        return kind.validate_json(row)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{path}, line {number} is damaged ({place}{': ' if place else ''}{first['msg']}): delete the file to start over"
        ) from error
