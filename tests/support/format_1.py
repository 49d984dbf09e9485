"""Archives of format 1, as a version wrote them that knew no other."""

import sqlite3
from contextlib import closing
from pathlib import Path

# The tables of format 1, as they were.
_FORMAT_1 = """
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
CREATE VIRTUAL TABLE words USING fts5 (speech, on_screen, description, tokenize = 'porter unicode61 remove_diacritics 2');
"""


def write_format_1(database: Path, folder: Path) -> None:
    """Write into `folder`, which is made, what a database of today holds."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / "archive.db")) as connection, connection:
        connection.executescript(_FORMAT_1)
        connection.execute("ATTACH ? AS new", (str(database),))
        for table in ("meta", "videos", "files", "clips", "spans", "vectors"):
            columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
            listed = ", ".join(f'"{column}"' for column in columns)
            connection.execute(f"INSERT INTO main.{table} ({listed}) SELECT {listed} FROM new.{table}")
        words = "SELECT clip, group_concat(text) FROM main.clips JOIN main.spans USING (video_id) GROUP BY clip"
        connection.execute(f"INSERT INTO main.words (rowid, speech) {words}")
        connection.execute("UPDATE main.meta SET value = '1' WHERE key = 'schema_version'")
