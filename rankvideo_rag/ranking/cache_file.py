"""An SQLite file of checksummed key-value tables, shared by threads and processes, and replaced by a new one when damaged."""

import fcntl
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from rankvideo_rag.errors import InputError

logger = logging.getLogger(__name__)
T = TypeVar("T")

_APPLICATION = 0x52565343  # "RVSC" in the file's header
_VERSION = 1
_TABLES = ("scores", "contents")
_WAIT = 10.0  # seconds to wait for another process to finish writing
_SUFFIXES = ("-wal", "-shm")  # SQLite's own files beside the main one
# The file is intact but cannot be used now: full disk, no permission, locked for too long. Any other error means damage.
_UNUSABLE = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)
_parent_connections: list[sqlite3.Connection] = []  # after a fork: closing them here would disturb the parent's file


class CacheUnusable(Exception):
    """The file cannot be read or written now, though it may be intact."""


class _DamagedFile(Exception):
    """The file holds bytes that were not written by us."""


class CacheFile:
    """Key-value tables, created at the first use. After a fork the child opens the file itself; it is pickled as its path."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0  # of the file that the connection has open
        self._process = os.getpid()
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[type["CacheFile"], tuple[Path]]:
        return CacheFile, (self.path,)

    def read(self, table: str, key: bytes) -> bytes | None:
        """Return the value of a key, if there is one and its checksum matches."""

        def select(connection: sqlite3.Connection) -> bytes | None:
            for value, checksum in connection.execute(f"SELECT value, checksum FROM {table} WHERE key = ?", (key,)):
                if not isinstance(value, bytes) or checksum != _checksum(key, value):
                    raise _DamagedFile("a row does not match its checksum")
                return value
            return None

        return self._do(select)

    def write(self, table: str, key: bytes, value: bytes) -> None:
        """Store a value under a key."""
        row = (key, value, _checksum(key, value))
        self.run(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", row)

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a statement."""
        return self._do(lambda connection: connection.execute(statement, values).fetchall())

    def size(self) -> int:
        """Return the bytes on disk."""
        files = (self.path.with_name(self.path.name + suffix) for suffix in ("", *_SUFFIXES))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._locked():
            self._disconnect()

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do the work; where that shows damage, on a new file. Raises CacheUnusable; InputError for another program's file."""
        with self._locked():
            try:
                return self._attempt(work)
            except _DamagedFile as damage:
                self._rename_damaged(str(damage))
            try:
                return self._attempt(work)
            except _DamagedFile as damage:
                raise CacheUnusable(f"a new file is damaged too: {damage}") from damage

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._open())
        except OSError as error:
            raise CacheUnusable(str(error)) from error
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNUSABLE:  # the lower byte of an extended code
                self._disconnect()
                raise CacheUnusable(str(error)) from error
            raise _DamagedFile(str(error)) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Allow one thread at a time."""
        if self._process != os.getpid():  # forked: lock and connection are copies of the parent's
            if self._connection is not None:
                _parent_connections.append(self._connection)
            self._connection, self._lock, self._process = None, threading.RLock(), os.getpid()
        with self._lock:
            yield

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            # Private to the user: the file, and its folder where that is new.
            self.path.parent.parent.mkdir(parents=True, exist_ok=True)
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            with self._exclusive():
                self._inode = _inode(self.path)
                connection = _connect(self.path)
                try:
                    self._prepare(connection)
                except BaseException:
                    connection.close()
                    raise
                self._connection = connection
        return self._connection

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Keep other processes, and other objects of this one, from opening or renaming the file meanwhile."""
        with open(self.path.with_name(f"{self.path.name}.lock"), "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and application != _APPLICATION:
            raise InputError(f"{self.path} is another database, not a score cache: name another file")
        if version > _VERSION:
            raise InputError(f"the score cache {self.path} was made by a newer version of rankvideo: name another file")
        if not tables:
            connection.execute("PRAGMA journal_mode = WAL")
        # NORMAL: a power failure may lose the last rows, but does not damage the file.
        connection.execute("PRAGMA synchronous = NORMAL")
        if application != _APPLICATION:
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        for table in _TABLES:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, value BLOB, checksum BLOB) WITHOUT ROWID"
            )

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rename_damaged(self, found: str) -> None:
        """Rename the damaged file, unless another process did so already."""
        self._disconnect()
        with self._exclusive():
            if not self.path.exists() or self.path.stat().st_ino != self._inode:
                return
            damaged = self.path.with_name(f"{self.path.name}.damaged")
            for suffix in (*_SUFFIXES, ""):
                file = self.path.with_name(self.path.name + suffix)
                if file.exists():
                    file.replace(damaged.with_name(damaged.name + suffix))
        logger.warning(
            "the score cache %s is damaged (%s): renamed to %s, scores are computed again", self.path, found, damaged
        )


def _inode(path: Path) -> int:
    """Return the file's inode number; create an empty file where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        # An existing file is never opened here: closing it would release the locks that SQLite holds for this process.
        made = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            return os.fstat(made).st_ino
        finally:
            os.close(made)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _checksum(key: bytes, value: bytes) -> bytes:
    digest = hashlib.sha256(len(key).to_bytes(8, "big"))
    digest.update(key)
    digest.update(value)
    return digest.digest()[:16]
