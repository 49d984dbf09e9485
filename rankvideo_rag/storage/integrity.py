"""Integrity check of an archive: database, references, texts, full-text index, vectors and derived files.

Derived data can be rebuilt at once; what came from a video is marked, and `rankvideo update` indexes that video again.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rankvideo_rag.schema import Record
from rankvideo_rag.storage.database import CREATE_TEXT_TABLES, TEXT_TABLES, convert_errors
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.storage.gc import count_orphans, delete_orphans
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.passages import PASSAGE_RULES
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.text_rows import PassageRow, index_text, make_passages, read_passages, write_full_text
from rankvideo_rag.storage.vector_index import find_faulty_files, update_index_files
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer
from rankvideo_rag.text import clean

_MAX_PROBLEMS = 20  # reported by one check
_UNIT_LENGTH = (0.99, 1.01)  # of a unit vector rounded to float16
_BATCH = 4096  # vectors

_TEXT_COLUMNS = (("spans", "text"), ("videos", "title"))
_DANGLING_FILES = "video_id NOT IN (SELECT video_id FROM videos)"
_MISSING_VECTORS = """
SELECT v.video_id, v.vectors, count(x.clip) FROM videos v LEFT JOIN clips USING (video_id) LEFT JOIN vectors x USING (clip)
WHERE v.config_hash <> '' GROUP BY v.video_id HAVING count(x.clip) <> v.vectors
"""
_WITHOUT_CLIPS = "SELECT video_id FROM videos WHERE config_hash <> '' AND video_id NOT IN (SELECT video_id FROM clips)"


class IntegrityProblem(Record):
    """Something in an archive that is not as it should be."""

    check: str
    problem: str
    fix: str
    repaired: bool = False


class _Check(NamedTuple):
    """A check for one kind of problem; `repair` rebuilds what can be derived."""

    name: str
    find: Callable[[Store], Iterator[str]]
    fix: str
    repair: Callable[[ArchiveWriter, Store], None] | None = None


def check_integrity(folder: Path, *, repair: bool = False) -> list[IntegrityProblem]:
    """Return every problem of the archive at `folder`, at most 20 per check; with `repair`, fix what can be derived.

    An empty list means: every row refers to existing rows, every text is clean and in the full-text index, every vector has the
    embedder's size and length, and every derived file matches the database byte by byte. Repairing loses no text and no vector
    that was right; videos with wrong vectors are marked for `rankvideo update`.

    Raises ArchiveError if the archive cannot be opened, ArchiveLocked if another process writes it.
    """
    with closing(Store.open(folder, migrate=True)) as store, open_writer(store) as writer:
        return [problem for check in _CHECKS for problem in _run(check, store, writer if repair else None)]


def _run(check: _Check, store: Store, writer: ArchiveWriter | None) -> list[IntegrityProblem]:
    problems = left = _find(check, store)
    if problems and writer and check.repair:
        check.repair(writer, store)
        left = _find(check, store)
    return [IntegrityProblem(check=check.name, problem=p, fix=check.fix, repaired=p not in left) for p in problems]


def _find(check: _Check, store: Store) -> list[str]:
    try:
        return list(islice(check.find(store), _MAX_PROBLEMS))
    except sqlite3.DatabaseError as error:
        return [f"cannot be checked: {error}"]


def _find_database_errors(store: Store) -> Iterator[str]:
    for (line,) in store.connection.execute(f"PRAGMA integrity_check({_MAX_PROBLEMS})"):
        if line != "ok":
            yield str(line)


def _find_config_errors(store: Store) -> Iterator[str]:
    try:
        IndexConfig.model_validate(store.index_config)
    except ValueError as error:
        yield f"the index config cannot be read: {error}"


def _readable_config(store: Store) -> IndexConfig | None:
    try:
        return IndexConfig.model_validate(store.index_config)
    except ValueError:
        return None


def _find_orphans(store: Store) -> Iterator[str]:
    for table, rows in count_orphans(store.connection).items():
        if rows:
            yield f"{rows} rows of {table} belong to no file"
    (files,) = store.connection.execute(f"SELECT count(*) FROM files WHERE {_DANGLING_FILES}").fetchone()
    if files:
        yield f"{files} files belong to a video that does not exist"


def _repair_references(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=True) as connection:
        delete_orphans(connection)
        connection.execute(f"UPDATE files SET video_id = NULL, config_hash = '' WHERE {_DANGLING_FILES}")


def _find_unclean_texts(store: Store) -> Iterator[str]:
    for table, column in _TEXT_COLUMNS:
        unclean = sum(clean(text) != text for (text,) in store.connection.execute(f"SELECT {column} FROM {table}"))
        if unclean:
            yield f"{unclean} texts in {table} have invisible characters or control tokens"


def _clean_texts(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=False) as connection:
        for table, column in _TEXT_COLUMNS:
            for row, text in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                if (cleaned := clean(text)) != text:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (cleaned, row))
        connection.execute("DELETE FROM spans WHERE text = ''")


def _find_full_text_errors(store: Store) -> Iterator[str]:
    for channel, table in TEXT_TABLES.items():
        try:
            store.connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"the full-text index of {channel} contradicts its own rows ({error})"


def _find_old_passages(store: Store) -> Iterator[str]:
    if videos := store.videos_without_passages():
        yield f"the text of {len(videos)} videos is not indexed as this version does it"


def _find_wrong_passages(store: Store) -> Iterator[str]:
    current = "SELECT video_id FROM videos WHERE passage_rules = ? ORDER BY video_id"
    for (video_id,) in store.connection.execute(current, (PASSAGE_RULES,)).fetchall():
        stored = read_passages(store.connection, video_id)
        wrong = set(stored.values()) ^ set(make_passages(store.connection, video_id))
        if wrong:
            yield f"{len(wrong)} passages of video {video_id} differ from its text"
        if differ := {n for n, row in stored.items() if _indexed_text(store, n, row) != normalize(row.passage.text)}:
            yield f"the full-text index differs from the text of {len(differ)} passages of video {video_id}"


def _indexed_text(store: Store, number: int, row: PassageRow) -> str | None:
    sql = f"SELECT text FROM {TEXT_TABLES[row.passage.channel]} WHERE rowid = ?"
    found = store.connection.execute(sql, (number,)).fetchone()
    return found[0] if found else None


def _rebuild_full_text(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=False) as connection:
        for table in TEXT_TABLES.values():
            connection.execute(f"DROP TABLE {table}")
        for statement in CREATE_TEXT_TABLES:
            connection.execute(statement)
        for video_id in _video_ids(store):
            index_text(connection, video_id)
            for number, row in read_passages(connection, video_id).items():
                write_full_text(connection, number, row.passage)


def _find_vector_errors(store: Store) -> Iterator[str]:
    for video_id, clips in _bad_vectors(store).items():
        yield f"{len(clips)} vectors of video {video_id} have a wrong size or length"
    for video_id, expected, found in store.connection.execute(_MISSING_VECTORS).fetchall():
        yield f"video {video_id} has {found} of its {expected} vectors"
    for (video_id,) in store.connection.execute(_WITHOUT_CLIPS).fetchall():
        yield f"video {video_id} has no clips"


def _find_text_vector_errors(store: Store) -> Iterator[str]:
    if videos := _bad_text_vectors(store):
        yield f"vectors of passages of {len(videos)} videos are missing, or have a wrong size or length"


def _bad_text_vectors(store: Store) -> set[str]:
    """Return the videos that have not as many right vectors of passages as are recorded."""
    if (config := _readable_config(store)) is None:
        return set()  # reported by the check of the index config
    embedder = config.text_embedder
    rows = store.connection.execute("SELECT video_id, vector FROM text_vectors JOIN passages USING (passage)")
    right, wrong = Counter[str](), set[str]()
    while batch := rows.fetchmany(_BATCH):
        for video_id, data in batch:
            if embedder and _is_vector(data, embedder.dim, unit=True):
                right[video_id] += 1
            else:
                wrong.add(video_id)
    recorded = store.connection.execute("SELECT video_id, text_vectors FROM videos WHERE text_vectors IS NOT NULL").fetchall()
    return wrong | {video_id for video_id, count in recorded if right[video_id] != count}


def _delete_text_vectors(writer: ArchiveWriter, store: Store) -> None:
    bad = [(video_id,) for video_id in _bad_text_vectors(store)]
    with writer.maintenance(vectors_changed=True) as connection:
        passages = "SELECT passage FROM passages WHERE video_id = ?"
        connection.executemany(f"DELETE FROM text_vectors WHERE passage IN ({passages})", bad)
        connection.executemany("UPDATE videos SET text_vectors = NULL WHERE video_id = ?", bad)


def _find_unembedded_text(store: Store) -> Iterator[str]:
    if store.index_config.get("text_embedder") and (videos := store.videos_without_text_vectors()):
        yield f"the text of {len(videos)} videos is not embedded yet"


def _mark_videos(writer: ArchiveWriter, store: Store) -> None:
    bad = _bad_vectors(store)
    affected = {row[0] for sql in (_MISSING_VECTORS, _WITHOUT_CLIPS) for row in store.connection.execute(sql)} | set(bad)
    with writer.maintenance(vectors_changed=True) as connection:
        connection.executemany("DELETE FROM vectors WHERE clip = ?", [(clip,) for clips in bad.values() for clip in clips])
        for table in ("videos", "files"):
            mark = f"UPDATE {table} SET config_hash = '' WHERE video_id = ?"
            connection.executemany(mark, [(video_id,) for video_id in affected])


def _bad_vectors(store: Store) -> dict[str, list[int]]:
    """Return video -> clips whose vector has not the embedder's size, or not length 1 although it should."""
    found: dict[str, list[int]] = {}
    if (config := _readable_config(store)) is None:
        return found  # reported by the check of the index config
    embedder = config.embedder
    rows = store.connection.execute("SELECT video_id, clip, vector FROM vectors JOIN clips USING (clip) ORDER BY clip")
    while batch := rows.fetchmany(_BATCH):
        for video_id, clip, data in batch:
            if not _is_vector(data, embedder.dim, unit=embedder.normalized):
                found.setdefault(video_id, []).append(clip)
    return found


