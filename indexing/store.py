"""The disk format of an archive: one SQLite file that is the truth. Nothing else in an archive is needed to rebuild it.

archive.db (WAL, synchronous=FULL) holds recipe, files with their outcomes, videos, clips, timed words, the full-text index
over the words of clips, and vectors as float16 blobs. A video is written in one transaction: it is there whole or not at all.
This file knows SQL and records; it opens no media and runs no model.
"""

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError, ArchiveMismatch
from rankvideo_rag.indexing.tables import DATABASE, SCHEMA_VERSION, TABLES, WORD_CHANNELS, connect
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, Probe, TextSpan, Video, WordChannel
from rankvideo_rag.text import content_terms


class KnownFile(NamedTuple):
    """What the archive remembers of a path."""

    size: int  # bytes
    mtime_ns: int
    recipe: str  # hash of the recipe under which the outcome came about
    outcome: FileOutcome


class Where(NamedTuple):
    """A condition on clips in SQL, over the columns of the view `clip_facts`, with its parameters apart."""

    sql: str
    parameters: tuple[Any, ...]


class StoredVectors(NamedTuple):
    """All vectors of a channel."""

    clips: NDArray[np.int64]  # (n,) row numbers of clips
    vectors: NDArray[np.float16]  # (n, dim)


