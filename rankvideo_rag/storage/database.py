"""archive.db: its tables, connections to it, and errors of the disk below it."""

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from rankvideo_rag.errors import ArchiveError, DiskFull
from rankvideo_rag.schema import TextChannel
from rankvideo_rag.storage.full_text import TOKENIZER

SCHEMA_VERSION = 2
DATABASE = "archive.db"
TEXT_CHANNELS: tuple[TextChannel, ...] = get_args(TextChannel)

# Passages as `full_text.normalize` returns them, by number: one table per channel, as BM25 compares the length of a row with
# the mean of its table, and signs are shorter than speech.
TEXT_TABLES = {channel: f"passages_{channel}" for channel in TEXT_CHANNELS}
CREATE_TEXT_TABLES = tuple(
    f'CREATE VIRTUAL TABLE {table} USING fts5 (text, tokenize = "{TOKENIZER}")' for table in TEXT_TABLES.values()
)

# passages.clip: the clip that holds most of the passage. A passage of a deleted video leaves no number to be used again.
CREATE_PASSAGES = """CREATE TABLE passages (
  passage INTEGER PRIMARY KEY AUTOINCREMENT, clip INTEGER NOT NULL REFERENCES clips ON DELETE CASCADE,
  video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, channel TEXT NOT NULL,
  start REAL NOT NULL, "end" REAL NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX passages_of_clip ON passages (clip);
CREATE INDEX passages_of_video ON passages (video_id);
CREATE TABLE text_vectors (passage INTEGER PRIMARY KEY REFERENCES passages ON DELETE CASCADE, vector BLOB NOT NULL) STRICT;
"""

# sources: the inputs of the archive. removed: content that stays out until it is indexed by name.
# videos.config_hash, files.config_hash: fingerprint of the index config; '' marks what must be indexed again.
# files.sidecars: state of the subtitle files beside a path; videos.sidecars: of those that its text came from.
# videos.vectors: how many of its clips got a vector. videos.passage_rules: how its passages were made; 0 before they are.
# videos.text_vectors: how many of its passages got a vector; NULL before the text embedder was given all of them.
# spans.words: [[text, start, end], ...] where words are timed.
CREATE_TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE sources (path BLOB PRIMARY KEY) STRICT;
CREATE TABLE removed (video_id TEXT PRIMARY KEY) STRICT;
CREATE TABLE videos (
  video_id TEXT PRIMARY KEY, title TEXT NOT NULL, probe TEXT NOT NULL, config_hash TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT, sidecars TEXT NOT NULL DEFAULT '', vectors INTEGER NOT NULL DEFAULT 0, work_seconds REAL,
  passage_rules INTEGER NOT NULL DEFAULT 0, text_vectors INTEGER
) STRICT;
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  video_id TEXT REFERENCES videos ON DELETE SET NULL, outcome TEXT NOT NULL, reason TEXT, config_hash TEXT NOT NULL,
  sidecars TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX files_of_video ON files (video_id);
CREATE INDEX files_of_size ON files (size);
CREATE TABLE clips (
  clip INTEGER PRIMARY KEY AUTOINCREMENT, clip_id TEXT NOT NULL UNIQUE,
  video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, start REAL NOT NULL, "end" REAL NOT NULL
) STRICT;
CREATE INDEX clips_of_video ON clips (video_id);
CREATE VIEW clip_facts AS
  SELECT clip, clip_id, c.video_id, title, start, "end", json_extract(probe, '$.duration') AS duration,
    CAST((SELECT min(path) FROM files f WHERE f.video_id = c.video_id) AS TEXT) AS file_path
  FROM clips c JOIN videos USING (video_id);
CREATE TABLE spans (
  video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, channel TEXT NOT NULL, text TEXT NOT NULL,
  start REAL NOT NULL, "end" REAL NOT NULL, source TEXT NOT NULL, confidence REAL,
  language TEXT, words TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE INDEX spans_of_video ON spans (video_id, start);
CREATE TABLE vectors (clip INTEGER PRIMARY KEY REFERENCES clips ON DELETE CASCADE, vector BLOB NOT NULL) STRICT;
CREATE TABLE perceptual_hashes (clip INTEGER PRIMARY KEY REFERENCES clips ON DELETE CASCADE, hash BLOB NOT NULL) STRICT;
{CREATE_PASSAGES}
{"; ".join(CREATE_TEXT_TABLES)};
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open a connection that threads may share; transactions begin and end explicitly.

    In a folder that cannot be written, SQLite makes no lock and no log. A database that no process is writing is opened as
    immutable there, otherwise with the log of the writer. Raises ArchiveError if a log is left that cannot be read.
    """
    name = str(path)
    if is_read_only := not os.access(path.parent, os.W_OK):
        name = f"{path.absolute().as_uri()}?mode=ro{'' if has_log(path) else '&immutable=1'}"
    connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False, timeout=30, uri=is_read_only)
    connection.execute("PRAGMA foreign_keys = ON")
    if is_read_only and has_log(path):
        _check_log(path, connection)
    return connection


def has_log(path: Path) -> bool:
    """Return whether there are changes to a database that are not in its file yet."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def immutable_state(path: Path) -> tuple[int, int] | None:
    """Return the time (ns) and size (bytes) of a database that `connect` opens as immutable; None for another."""
    if os.access(path.parent, os.W_OK) or has_log(path):
        return None
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _check_log(path: Path, connection: sqlite3.Connection) -> None:
    try:
        connection.execute("PRAGMA schema_version")
    except sqlite3.OperationalError as error:
        connection.close()
        raise ArchiveError(
            f"{path.parent} cannot be written, and the last changes to {path.name} are still in {path.name}-wal ({error}). "
            f"Open the archive once where it can be written: rankvideo info {path.parent}"
        ) from error


@contextmanager
def convert_errors(folder: Path) -> Iterator[None]:
    """Turn errors of SQLite or the system while writing under `folder` into ArchiveError, or DiskFull."""
    try:
        yield
    except (sqlite3.OperationalError, OSError) as error:
        existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        raise (DiskFull if _is_disk_full(error) else ArchiveError)(
            f"writing the archive at {folder} failed: {error}. {shutil.disk_usage(existing).free:,} bytes are free there. "
            f"What was committed before is safe; free some space and run the same command again to continue."
        ) from error


def is_disk_error(error: sqlite3.Error) -> bool:
    """Return whether SQLite failed because of the disk, not because of the file's content."""
    return _primary_code(error) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _is_disk_full(error: sqlite3.OperationalError | OSError) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return _primary_code(error) == sqlite3.SQLITE_FULL


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
