"""Bringing an archive of an older format up to this one, in one transaction: it is done whole or not at all.

From 1 to 2: words are cleaned and indexed anew from the timed words that are stored, so that scripts without spaces are found;
inputs, removals and the state of subtitle files are remembered from now on. From 2 to 3: words may have times of their own, and
a language; those that are stored have none until their video is read anew. No media file is opened.
"""

import logging
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from rankvideo_rag.errors import ArchiveError, ArchiveMismatch
from rankvideo_rag.storage.lock import writer_lock
from rankvideo_rag.storage.tables import (
    CREATE_TEXT_TABLES,
    FILES_OF_SIZE,
    LANGUAGE,
    PICTURES,
    REMOVED,
    SCHEMA_VERSION,
    SOURCES,
    TIMED_WORDS,
)
from rankvideo_rag.storage.text_rows import index_text
from rankvideo_rag.text import clean

logger = logging.getLogger(__name__)

OLDEST = 1
_ONE_TO_TWO = (
    SOURCES,
    REMOVED,
    PICTURES,
    "ALTER TABLE videos ADD COLUMN sidecars TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE videos ADD COLUMN vectors INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE videos ADD COLUMN work_seconds REAL",
    "UPDATE videos SET vectors = (SELECT count(*) FROM clips c JOIN vectors USING (clip) WHERE c.video_id = videos.video_id)",
    "ALTER TABLE files ADD COLUMN sidecars TEXT NOT NULL DEFAULT ''",
    FILES_OF_SIZE,
    "DROP TABLE words",
    *CREATE_TEXT_TABLES,
)
_TWO_TO_THREE = (f"ALTER TABLE spans ADD COLUMN {LANGUAGE}", f"ALTER TABLE spans ADD COLUMN {TIMED_WORDS}")


def migrate(folder: Path, connection: sqlite3.Connection) -> None:
    """Bring the archive in `folder` to SCHEMA_VERSION. Raises ArchiveMismatch where that cannot be done, saying why.

    Whoever reads it meanwhile goes on reading the old state.
    """
    try:
        with writer_lock(folder):
            connection.execute("BEGIN IMMEDIATE")
            try:
                was = _version(connection)  # the present one, where another process has done it since
                if was < 3:
                    _all(connection, _TWO_TO_THREE)
                if was < 2:
                    _one_to_two(connection)
                connection.execute(f"UPDATE meta SET value = '{SCHEMA_VERSION}' WHERE key = 'schema_version'")
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
    except (sqlite3.OperationalError, ArchiveError) as error:
        raise ArchiveMismatch(
            f"the archive at {folder} has an older format and has to be brought to format {SCHEMA_VERSION} once, which "
            f"failed: {error}. It is as it was. Open it where it can be written and has room: rankvideo info {folder}"
        ) from error


def _one_to_two(connection: sqlite3.Connection) -> None:
    logger.info("indexing the words of an archive of format 1 anew")
    _all(connection, _ONE_TO_TWO)
    clean_texts(connection)
    for (video_id,) in connection.execute("SELECT video_id FROM videos ORDER BY video_id").fetchall():
        index_text(connection, video_id)


def _all(connection: sqlite3.Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.execute(statement)


def clean_texts(connection: sqlite3.Connection) -> int:
    """Clean every stored word and title as it would be cleaned today; how many were not clean."""
    changed = 0
    for table, column in (("spans", "text"), ("videos", "title")):
        for number, text in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            if (cleaned := clean(text)) != text:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (cleaned, number))
                changed += 1
    connection.execute("DELETE FROM spans WHERE text = ''")
    return changed


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()[0])
