"""Garbage collection: rows without a file, stale derived files, and free space inside the database.

Indexing leaves no such rows or files; they come from killed processes, other tools and manual edits. Deletions leave free space
in the database, and their bytes stay readable in it until it is compacted.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.schema import Record
from rankvideo_rag.storage.database import DATABASE, TEXT_TABLES, convert_errors
from rankvideo_rag.storage.index_files import EXTERNAL_STATE
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import derived_files, find_faulty_files, update_index_files
from rankvideo_rag.storage.writer import open_writer

_VIDEOS = "SELECT video_id FROM videos WHERE video_id IN (SELECT video_id FROM files)"
_CLIPS = f"SELECT clip FROM clips WHERE video_id IN ({_VIDEOS})"
_PASSAGES = f"SELECT passage FROM passages WHERE clip IN ({_CLIPS})"
# Table -> condition of its orphaned rows, in the order in which they can be deleted.
_ORPHANS = {
    "vectors": f"clip NOT IN ({_CLIPS})",
    "text_vectors": f"passage NOT IN ({_PASSAGES})",
    "perceptual_hashes": f"clip NOT IN ({_CLIPS})",
    **dict.fromkeys(TEXT_TABLES.values(), f"rowid NOT IN ({_PASSAGES})"),
    "passages": f"clip NOT IN ({_CLIPS})",
    "spans": f"video_id NOT IN ({_VIDEOS})",
    "clips": f"video_id NOT IN ({_VIDEOS})",
    "videos": f"video_id NOT IN ({_VIDEOS})",
}


class DiskUsage(Record):
    """The size of an archive's parts, in bytes."""

    database: int  # with its write-ahead log
    vector_index: int
    other: int


class Garbage(NamedTuple):
    """What can be deleted."""

    rows: dict[str, int]  # table -> orphaned rows
    files: list[str]  # derived files that are stale or damaged, and unfinished ones
    free_bytes: int  # in the database, at least: only whole empty pages are counted


class GcResult(NamedTuple):
    """What was deleted, or would be."""

    garbage: Garbage
    before: DiskUsage
    after: DiskUsage | None  # None for a dry run


def collect_garbage(folder: Path, *, dry_run: bool = False) -> GcResult:
    """Delete orphaned rows and useless files, compact the database and rebuild the vector index if it was not current.

    Videos, clips, text, vectors and outcomes of the archive's files are the same afterwards, and no file of the archive holds
    bytes of removed videos any more. A dry run changes nothing.

    Raises ArchiveLocked if another process writes the archive, DiskFull if there is no room for a second copy of the database.
    """
    with closing(Store.open(folder, migrate=True)) as store:
        before = disk_usage(folder)
        with open_writer(store) as writer:
            garbage = Garbage(count_orphans(store.connection), _useless_files(store), _free_bytes(store.connection))
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
    """Return the size of an archive's parts."""
    sizes = {file: file.stat().st_size for file in folder.iterdir() if file.is_file()}
    database = sum(size for file, size in sizes.items() if file.name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"))
    derived = {folder / EXTERNAL_STATE, *(path for file in derived_files(folder) for path in (file, file.with_suffix(".json")))}
    vector_index = sum(size for file, size in sizes.items() if file in derived)
    return DiskUsage(database=database, vector_index=vector_index, other=sum(sizes.values()) - database - vector_index)


def count_orphans(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the number of orphaned rows of each table."""
    return {
        table: connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()[0]
        for table, condition in _ORPHANS.items()
    }


def delete_orphans(connection: sqlite3.Connection) -> None:
    """Delete orphaned rows, in the caller's transaction."""
    for table, condition in _ORPHANS.items():
        connection.execute(f"DELETE FROM {table} WHERE {condition}")


def _useless_files(store: Store) -> list[str]:
    return sorted(file.name for file in [*find_faulty_files(store), *store.folder.glob(f"{DATABASE}.new*")])


def _free_bytes(connection: sqlite3.Connection) -> int:
    pages, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return int(pages * size)
