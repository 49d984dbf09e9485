"""The content of an archive in an order that does not depend on how it was written, read with SQL and FAISS alone.

Row numbers, the generation and work times are left out.
"""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import faiss
import numpy as np

_QUERIES = {
    "index config": "SELECT value FROM meta WHERE key IN ('index_config', 'schema_version') ORDER BY key",
    "sources": "SELECT path FROM sources ORDER BY path",
    "removed": "SELECT video_id FROM removed ORDER BY video_id",
    "files": "SELECT path, size, mtime_ns, video_id, outcome, reason, config_hash, sidecars FROM files ORDER BY path",
    "videos": """SELECT video_id, title, probe, config_hash, outcome, reason, sidecars, vectors, passage_rules,
      text_vectors FROM videos
      ORDER BY video_id""",
    "clips": 'SELECT clip_id, video_id, start, "end" FROM clips ORDER BY clip_id',
    "spans": 'SELECT video_id, channel, start, "end", text, source, confidence, language, words FROM spans ORDER BY 1,2,3,4,5',
    "passages": """SELECT clip_id, channel, p.start, p."end", text FROM passages p LEFT JOIN clips USING (clip)
      ORDER BY 1, 2, 3, 4, 5""",
    **{
        table: f"""SELECT clip_id, p.start, {table}.text FROM {table} LEFT JOIN passages p ON passage = {table}.rowid
          LEFT JOIN clips USING (clip) ORDER BY 1, 2, 3"""
        for table in ("passages_speech", "passages_on_screen", "passages_description")
    },
    "text vectors": """SELECT clip_id, channel, p.start, hex(vector) FROM text_vectors LEFT JOIN passages p USING (passage)
      LEFT JOIN clips USING (clip) ORDER BY 1, 2, 3""",
    "perceptual hashes": "SELECT clip_id, hex(hash) FROM perceptual_hashes LEFT JOIN clips USING (clip) ORDER BY clip_id",
    "vectors": "SELECT clip_id, hex(vector) FROM vectors LEFT JOIN clips USING (clip) ORDER BY clip_id",
}


def dump(archive: Path) -> dict[str, list[Any]]:
    """Return the content of archive.db and of the vector files beside it."""
    with closing(sqlite3.connect(archive / "archive.db")) as connection:
        content = {name: connection.execute(sql).fetchall() for name, sql in _QUERIES.items()}
        clip_ids = dict(connection.execute("SELECT clip, clip_id FROM clips").fetchall())
    indexed = _rescore_file(archive) if (archive / "visual.rescore").exists() else _flat_index(archive)
    return content | {"indexed vectors": sorted((clip_ids.get(n), data.hex().upper()) for n, data in indexed)}


def _flat_index(archive: Path) -> list[tuple[int, bytes]]:
    index: Any = faiss.read_index(str(archive / "visual.faiss"))
    clips = faiss.vector_to_array(index.id_map).tolist()
    return [(n, index.reconstruct(n).astype(np.float16).tobytes()) for n in clips]


def _rescore_file(archive: Path) -> list[tuple[int, bytes]]:
    """Return the vectors, which lie one after the other and are followed by the numbers of their clips."""
    manifest = json.loads((archive / "visual.json").read_bytes())
    data, size = (archive / "visual.rescore").read_bytes(), manifest["dim"] * 2
    clips = np.frombuffer(data, np.int64, manifest["vectors"], manifest["vectors"] * size).tolist()
    return [(n, data[at * size : (at + 1) * size]) for at, n in enumerate(clips)]
