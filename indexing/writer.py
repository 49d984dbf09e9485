"""Writing to an archive: one writer at a time, one transaction for each video."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.indexing.lock import writer_lock
from rankvideo_rag.indexing.segment import words_within
from rankvideo_rag.indexing.store import KnownFile, Store
from rankvideo_rag.indexing.tables import WORD_CHANNELS
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, TextSpan, Video


@contextmanager
def writing(store: Store) -> Iterator["Writer"]:
    """The one writer of an archive. Raises ArchiveLocked at once when another process writes it."""
    with writer_lock(store.folder):
        yield Writer(store)


class Writer:
    """What may be done to an archive while its lock is held."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set_recipe(self, recipe: Mapping[str, Any]) -> None:
        """Record how videos are made from now on."""
        with self._transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'recipe'", (json.dumps(recipe, sort_keys=True),))

    def put_video(
        self,
        video: Video,
        clips: Sequence[Clip],
        spans: Sequence[TextSpan],
        vectors: Mapping[str, NDArray[np.float16]],  # clip_id -> (dim,)
        *,
        file: KnownFile,
    ) -> None:
        """Write one video whole and the outcome of its file, in one transaction; what was known of this content goes."""
        with self._transaction() as connection:
            self._empty(connection, video.video_id)
            connection.execute(
                "INSERT OR IGNORE INTO videos VALUES (?1, '', '', '', '', NULL)",
                (video.video_id,),
            )
            connection.execute(
                "UPDATE videos SET title = ?, probe = ?, recipe = ?, outcome = ?, reason = ? WHERE video_id = ?",
                (video.title, video.probe.model_dump_json(), file.recipe, *_verdict(file.outcome), video.video_id),
            )
            connection.executemany(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(video.video_id, s.channel, s.text, s.start, s.end, s.source, s.confidence) for s in spans],
            )
            for clip in clips:
                self._put_clip(connection, clip, spans, vectors.get(clip.clip_id))
            self._put_file(connection, file)
            self._forget_orphans(connection)
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def put_file(self, file: KnownFile) -> None:
        """Record the outcome of a path that brought no new video: skipped, failed, or one more path of known content."""
        with self._transaction() as connection:
            self._put_file(connection, file)
            if self._forget_orphans(connection):
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    @staticmethod
    def _put_clip(
        connection: sqlite3.Connection, clip: Clip, spans: Sequence[TextSpan], vector: NDArray[np.float16] | None
    ) -> None:
        number = connection.execute(
            'INSERT INTO clips (clip_id, video_id, start, "end") VALUES (?, ?, ?, ?)',
            (clip.clip_id, clip.video_id, clip.start, clip.end),
        ).lastrowid
        words = [words_within(spans, channel, clip.start, clip.end) for channel in WORD_CHANNELS]
        marks = ", ".join("?" * len(words))
        connection.execute(f"INSERT INTO words (rowid, {', '.join(WORD_CHANNELS)}) VALUES (?, {marks})", (number, *words))
        if vector is not None:
            connection.execute("INSERT INTO vectors VALUES (?, 'visual', ?)", (number, vector.astype(np.float16).tobytes()))

    @staticmethod
    def _put_file(connection: sqlite3.Connection, file: KnownFile) -> None:
        path, video_id = os.fsencode(file.outcome.path), file.outcome.video_id
        connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
            (path, file.size, file.mtime_ns, video_id, *_verdict(file.outcome), file.recipe),
        )

    def _forget_orphans(self, connection: sqlite3.Connection) -> bool:
        """Forget the videos that no path holds any more: the content under a path has changed."""
        held = "SELECT video_id FROM files WHERE video_id IS NOT NULL"
        orphans = connection.execute(f"SELECT video_id FROM videos WHERE video_id NOT IN ({held})").fetchall()
        for (video_id,) in orphans:
            self._empty(connection, video_id)
            connection.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        return bool(orphans)

    @staticmethod
    def _empty(connection: sqlite3.Connection, video_id: str) -> None:
        """Remove the clips of a video with their words and vectors; the video and its files stay."""
        connection.execute("DELETE FROM words WHERE rowid IN (SELECT clip FROM clips WHERE video_id = ?)", (video_id,))
        connection.execute("DELETE FROM clips WHERE video_id = ?", (video_id,))
        connection.execute("DELETE FROM spans WHERE video_id = ?", (video_id,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._store.lock, _explaining(self._store.folder):
            self._store.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._store.connection
            except BaseException:
                if self._store.connection.in_transaction:  # a full disk has rolled it back already
                    self._store.connection.execute("ROLLBACK")
                raise
            self._store.connection.execute("COMMIT")


@contextmanager
def _explaining(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ArchiveError(
            f"writing the archive at {folder} failed: {error}. What was committed before is safe; "
            f"when there is room again, run the same command to go on."
        ) from error


def _verdict(outcome: FileOutcome) -> tuple[Outcome, str | None]:
    return outcome.outcome, outcome.reason
