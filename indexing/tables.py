"""The tables of archive.db: what an archive is, in SQL."""

import sqlite3
from pathlib import Path
from typing import get_args

from rankvideo_rag.schema import WordChannel

SCHEMA_VERSION = 1
DATABASE = "archive.db"
WORD_CHANNELS: tuple[WordChannel, ...] = get_args(WordChannel)

# Porter's stemmer acts on English endings only; unicode61 splits other scripts at spaces and folds accents.
TABLES = f"""
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE videos (
  video_id TEXT PRIMARY KEY, title TEXT NOT NULL, probe TEXT NOT NULL, recipe TEXT NOT NULL,
  outcome TEXT NOT NULL, reason TEXT
) STRICT;
CREATE TABLE files (
  path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
  video_id TEXT REFERENCES videos ON DELETE SET NULL, outcome TEXT NOT NULL, reason TEXT, recipe TEXT NOT NULL
) STRICT;
CREATE INDEX files_of_video ON files (video_id);
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
  start REAL NOT NULL, "end" REAL NOT NULL, source TEXT NOT NULL, confidence REAL
) STRICT;
CREATE INDEX spans_of_video ON spans (video_id, start);
CREATE TABLE vectors (
  clip INTEGER NOT NULL REFERENCES clips ON DELETE CASCADE, channel TEXT NOT NULL, vector BLOB NOT NULL,
  PRIMARY KEY (clip, channel)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE words USING fts5 (
  {", ".join(WORD_CHANNELS)}, tokenize = 'porter unicode61 remove_diacritics 2'
);
"""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that may be shared between threads; transactions begin and end where the caller says so."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection
