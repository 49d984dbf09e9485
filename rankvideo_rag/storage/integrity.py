"""Whether an archive is whole: the database itself, what refers to what, the full-text index, the vectors, the derived files.

Every fault is one line with what to do. What is derived can be made again on the spot; what came from a video is marked, and
`rankvideo update` reads that video again. Opens no media and runs no model.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rankvideo_rag.schema import Record, TextChannel
from rankvideo_rag.storage.gc import delete_orphans, orphans
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.storage_errors import convert_errors
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.tables import CREATE_TEXT_TABLES, TEXT_TABLES
from rankvideo_rag.storage.text_rows import clean_texts, clip_texts, index_text
from rankvideo_rag.storage.vector_index import derived_files, find_fault, update_index_files
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer
from rankvideo_rag.text import clean

_MOST = 20  # faults of one kind that are looked for
_LENGTH = (0.99, 1.01)  # of a unit vector that was rounded to float16
_AT_ONCE = 4096  # vectors held at once


class IntegrityProblem(Record):
    """Something that is not as it should be."""

    check: str
    problem: str
    fix: str
    repaired: bool = False


class _Check(NamedTuple):
    """Looks for faults of one kind; `mend`, if there is one, makes what is derived again."""

    name: str
    look: Callable[[Store], Iterator[str]]
    fix: str
    mend: Callable[[ArchiveWriter, Store], None] | None = None


def check_integrity(folder: Path, *, repair: bool = False) -> list[IntegrityProblem]:
    """Every fault of the archive at `folder`; with `repair` what can be made again is, and says so.

    Raises ArchiveError where it cannot be opened at all, ArchiveLocked while another process writes it.
    """
    with closing(Store.open(folder)) as store, open_writer(store) as writer:
        return [fault for check in _CHECKS for fault in _faults(check, store, writer if repair else None)]


def _faults(check: _Check, store: Store, writer: ArchiveWriter | None) -> list[IntegrityProblem]:
    problems = _looked(check, store)
    if not problems or writer is None or check.mend is None:
        return [IntegrityProblem(check=check.name, problem=problem, fix=check.fix) for problem in problems]
    check.mend(writer, store)
    left = set(_looked(check, store))
    return [IntegrityProblem(check=check.name, problem=p, fix=check.fix, repaired=p not in left) for p in problems]


def _looked(check: _Check, store: Store) -> list[str]:
    try:
        return [problem for problem, _ in zip(check.look(store), range(_MOST), strict=False)]
    except sqlite3.DatabaseError as error:
        return [f"cannot be examined: {error}"]


def _database(store: Store) -> Iterator[str]:
    for (line,) in store.connection.execute(f"PRAGMA integrity_check({_MOST})"):
        if line != "ok":
            yield str(line)


def _index_config(store: Store) -> Iterator[str]:
    try:
        IndexConfig.model_validate(store.index_config)
    except ValueError as error:
        yield f"the index config cannot be read: {error}"


def _references(store: Store) -> Iterator[str]:
    for table, rows in orphans(store.connection).items():
        if rows:
            yield f"{rows} rows of {table} belong to no file"
    dangling = "SELECT count(*) FROM files WHERE video_id NOT IN (SELECT video_id FROM videos)"
    (files,) = store.connection.execute(dangling).fetchone()
    if files:
        yield f"{files} files belong to a video that is not there"


def _mend_references(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=True) as connection:
        delete_orphans(connection)
        connection.execute(
            "UPDATE files SET video_id = NULL, config_hash = '' WHERE video_id NOT IN (SELECT video_id FROM videos)"
        )


def _texts(store: Store) -> Iterator[str]:
    for table, column in (("spans", "text"), ("videos", "title")):
        dirty = sum(clean(text) != text for (text,) in store.connection.execute(f"SELECT {column} FROM {table}"))
        if dirty:
            yield f"{dirty} texts in {table} hold invisible characters or control tokens"


def _mend_texts(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=False) as connection:
        clean_texts(connection)


def _word_index(store: Store) -> Iterator[str]:
    for channel, table in TEXT_TABLES.items():
        try:
            store.connection.execute(f"INSERT INTO {table} ({table}) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            yield f"the full-text index of {channel} words contradicts its own rows ({error})"


def _word_rows(store: Store) -> Iterator[str]:
    for video_id in _video_ids(store):
        wrong = 0
        for clip, texts in clip_texts(store.connection, video_id):
            wrong += any(_indexed_text(store, channel, clip) != text for channel, text in texts.items())
        if wrong:
            yield f"the words of {wrong} clips of video {video_id} are not in the full-text index as they were said"


def _indexed_text(store: Store, channel: TextChannel, clip: int) -> str:
    row = store.connection.execute(f"SELECT text FROM {TEXT_TABLES[channel]} WHERE rowid = ?", (clip,)).fetchone()
    return row[0] if row else ""


def _mend_words(writer: ArchiveWriter, store: Store) -> None:
    with writer.maintenance(vectors_changed=False) as connection:
        for table in TEXT_TABLES.values():
            connection.execute(f"DROP TABLE {table}")
        for statement in CREATE_TEXT_TABLES:
            connection.execute(statement)
        for video_id in _video_ids(store):
            index_text(connection, video_id)


def _vectors(store: Store) -> Iterator[str]:
    for video_id, bad in _bad_vectors(store).items():
        yield f"{len(bad)} vectors of video {video_id} have a wrong size or length"
    for video_id, made, there in store.connection.execute(_FEWER).fetchall():
        yield f"video {video_id} has {there} of the {made} vectors that were made of it"
    for (video_id,) in store.connection.execute(_WITHOUT_CLIPS).fetchall():
        yield f"video {video_id} has no clips"


_FEWER = """SELECT v.video_id, v.vectors, count(x.clip) FROM videos v LEFT JOIN clips USING (video_id)
LEFT JOIN vectors x USING (clip) WHERE v.config_hash <> '' GROUP BY v.video_id HAVING count(x.clip) <> v.vectors"""

_WITHOUT_CLIPS = "SELECT video_id FROM videos WHERE config_hash <> '' AND video_id NOT IN (SELECT video_id FROM clips)"


def _mend_vectors(writer: ArchiveWriter, store: Store) -> None:
    bad = _bad_vectors(store)
    hurt = {row[0] for sql in (_FEWER, _WITHOUT_CLIPS) for row in store.connection.execute(sql)} | set(bad)
    with writer.maintenance(vectors_changed=True) as connection:
        connection.executemany("DELETE FROM vectors WHERE clip = ?", [(clip,) for clips in bad.values() for clip in clips])
        for table in ("videos", "files"):
            connection.executemany(f"UPDATE {table} SET config_hash = '' WHERE video_id = ?", [(id_,) for id_ in hurt])


def _bad_vectors(store: Store) -> dict[str, list[int]]:
    """Video -> the clips whose vector is not of the embedder's size, or not of length 1 where these are."""
    found: dict[str, list[int]] = {}
    try:
        embedder = IndexConfig.model_validate(store.index_config).embedder
    except ValueError:
        return found  # what a vector should be is not known any more, which the check of the index config tells
    rows = store.connection.execute("SELECT video_id, clip, vector FROM vectors JOIN clips USING (clip) ORDER BY clip")
    while batch := rows.fetchmany(_AT_ONCE):
        for video_id, clip, data in batch:
            if not _is_vector(data, embedder.dim, unit=embedder.normalized):
                found.setdefault(video_id, []).append(clip)
    return found


