"""The disk format of an archive: one SQLite file that is the truth. Nothing else in an archive is needed to rebuild it.

archive.db (WAL, synchronous=FULL) holds the index config, files with their outcomes, videos, clips, timed text, the full-text
index of clips, and vectors as float16 blobs. A video is written in one transaction: it is there whole or not at all.
This file knows SQL and records; it opens no media and runs no model.
"""

import json
import os
import sqlite3
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError, ArchiveMismatch
from rankvideo_rag.files import sync_folder
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, Probe, TextChannel, TextSpan, Video
from rankvideo_rag.storage.full_text import match_expression
from rankvideo_rag.storage.storage_errors import convert_errors, is_disk_error
from rankvideo_rag.storage.tables import DATABASE, SCHEMA_VERSION, TABLES, TEXT_CHANNELS, TEXT_TABLES, connect
from rankvideo_rag.storage.text_rows import read_spans


class KnownFile(NamedTuple):
    """What the archive remembers of a path."""

    size: int  # bytes
    mtime_ns: int
    config_hash: str  # fingerprint of the index config under which the outcome came about; '' where it is to be tried again
    outcome: FileOutcome
    sidecars: str = ""  # the state of the subtitle files beside it; '' where there is none


class KnownContent(NamedTuple):
    """What came of the bytes of a video, wherever its file lay then."""

    outcome: Outcome
    reason: str | None
    clips: int
    sidecars: str  # the state of the subtitle files that its words were made with