class Store:
    """One archive.db. Safe to share between threads; readers of other processes are never blocked."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.connection = connection
        self.lock = threading.RLock()

    @classmethod
    def create(cls, folder: Path, recipe: Mapping[str, Any]) -> Self:
        """An empty archive in `folder`, which is made where it is missing. Raises ArchiveError when one is there already."""
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / DATABASE).exists():
            raise ArchiveError(f"{folder} holds an archive already")
        # Built under another name and renamed, so that a half-made database never bears the archive's name.
        unfinished = folder / f"{DATABASE}.new"
        unfinished.unlink(missing_ok=True)
        with connect(unfinished) as connection:
            connection.executescript(TABLES)
            meta = {"schema_version": SCHEMA_VERSION, "generation": 0, "recipe": json.dumps(recipe, sort_keys=True)}
            connection.executemany("INSERT INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in meta.items()])
        connection.close()
        unfinished.rename(folder / DATABASE)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The archive in `folder`. Raises ArchiveError when there is none, ArchiveMismatch when a newer version made it."""
        if not (folder / DATABASE).is_file():
            raise ArchiveError(f"no archive at {folder}. Make one with: rankvideo index FOLDER --to {folder}")
        try:
            connection = connect(folder / DATABASE)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            store = cls(folder, connection)
            version = int(store.meta("schema_version"))
        except sqlite3.DatabaseError as error:
            raise ArchiveError(
                f"{folder / DATABASE} cannot be read as an archive ({error}). Index the videos again into another folder."
            ) from error
        if version != SCHEMA_VERSION:
            raise ArchiveMismatch(
                f"the archive at {folder} has format {version}, this version of rankvideo-rag reads format "
                f"{SCHEMA_VERSION}: {'upgrade rankvideo-rag' if version > SCHEMA_VERSION else 'index the videos again'}"
            )
        return store

    def close(self) -> None:
        """Give the connection back; the store cannot be used afterwards."""
        self.connection.close()

    # Reading

    def meta(self, key: str) -> str:
        """One of schema_version, generation, recipe."""
        return cast(str, self._rows("SELECT value FROM meta WHERE key = ?", key)[0][0])

    @property
    def recipe(self) -> dict[str, Any]:
        """How this archive is made, as given to `create` or to the last `set_recipe`."""
        return cast(dict[str, Any], json.loads(self.meta("recipe")))

    @property
    def generation(self) -> int:
        """A number that grows with every change to clips or vectors: what a derived file was made from."""
        return int(self.meta("generation"))

    def file(self, path: Path) -> KnownFile | None:
        """What is remembered of a path; None for one never seen."""
        rows = self._rows(
            "SELECT size, mtime_ns, f.recipe, f.outcome, f.reason, f.video_id, (SELECT count(*) FROM clips c WHERE "
            "c.video_id = f.video_id) FROM files f WHERE path = ?",
            os.fsencode(path),
        )
        if not rows:
            return None
        size, mtime_ns, recipe, outcome, reason, video_id, clips = rows[0]
        found = FileOutcome(path=str(path), outcome=outcome, reason=reason, clips=clips, video_id=video_id)
        return KnownFile(size, mtime_ns, recipe, found)

    def outcome_of_content(self, video_id: str, recipe: str) -> tuple[Outcome, str | None, int] | None:
        """Outcome, reason and number of clips of a video indexed under that recipe, wherever its file lay then."""
        rows = self._rows(
            "SELECT outcome, reason, (SELECT count(*) FROM clips c WHERE c.video_id = v.video_id) FROM videos v "
            "WHERE video_id = ? AND recipe = ?",
            video_id,
            recipe,
        )
        return rows[0] if rows else None

    def videos(self, video_ids: Iterable[str] | None = None) -> dict[str, Video]:
        """Videos by id, in order of their paths; all of them, or those asked for. The first of several paths is given."""
        chosen = None if video_ids is None else json.dumps(sorted(set(video_ids)))
        rows = self._rows(
            "SELECT v.video_id, min(f.path), title, probe FROM videos v JOIN files f USING (video_id) "
            "WHERE ?1 IS NULL OR v.video_id IN (SELECT value FROM json_each(?1)) GROUP BY v.video_id ORDER BY min(f.path)",
            chosen,
        )
        return {
            video_id: Video(video_id=video_id, path=os.fsdecode(path), title=title, probe=Probe.model_validate_json(probe))
            for video_id, path, title, probe in rows
        }

    def clips(self, numbers: Sequence[int]) -> dict[int, Clip]:
        """Clips by row number."""
        rows = self._rows(
            'SELECT clip, clip_id, video_id, start, "end" FROM clips WHERE clip IN (SELECT value FROM json_each(?))',
            json.dumps([int(number) for number in numbers]),
        )
        return {row[0]: Clip(clip_id=row[1], video_id=row[2], start=row[3], end=row[4]) for row in rows}

    def spans(self, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
        """The timed words of a video that touch [start, end), in order of time."""
        rows = self._rows(
            'SELECT channel, text, start, "end", source, confidence FROM spans '
            'WHERE video_id = ? AND start < ? AND "end" > ? ORDER BY channel, start, "end"',
            video_id,
            end,
            start,
        )
        fields = ("channel", "text", "start", "end", "source", "confidence")
        return [TextSpan(**dict(zip(fields, row, strict=True))) for row in rows]

    def search_words(self, channel: WordChannel, question: str, *, depth: int, where: Where | None = None) -> list[int]:
        """Row numbers of the clips whose words of that channel match the question best, by BM25, best first."""
        condition, parameters = (
            (f"AND rowid IN (SELECT clip FROM clip_facts WHERE {where.sql})", where.parameters) if where else ("", ())
        )
        weights = ", ".join("1.0" if name == channel else "0.0" for name in WORD_CHANNELS)
        rows = self._rows(
            f"SELECT rowid FROM words WHERE words MATCH ? {condition} ORDER BY bm25(words, {weights}), rowid LIMIT ?",
            f"{channel} : ({_any_of(question)})",
            *parameters,
            depth,
        )
        return [row[0] for row in rows]

    def clips_where(self, where: Where) -> NDArray[np.int64]:
        """Row numbers of the clips that meet a condition."""
        return np.array(
            [row[0] for row in self._rows(f"SELECT clip FROM clip_facts WHERE {where.sql}", *where.parameters)], dtype=np.int64
        )

    def vectors(self, channel: str) -> StoredVectors:
        """All vectors of a channel, in order of clip."""
        rows = self._rows("SELECT clip, vector FROM vectors WHERE channel = ? ORDER BY clip", channel)
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
        return StoredVectors(
            np.array([row[0] for row in rows], dtype=np.int64), matrix.reshape(len(rows), -1) if rows else matrix
        )

    def counts(self) -> dict[str, int]:
        """How many videos, clips, timed words by channel, vectors, and files by outcome there are."""
        tables = {table: self._rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("videos", "clips", "vectors", "files")}
        by_channel = dict(self._rows("SELECT channel, count(*) FROM spans GROUP BY channel"))
        by_outcome = dict(self._rows("SELECT outcome, count(*) FROM files GROUP BY outcome"))
        return tables | {f"spans_{name}": by_channel.get(name, 0) for name in WORD_CHANNELS} | by_outcome

    def outcomes(self) -> list[FileOutcome]:
        """The last outcome of every path ever given, in order of path."""
        paths = [os.fsdecode(row[0]) for row in self._rows("SELECT path FROM files ORDER BY path")]
        return [known.outcome for path in paths if (known := self.file(Path(path)))]

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.lock:
            return self.connection.execute(sql, parameters).fetchall()


def _any_of(question: str) -> str:
    """A full-text expression: any of the question's words, or two neighbours written as one (clean room, cleanroom)."""
    words = content_terms(question)
    pairs = [first + second for first, second in pairwise(words)]
    return " OR ".join(f'"{word}"' for word in dict.fromkeys(words + pairs))
