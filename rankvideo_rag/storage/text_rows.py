"""The timed words of a video as they are stored, and its full-text rows: derived from them, at most one a clip and channel.

They are made by the same functions whether a video is written, an older archive is brought up to date, or a damaged index is
mended. Knows SQL, no store.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from rankvideo_rag.schema import TextChannel, TextSpan
from rankvideo_rag.storage.full_text import normalize
from rankvideo_rag.storage.tables import TEXT_TABLES
from rankvideo_rag.text import clean

_FIELDS = ("channel", "text", "start", "end", "source", "confidence", "language", "words")


class ClipText(NamedTuple):
    """What the full-text index holds of a clip."""

    clip: int  # row number
    texts: dict[TextChannel, str]  # every channel; '' where there is no row


def read_spans(connection: sqlite3.Connection, video_id: str, start: float = 0.0, end: float = float("inf")) -> list[TextSpan]:
    """The timed words of a video that touch [start, end), by channel and in order of time."""
    rows = connection.execute(
        'SELECT channel, text, start, "end", source, confidence, language, words FROM spans '
        'WHERE video_id = ? AND start < ? AND "end" > ? ORDER BY channel, start, "end", rowid',
        (video_id, end, start),
    ).fetchall()
    return [TextSpan(**dict(zip(_FIELDS, (*row[:-1], json.loads(row[-1])), strict=True))) for row in rows]


def write_spans(connection: sqlite3.Connection, video_id: str, spans: Iterable[TextSpan]) -> None:
    """Write timed words, cleaned, in the caller's transaction; those of which nothing is left are left out."""
    for span in spans:
        words = [(text, start, end) for word, start, end in span.words if (text := clean(word))]
        row = (span.channel, clean(span.text), span.start, span.end, span.source, span.confidence, span.language)
        if row[1]:
            kept = json.dumps(words, ensure_ascii=False, separators=(",", ":"))
            connection.execute("INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (video_id, *row, kept))


def clip_texts(connection: sqlite3.Connection, video_id: str) -> Iterator[ClipText]:
    """The rows that the timed words of a video give, in order of clip."""
    spans = read_spans(connection, video_id)
    clips = connection.execute('SELECT clip, start, "end" FROM clips WHERE video_id = ? ORDER BY clip', (video_id,)).fetchall()
    for clip, start, end in clips:
        yield ClipText(clip, {channel: normalize(text_within(spans, channel, start, end)) for channel in TEXT_TABLES})


def index_text(connection: sqlite3.Connection, video_id: str) -> None:
    """Write the full-text rows of a video in the place of those that are there, in the caller's transaction."""
    for clip, texts in clip_texts(connection, video_id):
        for channel, text in texts.items():
            connection.execute(f"DELETE FROM {TEXT_TABLES[channel]} WHERE rowid = ?", (clip,))
            if text:
                connection.execute(f"INSERT INTO {TEXT_TABLES[channel]} (rowid, text) VALUES (?, ?)", (clip, text))


def text_within(spans: Sequence[TextSpan], channel: TextChannel, start: float, end: float) -> str:
    """The words of a channel that are heard or shown during [start, end), in order of time, each text once in a row."""
    texts = [span.text for span in spans if span.channel == channel and span.start < end and span.end > start]
    return " ".join(text for i, text in enumerate(texts) if i == 0 or text != texts[i - 1])


def clean_texts(connection: sqlite3.Connection) -> int:
    """Clean every stored text and title again; return how many have changed."""
    changed = 0
    for table, column in (("spans", "text"), ("videos", "title")):
        for number, text in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
            if (cleaned := clean(text)) != text:
                connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (cleaned, number))
                changed += 1
    connection.execute("DELETE FROM spans WHERE text = ''")
    return changed
