"""What an archive still holds although nothing refers to it, and giving its space back to the disk.

A run leaves none of it by itself: it comes from crashes of other tools, older versions and edits by hand. What deletions leave
is space inside the database, and bytes in it that are no more read: both go when it is compacted. Knows no media.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.schema import Record
from rankvideo_rag.storage.index_files import EXTERNAL_STATE
from rankvideo_rag.storage.storage_errors import convert_errors
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.tables import DATABASE, TEXT_TABLES
from rankvideo_rag.storage.vector_index import derived_files, find_fault, update_index_files
from rankvideo_rag.storage.writer import open_writer

_HELD = "SELECT video_id FROM videos WHERE video_id IN (SELECT video_id FROM files)"
_CLIPS = f"SELECT clip FROM clips WHERE video_id IN ({_HELD})"
# Table -> which of its rows nothing refers to, in the order in which they can be deleted.
_ORPHANS = {
    "vectors": f"clip NOT IN ({_CLIPS})",
    "perceptual_hashes": f"clip NOT IN ({_CLIPS})",
    **dict.fromkeys(TEXT_TABLES.values(), f"rowid NOT IN ({_CLIPS})"),
    "spans": f"video_id NOT IN ({_HELD})",
    "clips": f"video_id NOT IN ({_HELD})",
    "videos": f"video_id NOT IN ({_HELD})",
}


class DiskUsage(Record):
    """What an archive takes on disk, in bytes."""

    database: int  # with its write-ahead log
    vector_index: int
    other: int


class Garbage(NamedTuple):
    """What there was, or is."""

    rows: dict[str, int]  # table -> rows that nothing refers to
    files: list[str]  # derived files that are stale or damaged, and pieces that a crash left
    free_bytes: int  # of the database, at least: those of whole pages that deletions have emptied


class GcResult(NamedTuple):
    """What was collected, or would be."""

    garbage: Garbage
    before: DiskUsage
    after: DiskUsage | None  # None for a dry run


def collect_garbage(folder: Path, *, dry_run: bool = False) -> GcResult:
    """Delete what nothing refers to and give the space back; a dry run only counts. Nobody else may write meanwhile."""
    with closing(Store.open(folder)) as store:
        before = disk_usage(folder)
        with open_writer(store) as writer:
            garbage = Garbage(orphans(store.connection), _useless_files(store), _free_bytes(store.connection))
            if dry_run:
                return GcResult(garbage, before, None)
            if any(garbage.rows.values()):
                with writer.maintenance(vectors_changed=True) as connection:
                    delete_orphans(connection)
            for name in garbage.files:
                with convert_errors(folder):
                    (folder / name).unlink(missing_ok=True)
            writer.compact()
        update_index_files(store)
        return GcResult(garbage, before, disk_usage(folder))


def disk_usage(folder: Path) -> DiskUsage:
    """What an archive takes on disk, by part."""
    found = {file: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    database = sum(size for file, size in found.items() if file.name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"))
    derived = {*derived_files(folder), *(file.with_suffix(".json") for file in derived_files(folder))}
    derived.add(folder / EXTERNAL_STATE)
    vector_index = sum(size for file, size in found.items() if file in derived)
    return DiskUsage(database=database, vector_index=vector_index, other=sum(found.values()) - database - vector_index)


def orphans(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows of each table nothing refers to."""
    return {
        table: connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]
        for table, condition in _ORPHANS.items()
    }


def delete_orphans(connection: sqlite3.Connection) -> None:
    """Delete them, in the caller's transaction."""
    for table, condition in _ORPHANS.items():
        connection.execute(f"DELETE FROM {table} WHERE {condition}")


def _useless_files(store: Store) -> list[str]:
    stale = [file for file in derived_files(store.folder) if find_fault(file, store.generation)]
    pieces = list(store.folder.glob(f"{DATABASE}.new*"))
    return sorted(file.name for file in [*stale, *pieces])


def _free_bytes(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return int(pages * size)
