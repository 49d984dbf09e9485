"""Write access to an archive: one writer at a time, one transaction per video."""

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.discover import absolute_path
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, Probe, TextSpan, Video
from rankvideo_rag.storage.database import TEXT_CHANNELS, TEXT_TABLES, convert_errors
from rankvideo_rag.storage.index_config import is_same_text_embedder
from rankvideo_rag.storage.lock import writer_lock
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.text_rows import TextVectors, delete_passages, increment_generation, index_text, write_spans
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VISUAL
from rankvideo_rag.text import clean

TITLE_LENGTH = 200  # characters
REMOVED_REASON = "removed: it was removed from the archive on purpose"

# The subtitle files of a video: those beside the first of its paths that has any.
_SIDECARS = """coalesce(
  (SELECT f.sidecars FROM files f WHERE f.video_id = videos.video_id AND f.sidecars <> '' ORDER BY path LIMIT 1), '')"""


@contextmanager
def open_writer(store: Store) -> Iterator["ArchiveWriter"]:
    """Lock an archive for writing. Raises ArchiveLocked at once if another process holds the lock."""
    with writer_lock(store.folder):
        yield ArchiveWriter(store)


class ArchiveWriter:
    """Writes to an archive while its lock is held. Every method is one transaction; every text is cleaned (`text.clean`).

    Methods raise DiskFull or ArchiveError if the disk refuses a write; the archive then is as it was before.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def set_index_config(self, config: Mapping[str, Any]) -> None:
        """Record how videos are indexed from now on. The vectors of another text embedder are deleted."""
        with self._transaction() as connection:
            if not is_same_text_embedder(self._store.index_config.get("text_embedder"), config.get("text_embedder")):
                connection.execute("DELETE FROM text_vectors")
                connection.execute("UPDATE videos SET text_vectors = NULL")
                for channel in TEXT_CHANNELS:
                    increment_generation(connection, VECTOR_TABLES[channel])
            connection.execute("UPDATE meta SET value = ? WHERE key = 'index_config'", (json.dumps(config, sort_keys=True),))

    def add_sources(self, inputs: Iterable[Path]) -> None:
        """Record folders and files that `rankvideo update` keeps the archive in sync with."""
        with self._transaction() as connection:
            paths = [(os.fsencode(absolute_path(given)),) for given in inputs]
            connection.executemany("INSERT OR IGNORE INTO sources VALUES (?)", paths)

    def remove_sources(self, inputs: Iterable[Path]) -> None:
        """Forget sources: nothing is looked for there any more."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM sources WHERE path = ?", [(os.fsencode(given),) for given in inputs])

    def put_video(
        self,
        video: Video,
        clips: Sequence[Clip],
        spans: Sequence[TextSpan],
        vectors: Mapping[str, NDArray[np.float16]],
        *,
        file: KnownFile,
        moved_from: Sequence[Path] = (),
        work_seconds: float | None = None,
        perceptual_hashes: Mapping[str, bytes] = {},
        text_vectors: TextVectors | None = None,
    ) -> None:
        """Write a video with all that belongs to it and the outcome of its file, in the place of what was known of it.

        Args:
            video: the video; its identity is its content.
            clips: its clips.
            spans: its timed text.
            vectors: clip_id -> vector (dim,), for clips that have one.
            file: the file it was read from.
            moved_from: former paths of the file.
            work_seconds: time spent on it; None keeps what is recorded, if only a part was processed again.
            perceptual_hashes: clip_id -> perceptual hash.
            text_vectors: vectors of its passages by text; passages without one get it by `index_text`.
        """
        with self._transaction() as connection:
            self._delete_content(connection, video.video_id)
            new = "INSERT OR IGNORE INTO videos (video_id, title, probe, config_hash, outcome) VALUES (?, '', '', '', '')"
            connection.execute(new, (video.video_id,))
            connection.execute(
                """
                UPDATE videos SET title = ?, probe = ?, config_hash = ?, outcome = ?, reason = ?, vectors = ?,
                  work_seconds = coalesce(?, work_seconds)
                WHERE video_id = ?
                """,
                (
                    clean(video.title, max_length=TITLE_LENGTH),
                    video.probe.model_dump_json(),
                    file.config_hash,
                    *_outcome_columns(file.outcome),
                    sum(clip.clip_id in vectors for clip in clips),
                    work_seconds,
                    video.video_id,
                ),
            )
            write_spans(connection, video.video_id, spans)
            for clip in clips:
                _insert_clip(connection, clip, vectors.get(clip.clip_id), perceptual_hashes.get(clip.clip_id))
            index_text(connection, video.video_id, text_vectors)
            self._put_file(connection, file, moved_from)
            connection.execute(f"UPDATE videos SET sidecars = {_SIDECARS} WHERE video_id = ?", (video.video_id,))
            increment_generation(connection, VISUAL)

    def put_descriptions(self, video_id: str, spans: Sequence[TextSpan]) -> None:
        """Write descriptions of clips of a video, in place of those of the same clips, in one transaction."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM spans WHERE video_id = ? AND channel = 'description' AND start = ? AND \"end\" = ?",
                [(video_id, span.start, span.end) for span in spans],
            )
            write_spans(connection, video_id, spans)
            index_text(connection, video_id)

    def index_text(self, video_id: str, vectors: TextVectors | None = None) -> None:
        """Make the passages of a video from its stored text; those without a vector get it from `vectors`."""
        with self._transaction() as connection:
            index_text(connection, video_id, vectors)

    def put_file(self, file: KnownFile, *, moved_from: Sequence[Path] = ()) -> None:
        """Record the outcome of a path without new content: skipped, failed, or another path of a known video.

        `moved_from` are former paths of the file.
        """
        with self._transaction() as connection:
            self._put_file(connection, file, moved_from)
            if file.outcome.video_id:
                self._after_path_change(connection, file.outcome.video_id)

    def delete_path(self, path: Path) -> None:
        """Delete a path whose file is gone, and its video unless another path holds it."""
        with self._transaction() as connection:
            rows = connection.execute("DELETE FROM files WHERE path = ? RETURNING video_id", (os.fsencode(path),)).fetchall()
            for (video_id,) in rows:
                if video_id:
                    self._after_path_change(connection, video_id)

    def remove_video(self, video_id: str) -> None:
        """Remove a video. Its content stays out, whatever its path, until `allow_video`; its files count as skipped."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO removed VALUES (?)", (video_id,))
            skip = "UPDATE files SET video_id = NULL, outcome = 'skipped', reason = ? WHERE video_id = ?"
            connection.execute(skip, (REMOVED_REASON, video_id))
            self._delete_video(connection, video_id)

    def allow_video(self, video_id: str) -> None:
        """Let a removed video be indexed again."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM removed WHERE video_id = ?", (video_id,))

    @contextmanager
    def maintenance(self, *, vectors_changed: bool) -> Iterator[sqlite3.Connection]:
        """Give direct access to the tables in one transaction; with `vectors_changed` derived files become stale."""
        with self._transaction() as connection:
            yield connection
            for table in VECTOR_TABLES.values() if vectors_changed else ():
                increment_generation(connection, table)

    def compact(self) -> None:
        """Overwrite deleted data and return its space to the disk. Needs as much free space as the database takes."""
        with self._store.lock, convert_errors(self._store.folder):
            connection = self._store.connection
            for table in TEXT_TABLES.values():
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _put_file(self, connection: sqlite3.Connection, file: KnownFile, moved_from: Sequence[Path]) -> None:
        path = os.fsencode(file.outcome.path)
        before = connection.execute("SELECT video_id FROM files WHERE path = ?", (path,)).fetchone()
        connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                path,
                file.size,
                file.mtime_ns,
                file.outcome.video_id,
                *_outcome_columns(file.outcome),
                file.config_hash,
                file.sidecars,
            ),
        )
        connection.executemany("DELETE FROM files WHERE path = ?", [(os.fsencode(path),) for path in moved_from])
        if before and before[0] not in (None, file.outcome.video_id):
            self._after_path_change(connection, before[0])

    def _after_path_change(self, connection: sqlite3.Connection, video_id: str) -> None:
        """Delete a video without paths; else update its title and mark it if its subtitle files are others now."""
        (first,) = connection.execute("SELECT min(path) FROM files WHERE video_id = ?", (video_id,)).fetchone()
        if first is None:
            self._delete_video(connection, video_id)
            return
        (probe,) = connection.execute("SELECT probe FROM videos WHERE video_id = ?", (video_id,)).fetchone()
        title = title_of(Probe.model_validate_json(probe), Path(os.fsdecode(first)))
        connection.execute("UPDATE videos SET title = ? WHERE video_id = ?", (title, video_id))
        stale = f"SELECT video_id FROM videos WHERE video_id = ? AND sidecars <> {_SIDECARS}"
        connection.execute(f"UPDATE files SET config_hash = '' WHERE video_id IN ({stale})", (video_id,))

    def _delete_video(self, connection: sqlite3.Connection, video_id: str) -> None:
        self._delete_content(connection, video_id)
        connection.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        increment_generation(connection, VISUAL)

    @staticmethod
    def _delete_content(connection: sqlite3.Connection, video_id: str) -> None:
        """Delete the clips of a video with their text and vectors; the video and its files stay."""
        passages = connection.execute("SELECT passage, channel FROM passages WHERE video_id = ?", (video_id,)).fetchall()
        delete_passages(connection, dict(passages))
        connection.execute("DELETE FROM clips WHERE video_id = ?", (video_id,))
        connection.execute("DELETE FROM spans WHERE video_id = ?", (video_id,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._store.lock, convert_errors(self._store.folder):
            self._store.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._store.connection
                self._store.connection.execute("COMMIT")
            except BaseException:
                if self._store.connection.in_transaction:  # a full disk has rolled it back already
                    self._store.connection.execute("ROLLBACK")
                raise


def title_of(probe: Probe, path: Path) -> str:
    """Return a video's title: from its container's metadata, else its file name without suffix."""
    return clean(probe.title or path.stem, max_length=TITLE_LENGTH)


def _insert_clip(
    connection: sqlite3.Connection, clip: Clip, vector: NDArray[np.float16] | None, perceptual_hash: bytes | None
) -> None:
    number = connection.execute(
        'INSERT INTO clips (clip_id, video_id, start, "end") VALUES (?, ?, ?, ?)',
        (clip.clip_id, clip.video_id, clip.start, clip.end),
    ).lastrowid
    if vector is not None:
        connection.execute("INSERT INTO vectors VALUES (?, ?)", (number, vector.astype(np.float16).tobytes()))
    if perceptual_hash is not None:
        connection.execute("INSERT INTO perceptual_hashes VALUES (?, ?)", (number, perceptual_hash))


def _outcome_columns(outcome: FileOutcome) -> tuple[Outcome, str | None]:
    return outcome.outcome, clean(outcome.reason) if outcome.reason else None