def _is_vector(data: bytes, dim: int, *, unit: bool) -> bool:
    if len(data) != 2 * dim:
        return False
    norm = float(np.linalg.norm(np.frombuffer(data, dtype=np.float16).astype(np.float32)))
    return bool(np.isfinite(norm)) and norm > 0 and (not unit or _LENGTH[0] <= norm <= _LENGTH[1])


def _marked(store: Store) -> Iterator[str]:
    marked = "SELECT count(*), min(path) FROM files WHERE config_hash = ''"
    files, first = store.connection.execute(marked).fetchone()
    if files:
        yield f"{files} files are marked to be read again, the first {os.fsdecode(first)!r}"


def _derived(store: Store) -> Iterator[str]:
    for file in derived_files(store.folder):
        if fault := find_fault(file, store.generation):
            yield f"{file.name} {fault}"


def _mend_derived(writer: ArchiveWriter, store: Store) -> None:
    for file in derived_files(store.folder):
        if find_fault(file, store.generation):
            with convert_errors(store.folder):
                file.unlink()
    update_index_files(store)


def _video_ids(store: Store) -> list[str]:
    return [row[0] for row in store.connection.execute("SELECT video_id FROM videos ORDER BY video_id").fetchall()]


_REPAIR = "rankvideo doctor ARCHIVE --repair"
_AGAIN = f"{_REPAIR} marks these videos, then rankvideo update ARCHIVE reads them again"
_CHECKS = (
    _Check("database", _database, "restore the archive from a copy, or index the videos again into another folder"),
    _Check("index config", _index_config, "index the videos again into another folder: how this archive is made is lost"),
    _Check("references", _references, f"{_REPAIR} deletes what belongs to nothing", _mend_references),
    _Check("texts", _texts, f"{_REPAIR} cleans them", _mend_texts),
    _Check("word index", _word_index, f"{_REPAIR} builds it again from the stored words", _mend_words),
    _Check("words", _word_rows, f"{_REPAIR} indexes the stored words again", _mend_words),
    _Check("vectors", _vectors, _AGAIN, _mend_vectors),
    _Check("marked", _marked, "rankvideo update ARCHIVE reads them again"),
    _Check("vector index", _derived, f"{_REPAIR} derives it again; so does the next search", _mend_derived),
)
