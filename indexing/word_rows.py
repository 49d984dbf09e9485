"""The full-text rows of a video: derived from its timed words, at most one a clip and channel, and made by the same function
whether a video is written, an older archive is brought up to date, or a damaged index is mended. Knows SQL, no store.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from rankvideo_rag.indexing.full_text import indexed
from rankvideo_rag.indexing.segment import words_within
from rankvideo_rag.indexing.tables import WORD_TABLES
from rankvideo_rag.schema import TextSpan, WordChannel

_FIELDS = ("channel", "text", "start", "end", "source", "confidence")


class WordRow(NamedTuple):
    """What the full-text index holds of a clip."""

    clip: int  # row number
    texts: dict[WordChannel, str]  # every channel; '' where there is no row


def read_spans(connection: sqlite3.Connection, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
    """The timed words of a video that touch [start, end), by channel and in order of time."""
    rows = connection.execute(
        'SELECT channel, text, start, "end", source, confidence FROM spans '
        'WHERE video_id = ? AND start < ? AND "end" > ? ORDER BY channel, start, "end", rowid',
        (video_id, end, start),
    ).fetchall()
    return [TextSpan(**dict(zip(_FIELDS, row, strict=True))) for row in rows]


def rows_of(connection: sqlite3.Connection, video_id: str) -> Iterator[WordRow]:
    """The rows that the timed words of a video give, in order of clip."""
    spans = read_spans(connection, video_id)
    clips = connection.execute('SELECT clip, start, "end" FROM clips WHERE video_id = ? ORDER BY clip', (video_id,)).fetchall()
    for clip, start, end in clips:
        yield WordRow(clip, {channel: indexed(words_within(spans, channel, start, end)) for channel in WORD_TABLES})


def index_words(connection: sqlite3.Connection, video_id: str) -> None:
    """Write the full-text rows of a video in the place of those that are there, in the caller's transaction."""
    for clip, texts in rows_of(connection, video_id):
        for channel, text in texts.items():
            connection.execute(f"DELETE FROM {WORD_TABLES[channel]} WHERE rowid = ?", (clip,))
            if text:
                connection.execute(f"INSERT INTO {WORD_TABLES[channel]} (rowid, text) VALUES (?, ?)", (clip, text))
