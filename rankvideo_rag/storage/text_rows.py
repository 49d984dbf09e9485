"""Timed text as it is stored, and the full-text rows derived from it: at most one per clip and channel.

Writing a video, repairing a damaged index and checking one use the same functions.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.storage.database import TEXT_TABLES
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.text import clean

_FIELDS = ("channel", "text", "start", "end", "source", "confidence", "language", "words")


class ClipText(NamedTuple):
    """The full-text rows of a clip."""

    clip: int  # row number
    texts: dict[TextChannel, str]  # every channel; '' where there is no row


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


def clip_texts(connection: sqlite3.Connection, video_id: str) -> Iterator[ClipText]:
    """Yield the full-text rows that the timed text of a video gives, in order of clip."""
    spans = read_spans(connection, video_id)
    clips = connection.execute('SELECT clip, start, "end" FROM clips WHERE video_id = ? ORDER BY clip', (video_id,)).fetchall()
    for clip, start, end in clips:
        yield ClipText(clip, {channel: normalize(text_within(spans, channel, start, end)) for channel in TEXT_TABLES})


def index_text(connection: sqlite3.Connection, video_id: str) -> None:
    """Replace the full-text rows of a video, in the caller's transaction."""
    for clip, texts in clip_texts(connection, video_id):
        for channel, text in texts.items():
            connection.execute(f"DELETE FROM {TEXT_TABLES[channel]} WHERE rowid = ?", (clip,))
            if text:
                connection.execute(f"INSERT INTO {TEXT_TABLES[channel]} (rowid, text) VALUES (?, ?)", (clip, text))
