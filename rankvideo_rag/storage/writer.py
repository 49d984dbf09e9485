"""Writing to an archive: one writer at a time, one transaction for each video."""

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
from rankvideo_rag.storage.lock import writer_lock
from rankvideo_rag.storage.storage_errors import convert_errors
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.tables import TEXT_TABLES
from rankvideo_rag.storage.text_rows import index_text, write_spans
from rankvideo_rag.text import clean

TITLE_LENGTH = 200  # characters
REMOVED_REASON = "removed: it was taken out of the archive on purpose"

# Of the paths of a video the first that has subtitle files beside it gives the words.
_SIDECARS = """coalesce(
  (SELECT f.sidecars FROM files f WHERE f.video_id = videos.video_id AND f.sidecars <> '' ORDER BY path LIMIT 1), '')"""


@contextmanager
def open_writer(store: Store) -> Iterator["ArchiveWriter"]:
    """The one writer of an archive. Raises ArchiveLocked at once when another process writes it."""
    with writer_lock(store.folder):
        yield ArchiveWriter(store)


class ArchiveWriter:
    """What may be done to an archive while its lock is held. Every text goes through `text.clean` here, whoever made it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def set_index_config(self, config: Mapping[str, Any]) -> None:
        """Record how videos are made from now on."""
        with self._transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'index_config'", (json.dumps(config, sort_keys=True),))

    def add_sources(self, inputs: Iterable[Path]) -> None:
        """Remember what the archive is made from, so that it can be kept in step with it."""
        with self._transaction() as connection:
            paths = [(os.fsencode(absolute_path(given)),) for given in inputs]
            connection.executemany("INSERT OR IGNORE INTO sources VALUES (?)", paths)

    def remove_sources(self, inputs: Iterable[Path]) -> None:
        """Forget inputs: from now on nothing is looked for there."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM sources WHERE path = ?", [(os.fsencode(given),) for given in inputs])

    def put_video(
        self,
        video: Video,
        clips: Sequence[Clip],
        spans: Sequence[TextSpan],
        vectors: Mapping[str, NDArray[np.float16]],  # clip_id -> (dim,)
        *,
        file: KnownFile,
        moved_from: Sequence[Path] = (),
        work_seconds: float | None = None,
        perceptual_hashes: Mapping[str, bytes] = {},  # clip_id -> what it looks like
    ) -> None:
        """Write one video whole and the outcome of its file, in one transaction; what was known of this content goes.

        `moved_from` are paths at which the same content lay; `work_seconds` is what it cost to make, None where only a part
        of it was made anew.
        """
        with self._transaction() as connection:
            self._empty(connection, video.video_id)
            connection.execute("INSERT OR IGNORE INTO videos VALUES (?1, '', '', '', '', NULL, '', 0, NULL)", (video.video_id,))
            facts = (
                clean(video.title, max_length=TITLE_LENGTH),
                video.probe.model_dump_json(),
                file.config_hash,
                *_verdict(file.outcome),
            )
            connection.execute(
                "UPDATE videos SET title = ?, probe = ?, config_hash = ?, outcome = ?, reason = ?, vectors = ?, "
                "work_seconds = coalesce(?, work_seconds) "
                "WHERE video_id = ?",
                (*facts, sum(clip.clip_id in vectors for clip in clips), work_seconds, video.video_id),
            )
            write_spans(connection, video.video_id, spans)
            for clip in clips:
                self._put_clip(connection, clip, vectors.get(clip.clip_id), perceptual_hashes.get(clip.clip_id))
            index_text(connection, video.video_id)
            self._put_file(connection, file, moved_from)
            connection.execute(f"UPDATE videos SET sidecars = {_SIDECARS} WHERE video_id = ?", (video.video_id,))
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def put_descriptions(self, video_id: str, spans: Sequence[TextSpan]) -> None:
        """Write descriptions of clips of a video, in place of those of the same clips, in one transaction."""
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM spans WHERE video_id = ? AND channel = 'description' AND start = ? AND \"end\" = ?",
                [(video_id, span.start, span.end) for span in spans],
            )
            write_spans(connection, video_id, spans)
            index_text(connection, video_id)

    def put_file(self, file: KnownFile, *, moved_from: Sequence[Path] = ()) -> None:
        """Record the outcome of a path that brought no new video: skipped, failed, or one more path of known content.

        `moved_from` are paths at which that content lay: the file was renamed or moved.
        """
        with self._transaction() as connection:
            self._put_file(connection, file, moved_from)
            if file.outcome.video_id:
                self._settle(connection, file.outcome.video_id)

    def delete_path(self, path: Path) -> None:
        """Forget a path whose file is no more, and its video where no other path holds it."""
        with self._transaction() as connection:
            rows = connection.execute("DELETE FROM files WHERE path = ? RETURNING video_id", (os.fsencode(path),)).fetchall()
            for (video_id,) in rows:
                if video_id:
                    self._settle(connection, video_id)

    def remove_video(self, video_id: str) -> None:
        """Take a video out. Its content stays out until `allow_video`, whatever it is called; its files are skipped."""
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO removed VALUES (?)", (video_id,))
            connection.execute(
                "UPDATE files SET video_id = NULL, outcome = 'skipped', reason = ? WHERE video_id = ?",
                (REMOVED_REASON, video_id),
            )
            self._delete(connection, video_id)

    def allow_video(self, video_id: str) -> None:
        """Let content come in again that was taken out."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM removed WHERE video_id = ?", (video_id,))

    @contextmanager
    def maintenance(self, *, vectors_changed: bool) -> Iterator[sqlite3.Connection]:
        """One transaction over the tables themselves, for upkeep. Where `vectors` change, what derives from them is stale."""
        with self._transaction() as connection:
            yield connection
            if vectors_changed:
                connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    def compact(self) -> None:
        """Give the space of what was deleted back to the disk, its bytes with it. Needs as much room again while it works."""
        with self._store.lock, convert_errors(self._store.folder):
            connection = self._store.connection
            for table in TEXT_TABLES.values():
                connection.execute(f"INSERT INTO {table} ({table}) VALUES ('optimize')")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @staticmethod
    def _put_clip(
        connection: sqlite3.Connection, clip: Clip, vector: NDArray[np.float16] | None, perceptual_hash: bytes | None
    ) -> None:
        number = connection.execute(
            'INSERT INTO clips (clip_id, video_id, start, "end") VALUES (?, ?, ?, ?)',
            (clip.clip_id, clip.video_id, clip.start, clip.end),
        ).lastrowid
        if vector is not None:
            connection.execute("INSERT INTO vectors VALUES (?, 'visual', ?)", (number, vector.astype(np.float16).tobytes()))
        if perceptual_hash is not None:
            connection.execute("INSERT INTO perceptual_hashes VALUES (?, ?)", (number, perceptual_hash))

    def _put_file(self, connection: sqlite3.Connection, file: KnownFile, moved_from: Sequence[Path]) -> None:
        path = os.fsencode(file.outcome.path)
        before = connection.execute("SELECT video_id FROM files WHERE path = ?", (path,)).fetchone()
        row = (path, file.size, file.mtime_ns, file.outcome.video_id, *_verdict(file.outcome), file.config_hash, file.sidecars)
        connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        connection.executemany("DELETE FROM files WHERE path = ?", [(os.fsencode(path),) for path in moved_from])
        if before and before[0] not in (None, file.outcome.video_id):
            self._settle(connection, before[0])

    def _settle(self, connection: sqlite3.Connection, video_id: str) -> None:
        """After its paths have changed: forget a video that none holds; else give it its name, and see to its words."""
        (first,) = connection.execute("SELECT min(path) FROM files WHERE video_id = ?", (video_id,)).fetchone()
        if first is None:
            self._delete(connection, video_id)
            return
        (probe,) = connection.execute("SELECT probe FROM videos WHERE video_id = ?", (video_id,)).fetchone()
        title = title_of(Probe.model_validate_json(probe), Path(os.fsdecode(first)))
        connection.execute("UPDATE videos SET title = ? WHERE video_id = ?", (title, video_id))
        stale = f"SELECT video_id FROM videos WHERE video_id = ? AND sidecars <> {_SIDECARS}"
        connection.execute(f"UPDATE files SET config_hash = '' WHERE video_id IN ({stale})", (video_id,))

    def _delete(self, connection: sqlite3.Connection, video_id: str) -> None:
        self._empty(connection, video_id)
        connection.execute("DELETE FROM videos WHERE video_id = ?", (video_id,))
        connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")

    @staticmethod
    def _empty(connection: sqlite3.Connection, video_id: str) -> None:
        """Remove the clips of a video with their words and vectors; the video and its files stay."""
        for table in TEXT_TABLES.values():
            connection.execute(f"DELETE FROM {table} WHERE rowid IN (SELECT clip FROM clips WHERE video_id = ?)", (video_id,))
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
    """What a video is called: as its container says, else as its file is named."""
    return clean(probe.title or path.stem, max_length=TITLE_LENGTH)


def _verdict(outcome: FileOutcome) -> tuple[Outcome, str | None]:
    return outcome.outcome, clean(outcome.reason) if outcome.reason else None
