"""Archives of earlier formats are brought to the present one without their videos."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.timed_text import CONFIG, cue, put

from rankvideo_rag.errors import ArchiveMismatch
from rankvideo_rag.indexing.text_index import update_text_index
from rankvideo_rag.storage.integrity import check_integrity
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer

# What format 1 had: full-text rows of clips.
_FTS5 = """fts5 (text, tokenize = "porter unicode61 remove_diacritics 2 categories 'L* M* N* Co'")"""
_FORMER_TABLES = f"""
DROP TABLE text_vectors;
DROP TABLE passages_speech; DROP TABLE passages_on_screen; DROP TABLE passages_description; DROP TABLE passages;
CREATE VIRTUAL TABLE text_speech USING {_FTS5};
CREATE VIRTUAL TABLE text_on_screen USING {_FTS5};
CREATE VIRTUAL TABLE text_description USING {_FTS5};
INSERT INTO text_speech (rowid, text) VALUES (1, 'the kingfisher dives');
ALTER TABLE videos DROP COLUMN passage_rules;
ALTER TABLE videos DROP COLUMN text_vectors;
DELETE FROM meta WHERE key IN ('speech_generation', 'on_screen_generation', 'description_generation');
UPDATE meta SET value = '1' WHERE key = 'schema_version';
"""


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """An archive of format 1 with two videos."""
    archive = tmp_path / "archive"
    with closing(Store.create(archive, CONFIG.model_dump(mode="json"))) as store, open_writer(store) as writer:
        put(writer, 1, [cue("The kingfisher dives.", 1, 2)])
        put(writer, 2, [cue("A heron waits.", 1, 2)])
    with closing(sqlite3.connect(archive / "archive.db")) as connection:
        connection.executescript(_FORMER_TABLES)
    return archive


def schema(archive: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(archive / "archive.db")) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name").fetchall()
        columns = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in names}
        return [(name, str(sorted(column[1:] for column in found))) for name, found in columns.items()]


def test_readers_of_a_former_archive_say_what_to_do(former: Path) -> None:
    before = schema(former)
    with pytest.raises(ArchiveMismatch, match=r"without reading the videos again: rankvideo update .*archive"):
        Store.open(former)
    assert schema(former) == before


def test_a_writer_migrates_and_the_text_index_is_made_from_the_stored_text(former: Path, tmp_path: Path) -> None:
    with closing(Store.open(former, migrate=True)) as store:
        assert store.search_text("speech", "kingfisher", depth=5) == {}
        assert [problem.check for problem in check_integrity(former)] == ["former passages"]
        videos: list[Path] = []
        assert update_text_index(store, None, on_video=videos.append) == 0
        assert videos == [Path("/v/1.mp4"), Path("/v/2.mp4")]
        assert len(store.search_text("speech", "kingfisher", depth=5)) == 1
    assert check_integrity(former) == []
    Store.create(tmp_path / "new", CONFIG.model_dump(mode="json")).close()
    assert schema(former) == schema(tmp_path / "new")


def test_a_migration_that_fails_leaves_the_former_archive(former: Path) -> None:
    before = schema(former)
    with closing(sqlite3.connect(former / "archive.db")) as connection:
        connection.execute("CREATE TABLE passages_description (x)")  # the last of the new tables is there: creating it fails
    with pytest.raises(Exception, match="already exists"):
        Store.open(former, migrate=True)
    with closing(sqlite3.connect(former / "archive.db")) as connection:
        connection.execute("DROP TABLE passages_description")
    assert schema(former) == before
    Store.open(former, migrate=True).close()


def test_making_the_text_index_can_be_interrupted(former: Path) -> None:
    def stop(path: Path) -> None:
        if path.name == "2.mp4":
            raise KeyboardInterrupt

    with closing(Store.open(former, migrate=True)) as store:
        with pytest.raises(KeyboardInterrupt):
            update_text_index(store, None, on_video=stop)
        assert len(store.search_text("speech", "kingfisher", depth=5)) == 1
        update_text_index(store, None)
        assert len(store.search_text("speech", "heron", depth=5)) == 1
