"""Bring an archive of an earlier format to the present one, in place and without reading its videos.

The change of the tables is one transaction: a process that is killed leaves the archive in its former format, whole. What the
new tables hold is made from the stored text later, video by video (`indexing.text_index`), so that it can be continued.
"""

import sqlite3
from pathlib import Path

from rankvideo_rag.storage.database import CREATE_PASSAGES, CREATE_TEXT_TABLES, SCHEMA_VERSION, TEXT_CHANNELS, convert_errors
from rankvideo_rag.storage.lock import writer_lock

_VERSION = "SELECT value FROM meta WHERE key = 'schema_version'"
# Format 1 had full-text rows of clips. Its tables are deleted: a process that still reads format 1 must fail rather than take
# passages for clips.
_FROM_1 = (
    *(f"DROP TABLE text_{channel}" for channel in TEXT_CHANNELS),
    *(statement for statement in CREATE_PASSAGES.split(";") if statement.strip()),
    *CREATE_TEXT_TABLES,
    "ALTER TABLE videos ADD COLUMN passage_rules INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE videos ADD COLUMN text_vectors INTEGER",
    *(f"INSERT INTO meta VALUES ('{channel}_generation', '0')" for channel in TEXT_CHANNELS),
    "UPDATE meta SET value = '2' WHERE key = 'schema_version'",
)
MIGRATIONS = {1: _FROM_1}  # format -> what leads to the next one


def migrate(folder: Path, connection: sqlite3.Connection) -> None:
    """Bring the archive in `folder` to the present format, if there is a way from its own.

    Raises ArchiveLocked while another process writes it, DiskFull or ArchiveError if the disk refuses.
    """
    with writer_lock(folder), convert_errors(folder):
        connection.execute("BEGIN IMMEDIATE")
        try:
            while (version := int(connection.execute(_VERSION).fetchone()[0])) < SCHEMA_VERSION and version in MIGRATIONS:
                for statement in MIGRATIONS[version]:
                    connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise
