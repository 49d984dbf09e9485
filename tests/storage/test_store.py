"""Opening an archive in a folder that cannot be written."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from support.rights import PYTHON_WITHOUT_RIGHTS
from support.world import World

from rankvideo_rag.storage.database import DATABASE
from rankvideo_rag.storage.store import Store

# Opens an archive, waits for a line, and searches it for the words.
SEARCH = """
import sys
from rankvideo_rag import VideoArchive
with VideoArchive.open(sys.argv[1]) as archive:
    print("open", flush=True)
    sys.stdin.readline()
    print(archive.as_retriever().retrieve(sys.argv[2])[0].metadata["title"])
"""


@pytest.fixture
def read_only(world: World, tmp_path: Path) -> Iterator[Path]:
    """An archive in a folder without write permission, which only root may write all the same."""
    folder = tmp_path / "read-only"
    shutil.copytree(world.archive, folder)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def run(arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    command = [*PYTHON_WITHOUT_RIGHTS, "-m", "rankvideo_rag", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)


def words_of(world: World) -> tuple[str, str]:
    clip = next(clip for clip in world.clips if clip.narration)
    return clip.stem, clip.narration[0].text


def test_an_archive_in_a_read_only_folder_is_searched_without_making_a_file(world: World, read_only: Path) -> None:
    title, words = words_of(world)
    before = {file.name: file.stat().st_mtime_ns for file in read_only.iterdir()}
    done = run(["search", read_only, words, "--json"])
    assert done.returncode == 0, done.stderr
    assert title in done.stdout
    assert "cannot be" not in done.stderr
    assert {file.name: file.stat().st_mtime_ns for file in read_only.iterdir()} == before


def test_a_change_after_opening_is_an_error_and_no_wrong_result(world: World, read_only: Path) -> None:
    """The archive is open as immutable: SQLite would not see the change, or misread the file."""
    command = [*PYTHON_WITHOUT_RIGHTS, "-c", SEARCH, str(read_only), words_of(world)[1]]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "open\n"
        os.utime(read_only / DATABASE)
        _, error = process.communicate("\n", timeout=240)
    assert f"ArchiveError: the archive at {read_only} has been changed by another process: open it again" in error


def test_what_a_writer_has_not_moved_from_its_log_is_found(world: World, read_only: Path) -> None:
    title, words = words_of(world)
    read_only.chmod(0o755)
    with closing(Store.open(read_only)) as store:
        store.connection.execute("UPDATE videos SET title = 'a new title' WHERE title = ?", (title,))
        assert (read_only / f"{DATABASE}-wal").stat().st_size > 0
        read_only.chmod(0o555)
        done = run(["search", read_only, words, "--json"])
    assert done.returncode == 0, done.stderr
    assert "a new title" in done.stdout


def test_a_log_that_a_killed_writer_left_is_not_passed_over(world: World, read_only: Path) -> None:
    read_only.chmod(0o755)
    (read_only / f"{DATABASE}-wal").write_bytes(b"changes")
    read_only.chmod(0o555)
    done = run(["search", read_only, "anything"])
    assert done.returncode == 1
    assert "cannot be written, and the last changes to archive.db are still in archive.db-wal" in " ".join(done.stderr.split())
