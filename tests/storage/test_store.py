"""Opening an archive in a folder that cannot be written."""

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.world import World

from rankvideo_rag import VideoArchive
from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.storage.database import DATABASE
from rankvideo_rag.storage.store import Store


@pytest.fixture
def read_only(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An archive in a folder without write permission, which root does not have either."""
    folder = tmp_path / "read-only"
    shutil.copytree(world.archive, folder)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **options: Path(path) != folder and access(path, mode, **options))
    return folder


def test_an_archive_in_a_read_only_folder_is_searched_without_making_a_file(world: World, read_only: Path) -> None:
    said = next(clip for clip in world.clips if clip.narration)
    before = {file.name: file.stat().st_mtime_ns for file in read_only.iterdir()}
    with VideoArchive.open(read_only) as archive:
        assert archive.as_retriever().retrieve(said.narration[0].text)[0].metadata["title"] == said.stem
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            archive.store.connection.execute("DELETE FROM spans")
        assert {file.name: file.stat().st_mtime_ns for file in read_only.iterdir()} == before


def test_changes_that_are_still_in_the_log_are_not_passed_over(read_only: Path) -> None:
    (read_only / f"{DATABASE}-wal").write_bytes(b"changes")
    with pytest.raises(ArchiveError, match=r"is read-only, and the last changes to archive\.db are still in archive\.db-wal"):
        Store.open(read_only)


def test_a_folder_that_can_be_written_is_opened_with_a_log(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.archive, tmp_path / "archive")
    with closing(Store.open(tmp_path / "archive")) as store:
        store.connection.execute("DELETE FROM spans WHERE 0")
        assert store.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
