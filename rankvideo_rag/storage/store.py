"""Read access to an archive: archive.db is the source of truth, everything else in the folder is derived from it.

archive.db (WAL, synchronous=FULL) holds the index config, files with their outcomes, videos, clips, timed text, the full-text
index of passages, and vectors as float16 blobs. A video is written in one transaction (`writer`): all of it or nothing.
"""

import json
import os
import sqlite3
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError, ArchiveMismatch
from rankvideo_rag.files import sync_folder
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, Probe, TextChannel, TextSpan, Video
from rankvideo_rag.storage import migration
from rankvideo_rag.storage.database import (
    CREATE_TABLES,
    DATABASE,
    SCHEMA_VERSION,
    TEXT_CHANNELS,
    TEXT_TABLES,
    connect,
    convert_errors,
    immutable_state,
    is_disk_error,
)
from rankvideo_rag.storage.full_text import match_expression
from rankvideo_rag.storage.migration import MIGRATIONS
from rankvideo_rag.storage.passages import PASSAGE_RULES, IndexedPassage, Passage
from rankvideo_rag.storage.term_statistics import TermStatistics
from rankvideo_rag.storage.text_rows import make_passages, read_spans
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VISUAL, VectorTable

MIXED_SIZES = (
    "vectors of {} differ in size: rankvideo doctor ARCHIVE --repair marks the affected videos, "
    "rankvideo update ARCHIVE indexes them again"
)

_MAX_COUNTED = 10_000  # terms whose frequencies are kept


class KnownFile(NamedTuple):
    """What the archive knows about a path."""

    size: int  # bytes
    mtime_ns: int
    config_hash: str  # fingerprint of the index config that led to the outcome; '' if the file is to be indexed again
    outcome: FileOutcome
    sidecars: str = ""  # state of the subtitle files beside it; '' without any


class KnownContent(NamedTuple):
    """The outcome of a video's bytes, whatever the path of its file."""

    outcome: Outcome
    reason: str | None
    clips: int
    sidecars: str  # state of the subtitle files that its text came from


class SqlCondition(NamedTuple):
    """A condition on the columns of the view `clip_facts`."""

    sql: str
    parameters: tuple[Any, ...]


class StoredVectors(NamedTuple):
    """Vectors of clips or passages."""

    numbers: NDArray[np.int64]  # (n,) of their rows, ascending
    vectors: NDArray[np.float16]  # (n, dim)