def _is_vector(data: bytes, dim: int, *, unit: bool) -> bool:
    if len(data) != 2 * dim:
        return False
    norm = float(np.linalg.norm(np.frombuffer(data, dtype=np.float16).astype(np.float32)))
    return bool(np.isfinite(norm)) and norm > 0 and (not unit or _UNIT_LENGTH[0] <= norm <= _UNIT_LENGTH[1])


def _find_marked_files(store: Store) -> Iterator[str]:
    marked = "SELECT count(*), min(path) FROM files WHERE config_hash = ''"
    files, first = store.connection.execute(marked).fetchone()
    if files:
        yield f"{files} files are marked to be indexed again, the first {os.fsdecode(first)!r}"


def _find_faulty_files(store: Store) -> Iterator[str]:
    for file, fault in find_faulty_files(store).items():
        yield f"{file.name} {fault}"


def _rebuild_derived_files(writer: ArchiveWriter, store: Store) -> None:
    for file in find_faulty_files(store):
        with convert_errors(store.folder):
            file.unlink()
    update_index_files(store)


def _video_ids(store: Store) -> list[str]:
    return [row[0] for row in store.connection.execute("SELECT video_id FROM videos ORDER BY video_id").fetchall()]


_REPAIR = "rankvideo doctor ARCHIVE --repair"
_REINDEX = "rankvideo update ARCHIVE indexes them again"
_CHECKS = (
    _Check("database", _find_database_errors, "restore a backup, or index the videos again into another folder"),
    _Check("index config", _find_config_errors, "index the videos again into another folder: the settings are lost"),
    _Check("references", _find_orphans, f"{_REPAIR} deletes orphaned rows", _repair_references),
    _Check("texts", _find_unclean_texts, f"{_REPAIR} cleans them", _clean_texts),
    _Check("full-text index", _find_full_text_errors, f"{_REPAIR} rebuilds it from the stored text", _rebuild_full_text),
    _Check("passages", _find_wrong_passages, f"{_REPAIR} makes them from the stored text again", _rebuild_full_text),
    _Check("former passages", _find_old_passages, f"{_REPAIR}, or rankvideo update ARCHIVE", _rebuild_full_text),
    _Check("vectors", _find_vector_errors, f"{_REPAIR} marks these videos, then {_REINDEX}", _mark_videos),
    _Check("text vectors", _find_text_vector_errors, f"{_REPAIR} deletes them", _delete_text_vectors),
    _Check("text to embed", _find_unembedded_text, "rankvideo update ARCHIVE embeds it; no video is read"),
    _Check("marked", _find_marked_files, _REINDEX),
    _Check("vector index", _find_faulty_files, f"{_REPAIR} rebuilds it; so does the next search", _rebuild_derived_files),
)
