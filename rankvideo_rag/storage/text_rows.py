"""Timed text as it is stored, and the passages derived from it, each with a row in the full-text index of its channel.

Writing a video, repairing a damaged index and checking one use the same functions.
"""

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.storage.database import TEXT_TABLES
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.storage.passages import PASSAGE_RULES, PassageText, split_passages
from rankvideo_rag.storage.vector_tables import VECTOR_TABLES, VectorTable
from rankvideo_rag.text import clean

TextVectors = Mapping[str, NDArray[np.float16]]
"""Vectors (dim,) of passages by text; zeros for a text that the embedder knows nothing of, which gets none."""

_FIELDS = ("channel", "text", "start", "end", "source", "confidence", "language", "words")


class PassageRow(NamedTuple):
    """A row of the table of passages, without its number."""

    clip: int  # row number of the clip that holds most of it
    passage: PassageText


def read_spans(connection: sqlite3.Connection, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
    """Return the timed text of a video that overlaps [start, end), by channel and in order of time."""
    rows = connection.execute(
        """
        SELECT channel, text, start, "end", source, confidence, language, words FROM spans
        WHERE video_id = ? AND start < ? AND "end" > ? ORDER BY channel, start, "end", rowid
        """,
        (video_id, end, start),
    ).fetchall()
    return [TextSpan(**dict(zip(_FIELDS, (*row[:-1], json.loads(row[-1])), strict=True))) for row in rows]


def write_spans(connection: sqlite3.Connection, video_id: str, spans: Iterable[TextSpan]) -> None:
    """Clean and insert timed text in the caller's transaction; spans without text after cleaning are left out."""
    for span in spans:
        words = [(text, start, end) for word, start, end in span.words if (text := clean(word))]
        row = (span.channel, clean(span.text), span.start, span.end, span.source, span.confidence, span.language)
        if row[1]:
            timed = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
            connection.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (video_id, *row, timed))


def text_within(spans: Sequence[TextSpan], channel: TextChannel, start: float, end: float) -> str:
    """Return the text of a channel that overlaps [start, end), in order of time; a repeated span counts once."""
    texts = [span.text for span in spans if span.channel == channel and span.start < end and span.end > start]
    return " ".join(text for i, text in enumerate(texts) if i == 0 or text != texts[i - 1])


def read_passages(connection: sqlite3.Connection, video_id: str) -> dict[int, PassageRow]:
    """Return the stored passages of a video by number."""
    rows = connection.execute(
        'SELECT passage, clip, channel, start, "end", text FROM passages WHERE video_id = ? ORDER BY passage', (video_id,)
    )
    return {number: PassageRow(clip, PassageText(*passage)) for number, clip, *passage in rows.fetchall()}


def make_passages(connection: sqlite3.Connection, video_id: str) -> list[PassageRow]:
    """Return the passages that the timed text of a video gives.

    Text outside of every clip, such as subtitles after the end of the video, has none.
    """
    sql = 'SELECT start, "end", clip FROM clips WHERE video_id = ? ORDER BY start, "end"'
    clips = connection.execute(sql, (video_id,)).fetchall()
    starts, ends = [clip[0] for clip in clips], [clip[1] for clip in clips]
    made = []
    for passage in split_passages(read_spans(connection, video_id)):
        near = range(bisect_right(ends, passage.start), bisect_left(starts, passage.end))
        if near:
            best = max(near, key=lambda at: min(ends[at], passage.end) - max(starts[at], passage.start))
            made.append(PassageRow(clips[best][2], passage))
    return list(dict.fromkeys(made))


def index_text(connection: sqlite3.Connection, video_id: str, vectors: TextVectors | None = None) -> None:
    """Bring the passages of a video up to date with its timed text, in the caller's transaction.

    Passages that stay keep their numbers, and so what is stored for them. Others get the vectors of their texts; the video
    counts as embedded where `vectors` has all of them.
    """
    stored = read_passages(connection, video_id)
    made = make_passages(connection, video_id)
    kept = set(stored.values()) & set(made)
    delete_passages(connection, {number: row.passage.channel for number, row in stored.items() if row not in kept})
    new = [row for row in made if row not in kept]
    for row in new:
        _insert_passage(connection, video_id, row)
    for channel in {row.passage.channel for row in new}:
        increment_generation(connection, VECTOR_TABLES[channel])
    _put_text_vectors(connection, video_id, vectors or {})
    connection.execute("UPDATE videos SET passage_rules = ? WHERE video_id = ?", (PASSAGE_RULES, video_id))


def delete_passages(connection: sqlite3.Connection, channels: Mapping[int, TextChannel]) -> None:
    """Delete passages, given with their channels, and what is stored for them, in the caller's transaction."""
    for number, channel in channels.items():
        connection.execute(f"DELETE FROM {TEXT_TABLES[channel]} WHERE rowid = ?", (number,))
        connection.execute("DELETE FROM passages WHERE passage = ?", (number,))
    for channel in set(channels.values()):
        increment_generation(connection, VECTOR_TABLES[channel])


def increment_generation(connection: sqlite3.Connection, table: VectorTable) -> None:
    """Make what was derived from the vectors of a table stale, in the caller's transaction."""
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = ?", (table.generation,))


def _put_text_vectors(connection: sqlite3.Connection, video_id: str, vectors: TextVectors) -> None:
    """Store the vectors of passages that have none, and record whether all of them were embedded."""
    sql = """SELECT passage, channel, text FROM passages LEFT JOIN text_vectors USING (passage)
      WHERE video_id = ? AND vector IS NULL"""
    missing = connection.execute(sql, (video_id,)).fetchall()
    found = [(number, channel, vectors[text]) for number, channel, text in missing if text in vectors]
    rows = [(number, channel, vector) for number, channel, vector in found if vector.any()]
    connection.executemany("INSERT INTO text_vectors VALUES (?, ?)", [(number, v.tobytes()) for number, _, v in rows])
    for channel in {channel for _, channel, _ in rows}:
        increment_generation(connection, VECTOR_TABLES[channel])
    count = "SELECT count(*) FROM passages JOIN text_vectors USING (passage) WHERE video_id = ?1"
    complete = len(found) == len(missing)
    connection.execute(f"UPDATE videos SET text_vectors = iif(?2, ({count}), NULL) WHERE video_id = ?1", (video_id, complete))


def _insert_passage(connection: sqlite3.Connection, video_id: str, row: PassageRow) -> None:
    channel, start, end, text = row.passage
    sql = 'INSERT INTO passages (clip, video_id, channel, start, "end", text) VALUES (?, ?, ?, ?, ?, ?)'
    number = connection.execute(sql, (row.clip, video_id, channel, start, end, text)).lastrowid
    assert number is not None
    write_full_text(connection, number, row.passage)


def write_full_text(connection: sqlite3.Connection, number: int, passage: PassageText) -> None:
    """Write the row of a passage in the full-text index, in the caller's transaction."""
    sql = f"INSERT OR REPLACE INTO {TEXT_TABLES[passage.channel]} (rowid, text) VALUES (?, ?)"
    connection.execute(sql, (number, normalize(passage.text)))