class Store:
    """An open archive. Threads may share it; processes that read are not blocked by one that writes."""

    def __init__(self, folder: Path, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.connection = connection
        self.lock = threading.RLock()
        self._immutable_state = immutable_state(folder / DATABASE)
        self._counted, self._counted_at = TermStatistics(0, {}), list[int]()  # terms counted, at these generations

    @classmethod
    def create(cls, folder: Path, config: Mapping[str, Any]) -> Self:
        """Create an empty archive in `folder`. Raises ArchiveError if it holds one already or cannot be written."""
        if (folder / DATABASE).exists():
            raise ArchiveError(f"{folder} holds an archive already")
        with convert_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            # Created under another name and renamed: a half-made database never has the archive's name.
            partial = folder / f"{DATABASE}.new"
            partial.unlink(missing_ok=True)
            with closing(connect(partial)) as connection:
                connection.executescript(f"BEGIN; {CREATE_TABLES}")
                meta = {"schema_version": SCHEMA_VERSION, "index_config": json.dumps(config, sort_keys=True)}
                meta |= dict.fromkeys((table.generation for table in VECTOR_TABLES.values()), 0)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in meta.items()])
                connection.execute("COMMIT")
            partial.rename(folder / DATABASE)
            sync_folder(folder)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, migrate: bool = False) -> Self:
        """Open the archive in `folder`; with `migrate`, bring one of an earlier format to the present one.

        Raises ArchiveError if there is none or it cannot be read, ArchiveMismatch if it has another format, and ArchiveLocked
        while another process writes an archive that must be migrated.
        """
        if not (folder / DATABASE).is_file():
            raise ArchiveError(f"no archive at {folder}. Make one with: rankvideo index FOLDER --output {folder}")
        try:
            connection = connect(folder / DATABASE)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            store = cls(folder, connection)
            version = int(store.meta("schema_version"))
            if migrate and version in MIGRATIONS:
                migration.migrate(folder, connection)
                version = SCHEMA_VERSION
        except sqlite3.DatabaseError as error:
            if is_disk_error(error):
                with convert_errors(folder):
                    raise
            raise ArchiveError(
                f"{folder / DATABASE} cannot be read as an archive ({error}). Index the videos again into another folder."
            ) from error
        if version != SCHEMA_VERSION:
            connection.close()
            todo = (
                f"Bring it to format {SCHEMA_VERSION}, without reading the videos again: rankvideo update {folder}"
                if version in MIGRATIONS
                else "Index the videos again into another folder, or use the version that made this archive."
            )
            raise ArchiveMismatch(
                f"the archive at {folder} has format {version}, this version of rankvideo-rag reads format "
                f"{SCHEMA_VERSION}. {todo}"
            )
        return store

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with self.lock:
            return self.connection.execute(sql, parameters).fetchall()

    def _value(self, sql: str, *parameters: Any) -> Any:
        return self._rows(sql, *parameters)[0][0]

    # The archive and its files

    def meta(self, key: str) -> str:
        """Return schema_version, index_config or a generation."""
        return cast(str, self._value("SELECT value FROM meta WHERE key = ?", key))

    @property
    def index_config(self) -> dict[str, Any]:
        """The index config, as given to `create` or to the last `ArchiveWriter.set_index_config`."""
        return cast(dict[str, Any], json.loads(self.meta("index_config")))

    @property
    def generation(self) -> int:
        """The generation of the clips and their vectors."""
        return self.generation_of(VISUAL)

    def generation_of(self, table: VectorTable) -> int:
        """Return a number that grows with every change to the vectors of a table; derived files name the one of their build.

        Raises ArchiveError if another process has changed an archive that is open as immutable: it could be misread.
        """
        if self._immutable_state and self._immutable_state != immutable_state(self.folder / DATABASE):
            raise ArchiveError(f"the archive at {self.folder} has been changed by another process: open it again")
        return int(self.meta(table.generation))

    def known_file(self, path: Path) -> KnownFile | None:
        """Return what is known about a path; None if it was never indexed."""
        rows = self._rows(
            """
            SELECT size, mtime_ns, config_hash, sidecars, outcome, reason, video_id,
              (SELECT count(*) FROM clips c WHERE c.video_id = f.video_id)
            FROM files f WHERE path = ?
            """,
            os.fsencode(path),
        )
        if not rows:
            return None
        size, mtime_ns, config_hash, sidecars, outcome, reason, video_id, clips = rows[0]
        found = FileOutcome(path=str(path), outcome=outcome, reason=reason, clips=clips, video_id=video_id)
        return KnownFile(size, mtime_ns, config_hash, found, sidecars)

    def known_content(self, video_id: str, config_hash: str) -> KnownContent | None:
        """Return the outcome of a video under an index config; None if it was not indexed with it."""
        rows = self._rows(
            """
            SELECT outcome, reason, (SELECT count(*) FROM clips c WHERE c.video_id = v.video_id), sidecars
            FROM videos v WHERE video_id = ? AND config_hash = ?
            """,
            video_id,
            config_hash,
        )
        return KnownContent(*rows[0]) if rows else None

    def paths(self, video_id: str | None = None) -> list[Path]:
        """Return every known path, or those of one video, sorted."""
        rows = self._rows("SELECT path FROM files WHERE ?1 IS NULL OR video_id = ?1 ORDER BY path", video_id)
        return [Path(os.fsdecode(row[0])) for row in rows]

    def outcomes(self) -> list[FileOutcome]:
        """Return the last outcome of every known path, sorted by path."""
        return [known.outcome for path in self.paths() if (known := self.known_file(path))]

    def sources(self) -> list[Path]:
        """Return the folders and files that the archive was indexed from, sorted."""
        return [Path(os.fsdecode(row[0])) for row in self._rows("SELECT path FROM sources ORDER BY path")]

    def has_file_of_size(self, size: int) -> bool:
        """Return whether a known file has this many bytes: only then may its content be known."""
        return bool(self._value("SELECT EXISTS (SELECT 1 FROM files WHERE size = ?)", size))

    def video_ids_of_size(self, size: int, config_hash: str) -> frozenset[str]:
        """Return the videos of this many bytes that were indexed under an index config."""
        sql = "SELECT v.video_id FROM files f JOIN videos v USING (video_id) WHERE size = ? AND v.config_hash = ?"
        return frozenset(row[0] for row in self._rows(sql, size, config_hash))

    def is_removed(self, video_id: str) -> bool:
        """Return whether a video was removed on purpose and stays out."""
        return bool(self._value("SELECT EXISTS (SELECT 1 FROM removed WHERE video_id = ?)", video_id))

    def removed(self) -> frozenset[str]:
        """Return the videos that were removed on purpose."""
        return frozenset(row[0] for row in self._rows("SELECT video_id FROM removed"))

    # Videos and clips

    def videos(self, video_ids: Iterable[str] | None = None) -> dict[str, Video]:
        """Return all videos, or those asked for, by id and in order of path. Of several paths the first is given."""
        rows = self._rows(
            """
            SELECT v.video_id, min(f.path), title, probe FROM videos v JOIN files f USING (video_id)
            WHERE ?1 IS NULL OR v.video_id IN (SELECT value FROM json_each(?1))
            GROUP BY v.video_id ORDER BY min(f.path)
            """,
            None if video_ids is None else json.dumps(sorted(set(video_ids))),
        )
        return {
            video_id: Video(video_id=video_id, path=os.fsdecode(path), title=title, probe=Probe.model_validate_json(probe))
            for video_id, path, title, probe in rows
        }

    def clips(self, numbers: Iterable[int]) -> dict[int, Clip]:
        """Return clips by row number; unknown ones are left out."""
        rows = self._rows(
            'SELECT clip, clip_id, video_id, start, "end" FROM clips WHERE clip IN (SELECT value FROM json_each(?))',
            _json(numbers),
        )
        return {row[0]: Clip(clip_id=row[1], video_id=row[2], start=row[3], end=row[4]) for row in rows}

    def clips_of(self, video_id: str) -> list[Clip]:
        """Return the clips of a video in order of time."""
        numbers = (row[0] for row in self._rows("SELECT clip FROM clips WHERE video_id = ?", video_id))
        return sorted(self.clips(numbers).values(), key=lambda clip: clip.start)

    def clip_numbers(self, clip_ids: Iterable[str]) -> dict[str, int]:
        """Return row numbers by clip_id; unknown ones are left out."""
        sql = "SELECT clip_id, clip FROM clips WHERE clip_id IN (SELECT value FROM json_each(?))"
        return dict(self._rows(sql, json.dumps(list(clip_ids))))

    def clip_count(self, where: SqlCondition | None = None) -> int:
        """Return how many clips there are, or how many meet a condition."""
        if where is None:
            return int(self._value("SELECT count(*) FROM clips"))
        return int(self._value(f"SELECT count(*) FROM clip_facts WHERE {where.sql}", *where.parameters))

    def clips_matching(self, where: SqlCondition) -> NDArray[np.int64]:
        """Return the row numbers of the clips that meet a condition."""
        rows = self._rows(f"SELECT clip FROM clip_facts WHERE {where.sql}", *where.parameters)
        return np.array([row[0] for row in rows], dtype=np.int64)

    def perceptual_hashes(self, numbers: Iterable[int]) -> dict[int, bytes]:
        """Return the perceptual hashes of clips by row number; clips without frames have none."""
        sql = "SELECT clip, hash FROM perceptual_hashes WHERE clip IN (SELECT value FROM json_each(?))"
        return dict(self._rows(sql, _json(numbers)))

    def perceptual_hashes_of(self, video_id: str) -> dict[str, bytes]:
        """Return the perceptual hashes of a video's clips by clip_id."""
        sql = "SELECT clip_id, hash FROM clips JOIN perceptual_hashes USING (clip) WHERE video_id = ?"
        return dict(self._rows(sql, video_id))

    # Text

    def spans(self, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
        """Return the timed text of a video that overlaps [start, end), by channel and in order of time."""
        with self.lock:
            return read_spans(self.connection, video_id, start, end)

    def search_text(
        self, channel: TextChannel, question: str, *, depth: int, where: SqlCondition | None = None
    ) -> dict[int, float]:
        """Return the passages of a channel that match best: number -> BM25 score, best first."""
        if not (expression := match_expression(question)):
            return {}
        table = TEXT_TABLES[channel]
        within = "SELECT passage FROM passages JOIN clip_facts USING (clip) WHERE" if where else ""
        condition = f"AND rowid IN ({within} {where.sql})" if where else ""
        rows = self._rows(
            f"SELECT rowid, -bm25({table}) FROM {table} WHERE {table} MATCH ? {condition} ORDER BY 2 DESC, rowid LIMIT ?",
            expression,
            *(where.parameters if where else ()),
            depth,
        )
        return dict(rows)

    def passages(self, numbers: Iterable[int]) -> dict[int, Passage]:
        """Return passages by number; unknown ones are left out."""
        sql = """
            SELECT passage, video_id, channel, start, "end", text FROM passages
            WHERE passage IN (SELECT value FROM json_each(?))
            """
        return {row[0]: Passage(*row) for row in self._rows(sql, _json(numbers))}

    def indexed_passages(self, channel: TextChannel, numbers: Iterable[int]) -> dict[int, IndexedPassage]:
        """Return passages of a channel with their tokens; unknown ones are left out."""
        sql = f"""
            SELECT passage, video_id, clip, channel, start, t.text FROM passages
            JOIN {TEXT_TABLES[channel]} t ON t.rowid = passage WHERE passage IN (SELECT value FROM json_each(?))
            """
        return {row[0]: IndexedPassage(*row[1:]) for row in self._rows(sql, _json(numbers))}

    def term_statistics(self, terms: Iterable[str]) -> TermStatistics:
        """Return how many passages there are, and how many hold each term, a phrase as `text.phrases` returns it."""
        asked = dict.fromkeys(terms)
        with self.lock:
            generations = [self.generation_of(VECTOR_TABLES[channel]) for channel in TEXT_CHANNELS]
            if self._counted_at != generations or len(self._counted.frequencies) > _MAX_COUNTED:
                self._counted = TermStatistics(int(self._value("SELECT count(*) FROM passages")), {})
                self._counted_at = generations
            counted = self._counted.frequencies
            counted |= {term: self._count_passages(term.replace('"', "")) for term in asked if term not in counted}
            return TermStatistics(self._counted.passages, {term: counted[term] for term in asked})

    def _count_passages(self, phrase: str) -> int:
        tables = TEXT_TABLES.values()
        return sum(self._value(f"SELECT count(*) FROM {table} WHERE {table} MATCH ?", f'"{phrase}"') for table in tables)

    def passages_matching(self, channel: TextChannel, where: SqlCondition) -> NDArray[np.int64]:
        """Return the numbers of the passages of a channel whose clips meet a condition."""
        clips = f"SELECT clip FROM clip_facts WHERE {where.sql}"
        sql = f"SELECT passage FROM passages WHERE channel = ? AND clip IN ({clips}) ORDER BY 1"
        return np.array([row[0] for row in self._rows(sql, channel, *where.parameters)], dtype=np.int64)

    def videos_without_passages(self) -> list[str]:
        """Return the videos that have no passages yet, or such as an earlier version made."""
        rows = self._rows("SELECT video_id FROM videos WHERE passage_rules <> ? ORDER BY video_id", PASSAGE_RULES)
        return [row[0] for row in rows]

    def videos_without_text_vectors(self) -> list[str]:
        """Return the videos of which passages are not embedded yet."""
        rows = self._rows("SELECT video_id FROM videos WHERE text_vectors IS NULL ORDER BY video_id")
        return [row[0] for row in rows]

    def texts_to_embed(self, video_id: str) -> list[str]:
        """Return the texts of a video's passages, as its stored text gives them, that have no vector."""
        with self.lock:
            made = make_passages(self.connection, video_id)
        known = self.text_vectors_of(video_id)
        return list(dict.fromkeys(row.passage.text for row in made if row.passage.text not in known))

    def text_vectors_of(self, video_id: str) -> dict[str, NDArray[np.float16]]:
        """Return the vectors (dim,) of a video's passages by text."""
        rows = self._rows("SELECT text, vector FROM passages JOIN text_vectors USING (passage) WHERE video_id = ?", video_id)
        return {text: np.frombuffer(vector, dtype=np.float16) for text, vector in rows}

    # Vectors

    def vectors(self, numbers: NDArray[np.int64] | None = None, table: VectorTable = VISUAL) -> StoredVectors:
        """Return all vectors of a table, or those of some clips or passages; what has no vector is left out.

        Raises ArchiveError if they differ in size.
        """
        if numbers is None:
            rows = self._rows(f"SELECT {table.key}, vector FROM {table.source} ORDER BY 1")
        else:
            chosen = f"{table.key} IN (SELECT value FROM json_each(?))"
            rows = self._rows(f"SELECT {table.key}, vector FROM {table.table} WHERE {chosen} ORDER BY 1", _json(numbers))
        if len({len(row[1]) for row in rows}) > 1:
            raise ArchiveError(MIXED_SIZES.format(self.folder))
        matrix = np.frombuffer(b"".join(row[1] for row in rows), dtype=np.float16)
        found = np.array([row[0] for row in rows], dtype=np.int64)
        return StoredVectors(found, matrix.reshape(len(rows), -1) if rows else matrix.reshape(0, 0))

    def sample_vectors(self, size: int, table: VectorTable = VISUAL) -> NDArray[np.float32]:
        """Return up to so many vectors (n, dim) of a table, taken at equal distances."""
        numbers = [row[0] for row in self._rows(f"SELECT {table.key} FROM {table.source} ORDER BY 1")]
        step = -(-len(numbers) // size) or 1
        return self.vectors(np.array(numbers[::step], dtype=np.int64), table).vectors.astype(np.float32)

    def vectors_of(self, video_id: str) -> dict[str, NDArray[np.float16]]:
        """Return the vectors (dim,) of a video's clips by clip_id."""
        rows = self._rows("SELECT clip_id, vector FROM clips JOIN vectors USING (clip) WHERE video_id = ?", video_id)
        return {clip_id: np.frombuffer(vector, dtype=np.float16) for clip_id, vector in rows}

    # Statistics

    def counts(self) -> dict[str, int]:
        """Return the numbers of videos, clips, vectors, files, passages, spans by channel, and files by outcome."""
        counted = ("videos", "clips", "vectors", "files", "passages", "text_vectors")
        tables = {table: self._value(f"SELECT count(*) FROM {table}") for table in counted}
        by_channel = dict(self._rows("SELECT channel, count(*) FROM spans GROUP BY channel"))
        by_outcome = dict(self._rows("SELECT outcome, count(*) FROM files GROUP BY outcome"))
        return tables | {f"spans_{name}": by_channel.get(name, 0) for name in TEXT_CHANNELS} | by_outcome

    def languages(self) -> dict[str, int]:
        """Return how many videos have speech in each language, most frequent first; "unknown" if it was not recognised."""
        rows = self._rows(
            """
            SELECT coalesce(language, 'unknown'), count(DISTINCT video_id) AS videos FROM spans
            WHERE channel = 'speech' GROUP BY 1 ORDER BY videos DESC, 1
            """
        )
        return dict(rows)

    def scripts(self) -> dict[str, dict[str, int]]:
        """Return the number of indexed terms by channel and script (LATIN, CJK, ARABIC, ...), most frequent first.

        In scripts without spaces each character counts; text of overlapping passages counts in each of them.
        """
        return {channel: found for channel, table in TEXT_TABLES.items() if (found := self._scripts_in(table))}

    def _scripts_in(self, table: str) -> dict[str, int]:
        self._rows(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.{table}_terms USING fts5vocab(main, {table}, row)")
        found: Counter[str] = Counter()
        for code, count in self._rows(f"SELECT unicode(term), sum(cnt) FROM {table}_terms GROUP BY 1"):
            found[unicodedata.name(chr(code), "OTHER").partition(" ")[0]] += count
        return dict(found.most_common())


def _json(numbers: Iterable[int]) -> str:
    return json.dumps([int(number) for number in numbers])
