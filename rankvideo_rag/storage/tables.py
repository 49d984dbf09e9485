"""The tables of archive.db: what an archive is, in SQL."""

import sqlite3
from pathlib import Path
from typing import get_args

from rankvideo_rag.schema import TextChannel
from rankvideo_rag.storage.full_text import TOKENIZER

SCHEMA_VERSION = 1
DATABASE = "archive.db"
TEXT_CHANNELS: tuple[TextChannel, ...] = get_args(TextChannel)

# Words in the form that `full_text.indexed` gives them: a table for each channel with a row for each clip that has such words.
# BM25 sets a match against the length of the whole row: in one table, a sign would count less the more is said under it.
TEXT_TABLES = {channel: f"text_{channel}" for channel in TEXT_CHANNELS}
CREATE_TEXT_TABLES = tuple(
    f'CREATE VIRTUAL TABLE {table} USING fts5 (text, tokenize = "{TOKENIZER}")' for table in TEXT_TABLES.values()
)

# What an archive was made from, and content that was taken out of it and is not to come back by itself.
SOURCES = "CREATE TABLE sources (path BLOB PRIMARY KEY) STRICT"
REMOVED = "CREATE TABLE removed (video_id TEXT PRIMARY KEY) STRICT"
# What clips look like, as `likeness.picture_of` gives it; clips without a picture have none.
PERCEPTUAL_HASHES = """
CREATE TABLE perceptual_hashes (clip INTEGER PRIMARY KEY REFERENCES clips ON DELETE CASCADE, hash BLOB NOT NULL) STRICT
"""
# Of a span: the language it is in, and its words one by one as [[text, start, end], …].
LANGUAGE = "language TEXT"
TIMED_WORDS = "words TEXT NOT NULL DEFAULT '[]'"
FILES_OF_SIZE = "CREATE INDEX files_of_size ON files (size)"

# `sidecars` is the state of the subtitle files beside a path; of a video, that of those which its words were made with.
# `vectors` is how many of its clips got one. A config_hash of '' marks what is to be made again.
TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
{SOURCES};
{REMOVED};
CREATE TABLE videos (
  video_id TEXT PRIMARY KEY, title TEXT NOT NULL, probe TEXT NOT NULL, config_hash TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT, sidecars TEXT NOT NULL DEFAULT '', vectors INTEGER NOT NULL DEFAULT 0, work_seconds REAL
) STRICT;
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  video_id TEXT REFERENCES videos ON DELETE SET NULL, outcome TEXT NOT NULL, reason TEXT, config_hash TEXT NOT NULL,
  sidecars TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX files_of_video ON files (video_id);
{FILES_OF_SIZE};
CREATE TABLE clips (
  clip INTEGER PRIMARY KEY AUTOINCREMENT, clip_id TEXT NOT NULL UNIQUE,
  video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, start REAL NOT NULL, "end" REAL NOT NULL
) STRICT;
CREATE INDEX clips_of_video ON clips (video_id);
CREATE VIEW clip_facts AS
  SELECT clip, clip_id, c.video_id, title, start, "end", json_extract(probe, '$.duration') AS duration,
    CAST((SELECT min(path) FROM files f WHERE f.video_id = c.video_id) AS TEXT) AS file_path
  FROM clips c JOIN videos USING (video_id);
CREATE TABLE spans (
  video_id TEXT NOT NULL REFERENCES videos ON DELETE CASCADE, channel TEXT NOT NULL, text TEXT NOT NULL,
  start REAL NOT NULL, "end" REAL NOT NULL, source TEXT NOT NULL, confidence REAL,
  {LANGUAGE}, {TIMED_WORDS}
) STRICT;
CREATE INDEX spans_of_video ON spans (video_id, start);
CREATE TABLE vectors (
  clip INTEGER NOT NULL REFERENCES clips ON DELETE CASCADE, channel TEXT NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (clip, channel)
) STRICT, WITHOUT ROWID;
{PERCEPTUAL_HASHES};
{"; ".join(CREATE_TEXT_TABLES)};
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may be shared between threads; transactions begin and end where the caller says so."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