class SqlCondition(NamedTuple):
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
    def create(cls, folder: Path, config: Mapping[str, Any]) -> Self:
        """An empty archive in `folder`, which is made where it is missing. Raises ArchiveError when one is there already."""
        if (folder / DATABASE).exists():
            raise ArchiveError(f"{folder} holds an archive already")
        with convert_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Built under another name and renamed, so that a half-made database never bears the archive's name.
            unfinished = folder / f"{DATABASE}.new"
            unfinished.unlink(missing_ok=True)
            with closing(connect(unfinished)) as connection:
                connection.executescript(f"BEGIN; {TABLES}")
                meta = {"schema_version": SCHEMA_VERSION, "generation": 0, "index_config": json.dumps(config, sort_keys=True)}
                connection.executemany("INSERT INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in meta.items()])
                connection.execute("COMMIT")
            unfinished.rename(folder / DATABASE)
            sync_folder(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the archive in `folder`.

        Raises ArchiveError when there is none or it cannot be read, ArchiveMismatch when it has another format.
        """
        if not (folder / DATABASE).is_file():
            raise ArchiveError(f"no archive at {folder}. Make one with: rankvideo index FOLDER --output {folder}")
        try:
            connection = connect(folder / DATABASE)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            store = cls(folder, connection)
            version = int(store.meta("schema_version"))
        except sqlite3.DatabaseError as error:
            if is_disk_error(error):
                with convert_errors(folder):
                    raise
            raise ArchiveError(
                f"{folder / DATABASE} cannot be read as an archive ({error}). Index the videos again into another folder."
            ) from error
        if version != SCHEMA_VERSION:
            raise ArchiveMismatch(
                f"the archive at {folder} has format {version}, this version of rankvideo-rag reads format "
                f"{SCHEMA_VERSION}. Index the videos again into another folder, or use the version that made this archive."
            )
        return store

    def close(self) -> None:
        """Give the connection back; the store cannot be used afterwards."""
        self.connection.close()

    # Reading

    def meta(self, key: str) -> str:
        """One of schema_version, generation, index_config."""
        return cast(str, self._rows("SELECT value FROM meta WHERE key = ?", key)[0][0])

    @property
    def index_config(self) -> dict[str, Any]:
        """How this archive is made, as given to `create` or to the last `set_index_config`."""
        return cast(dict[str, Any], json.loads(self.meta("index_config")))

    @property
    def generation(self) -> int:
        """A number that grows with every change to clips or vectors: what a derived file was made from."""
        return int(self.meta("generation"))

    def known_file(self, path: Path) -> KnownFile | None:
        """What is remembered of a path; None for one never seen."""
        rows = self._rows(
            "SELECT size, mtime_ns, f.config_hash, f.outcome, f.reason, f.video_id, (SELECT count(*) FROM clips c WHERE "
            "c.video_id = f.video_id), f.sidecars FROM files f WHERE path = ?",
            os.fsencode(path),
        )
        if not rows:
            return None
        size, mtime_ns, config_hash, outcome, reason, video_id, clips, sidecars = rows[0]
        found = FileOutcome(path=str(path), outcome=outcome, reason=reason, clips=clips, video_id=video_id)
        return KnownFile(size, mtime_ns, config_hash, found, sidecars)

    def paths(self, video_id: str | None = None) -> list[Path]:
        """Every path ever given, or those of one video, in order."""
        rows = self._rows("SELECT path FROM files WHERE ?1 IS NULL OR video_id = ?1 ORDER BY path", video_id)
        return [Path(os.fsdecode(row[0])) for row in rows]

    def sources(self) -> list[Path]:
        """The folders and files that this archive was made from, in order."""
        return [Path(os.fsdecode(row[0])) for row in self._rows("SELECT path FROM sources ORDER BY path")]

    def has_file_of_size(self, size: int) -> bool:
        """Whether a file of so many bytes may have content that is known."""
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM files WHERE size = ?)", size)[0][0])

    def is_removed(self, video_id: str) -> bool:
        """Whether this content was taken out of the archive and is to stay out."""
        return bool(self._rows("SELECT EXISTS (SELECT 1 FROM removed WHERE video_id = ?)", video_id)[0][0])

    def removed(self) -> frozenset[str]:
        """The contents that were taken out of the archive and are to stay out."""
        return frozenset(row[0] for row in self._rows("SELECT video_id FROM removed"))

    def video_ids_of_size(self, size: int, config_hash: str) -> frozenset[str]:
        """The contents of so many bytes that were indexed under that index config."""
        sql = "SELECT v.video_id FROM files f JOIN videos v USING (video_id) WHERE size = ? AND v.config_hash = ?"
        return frozenset(row[0] for row in self._rows(sql, size, config_hash))

    def known_content(self, video_id: str, config_hash: str) -> KnownContent | None:
        """What came of a content under that index config; None where it was not indexed so."""
        rows = self._rows(
            "SELECT outcome, reason, (SELECT count(*) FROM clips c WHERE c.video_id = v.video_id), sidecars FROM videos v "
            "WHERE video_id = ? AND config_hash = ?",
            video_id,
            config_hash,
        )
        return KnownContent(*rows[0]) if rows else None

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

    def clip_numbers(self, clip_ids: Iterable[str]) -> dict[str, int]:
        """Row numbers by clip_id; those that are unknown are left out."""
        rows = self._rows(
            "SELECT clip_id, clip FROM clips WHERE clip_id IN (SELECT value FROM json_each(?))", json.dumps(list(clip_ids))
        )
        return dict(rows)

    def spans(self, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
        """The timed words of a video that touch [start, end), by channel and in order of time."""
        with self.lock:
            return read_spans(self.connection, video_id, start, end)

    def search_text(
        self, channel: TextChannel, question: str, *, depth: int, where: SqlCondition | None = None
    ) -> dict[int, float]:
        """Row numbers of the clips whose words of that channel match the question best, best first, with their BM25 scores."""
        if not (expression := match_expression(question)):
            return {}
        table = TEXT_TABLES[channel]
        condition, parameters = (
            (f"AND rowid IN (SELECT clip FROM clip_facts WHERE {where.sql})", where.parameters) if where else ("", ())
        )
        found = f"SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ? {condition} ORDER BY 2 DESC, rowid LIMIT ?"
        return dict(self._rows(found, expression, *parameters, depth))

    def clip_count(self, where: SqlCondition | None = None) -> int:
        """How many clips there are, or how many meet a condition."""
        sql = f"SELECT count(*) FROM clip_facts WHERE {where.sql}" if where else "SELECT count(*) FROM clips"
        return int(self._rows(sql, *(where.parameters if where else ()))[0][0])

    def clips_matching(self, where: SqlCondition) -> NDArray[np.int64]:
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

    def vectors_of(self, video_id: str) -> dict[str, NDArray[np.float16]]:
        """The vectors, (dim,) each, that clips of a video have, by clip_id."""
        rows = self._rows(
            "SELECT clip_id, vector FROM clips JOIN vectors USING (clip) WHERE video_id = ? AND channel = 'visual'", video_id
        )
        return {clip_id: np.frombuffer(vector, dtype=np.float16) for clip_id, vector in rows}

    def clips_of(self, video_id: str) -> list[Clip]:
        """The clips of a video, in order of time."""
        numbers = [row[0] for row in self._rows("SELECT clip FROM clips WHERE video_id = ?", video_id)]
        return sorted(self.clips(numbers).values(), key=lambda clip: clip.start)

    def perceptual_hashes(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """What clips look like, by row number; those without a picture are left out."""
        rows = self._rows(
            "SELECT clip, hash FROM perceptual_hashes WHERE clip IN (SELECT value FROM json_each(?))",
            json.dumps([int(number) for number in numbers]),
        )
        return dict(rows)

    def perceptual_hashes_of(self, video_id: str) -> dict[str, bytes]:
        """What the clips of a video look like, by clip_id."""
        rows = self._rows("SELECT clip_id, hash FROM clips JOIN perceptual_hashes USING (clip) WHERE video_id = ?", video_id)
        return dict(rows)

    def counts(self) -> dict[str, int]:
        """How many videos, clips, timed words by channel, vectors, and files by outcome there are."""
        tables = {table: self._rows(f"SELECT count(*) FROM {table}")[0][0] for table in ("videos", "clips", "vectors", "files")}
        by_channel = dict(self._rows("SELECT channel, count(*) FROM spans GROUP BY channel"))
        by_outcome = dict(self._rows("SELECT outcome, count(*) FROM files GROUP BY outcome"))
        return tables | {f"spans_{name}": by_channel.get(name, 0) for name in TEXT_CHANNELS} | by_outcome

    def languages(self) -> dict[str, int]:
        """How many videos have words spoken in a language, commonest first; "unknown" where nothing says which."""
        rows = self._rows(
            "SELECT coalesce(language, 'unknown'), count(DISTINCT video_id) AS videos FROM spans WHERE channel = 'speech' "
            "GROUP BY 1 ORDER BY videos DESC, 1"
        )
        return dict(rows)

    def scripts(self) -> dict[str, dict[str, int]]:
        """How many words the full-text index holds by channel and script, such as LATIN, CJK or ARABIC, commonest first. In
        scripts without spaces each character counts. The words of overlapping clips count in each."""
        return {channel: found for channel, table in TEXT_TABLES.items() if (found := self._scripts_in(table))}

    def _scripts_in(self, table: str) -> dict[str, int]:
        with self.lock:
            self.connection.execute(
                f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{table}_terms USING fts5vocab(main, {table}, row)"
            )
        found: Counter[str] = Counter()
        for code, count in self._rows(f"SELECT unicode(term), sum(cnt) FROM {table}_terms GROUP BY 1"):
            found[unicodedata.name(chr(code), "OTHER").partition(" ")[0]] += count
        return dict(found.most_common())

    def outcomes(self) -> list[FileOutcome]:
        """The last outcome of every path ever given, in order of path."""
        return [known.outcome for path in self.paths() if (known := self.known_file(path))]

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.lock:
            return self.connection.execute(sql, parameters).fetchall()
