"""Keeping an archive: update, remove, gc, doctor, failures, info and dry runs."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.archive_dump import dump
from support.world import World
from typer.testing import CliRunner, Result

from rankvideo_rag.cli import app
from rankvideo_rag.errors import ArchiveLocked, InputError
from rankvideo_rag.indexing import failure_hints
from rankvideo_rag.indexing.build import IndexReport
from rankvideo_rag.indexing.dry_run import plan_index
from rankvideo_rag.indexing.run import index
from rankvideo_rag.indexing.update import UpdateReport, remove, update
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import collect_garbage
from rankvideo_rag.storage.integrity import check_integrity
from rankvideo_rag.storage.lock import writer_lock
from rankvideo_rag.storage.store import Store

ROOT = Path(__file__).parents[2]
PLAIN = Settings.load(embedder="scripted", ocr="none")


def rankvideo(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def json_of(*arguments: str | Path) -> Any:
    return json.loads(rankvideo(*arguments, "--json").stdout)


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Return every file of an archive but the writer lock, which names its last holder."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "writer.lock"}


def names_in(archive: Path) -> list[str]:
    """Return the file names of the archive's videos."""
    with closing(Store.open(archive)) as store:
        return sorted(Path(video.path).name for video in store.videos().values())


def work(report: IndexReport) -> tuple[int, int]:
    return report.decodes, report.embeddings


@pytest.fixture
def videos(world: World, tmp_path: Path) -> Path:
    """Three clips in a folder, the first with subtitles beside it."""
    (tmp_path / "videos").mkdir()
    for name, clip in zip("abc", world.clips, strict=False):
        shutil.copy2(world.videos / f"{clip.stem}.mp4", tmp_path / "videos" / f"{name}.mp4")
    (tmp_path / "videos" / "a.srt").write_text("1\n00:00:00,500 --> 00:00:02,000\nThe heron waits.\n")
    return tmp_path / "videos"


@pytest.fixture
def archive(videos: Path, tmp_path: Path) -> Path:
    index([videos], tmp_path / "archive", PLAIN)
    return tmp_path / "archive"


def updated(archive: Path, *inputs: Path, **options: Any) -> UpdateReport:
    return update(archive, Settings.load(), inputs, **options)


def assert_equals_new_archive(archive: Path, videos: Path, tmp_path: Path) -> None:
    index([videos], tmp_path / "new", PLAIN)
    assert dump(archive) == dump(tmp_path / "new")


# update


def test_an_update_without_changes_does_nothing(archive: Path) -> None:
    before = dump(archive)
    done = updated(archive)
    assert (done.report.unchanged, *work(done.report)) == (3, 0, 0)
    assert (done.forgotten, done.kept) == ((), ())
    assert dump(archive) == before


def test_renamed_and_moved_files_are_not_processed_again(archive: Path, videos: Path, tmp_path: Path) -> None:
    (videos / "b.mp4").rename(videos / "renamed.mp4")
    (videos / "deep").mkdir()
    for name in ("a.mp4", "a.srt"):
        (videos / name).rename(videos / "deep" / name)
    done = updated(archive)
    assert work(done.report) == (0, 0)
    assert [path.name for path in done.forgotten] == ["a.mp4", "b.mp4"]
    assert names_in(archive) == ["a.mp4", "c.mp4", "renamed.mp4"]
    assert_equals_new_archive(archive, videos, tmp_path)


def test_a_replaced_file_is_indexed_again(archive: Path, videos: Path, world: World, tmp_path: Path) -> None:
    shutil.copy(world.videos / f"{world.clips[-1].stem}.mp4", videos / "b.mp4")
    done = updated(archive)
    assert (done.report.unchanged, done.report.embeddings) == (2, 1)
    assert_equals_new_archive(archive, videos, tmp_path)


def test_new_deleted_and_returning_files_are_followed(archive: Path, videos: Path, world: World, tmp_path: Path) -> None:
    shutil.copy2(world.videos / f"{world.clips[-1].stem}.mp4", videos / "new.mp4")
    (videos / "c.mp4").rename(tmp_path / "elsewhere.mp4")
    done = updated(archive)
    assert ([path.name for path in done.forgotten], done.report.embeddings) == (["c.mp4"], 1)
    assert names_in(archive) == ["a.mp4", "b.mp4", "new.mp4"]
    (tmp_path / "elsewhere.mp4").rename(videos / "c.mp4")
    assert updated(archive).report.embeddings == 1
    assert_equals_new_archive(archive, videos, tmp_path)


@pytest.mark.parametrize("change", ["written", "replaced", "deleted"])
def test_changed_subtitle_files_change_the_text_and_not_the_vectors(
    archive: Path, videos: Path, tmp_path: Path, change: str
) -> None:
    if change == "deleted":
        (videos / "a.srt").unlink()
    else:
        name = "c.srt" if change == "written" else "a.srt"
        (videos / name).write_text("1\n00:00:00,500 --> 00:00:02,000\nA kingfisher dives.\n")
    done = updated(archive)
    assert (done.report.unchanged, done.report.embeddings) == (2, 0)
    with closing(Store.open(archive)) as store:
        assert len(store.search_text("speech", "kingfisher", depth=5)) == (change != "deleted")
        assert len(store.search_text("speech", "heron", depth=5)) == (change == "written")
    assert_equals_new_archive(archive, videos, tmp_path)


def test_a_video_stays_while_one_copy_of_it_stays(archive: Path, videos: Path, tmp_path: Path) -> None:
    shutil.copy2(videos / "b.mp4", videos / "b-copy.mp4")
    assert work(updated(archive).report) == (0, 0)
    (videos / "b.mp4").unlink()
    assert work(updated(archive).report) == (0, 0)
    assert names_in(archive) == ["a.mp4", "b-copy.mp4", "c.mp4"]
    assert_equals_new_archive(archive, videos, tmp_path)


def test_subtitles_are_deleted_with_the_copy_they_belong_to(archive: Path, videos: Path, tmp_path: Path) -> None:
    shutil.copy2(videos / "a.mp4", videos / "z.mp4")
    updated(archive)
    for name in ("a.mp4", "a.srt"):
        (videos / name).unlink()
    assert updated(archive).report.embeddings == 0
    assert_equals_new_archive(archive, videos, tmp_path)


@pytest.mark.parametrize("folder", ["empty", "gone"])
def test_an_unmounted_disk_does_not_empty_the_archive(archive: Path, videos: Path, tmp_path: Path, folder: str) -> None:
    before = dump(archive)
    videos.rename(tmp_path / "unmounted")
    if folder == "empty":
        videos.mkdir()
    done = updated(archive)
    assert [(place.folder, place.files) for place in done.kept] == [(videos, 3)]
    assert done.forgotten == ()
    assert dump(archive) == before
    assert [path.name for path in updated(archive, prune=True).forgotten] == ["a.mp4", "b.mp4", "c.mp4"]
    assert names_in(archive) == []


def test_update_reports_what_it_deleted_and_kept(archive: Path, videos: Path) -> None:
    (videos / "c.mp4").unlink()
    done = rankvideo("update", archive)
    assert done.exit_code == 0
    assert f"forgotten: {videos / 'c.mp4'}" in done.stdout
    for name in ("a.mp4", "b.mp4", "a.srt"):
        (videos / name).unlink()
    assert "Is a disk not mounted?" in rankvideo("update", archive).stderr
    assert json_of("update", archive)["kept"] == [{"folder": str(videos), "files": 2}]


def test_updating_an_archive_without_sources_is_refused(archive: Path, videos: Path) -> None:
    with closing(sqlite3.connect(archive / "archive.db")) as connection, connection:
        connection.execute("DELETE FROM sources")
    with pytest.raises(InputError, match="has no sources"):
        updated(archive)
    assert updated(archive, videos).report.unchanged == 3
    assert updated(archive).report.unchanged == 3


# remove and gc


def test_a_removed_video_stays_out_under_any_name_until_it_is_indexed_by_name(archive: Path, videos: Path) -> None:
    before = dump(archive)
    gone = remove(archive, [str(videos / "a.mp4")])
    assert gone.paths == (videos / "a.mp4",)
    assert names_in(archive) == ["b.mp4", "c.mp4"]
    (videos / "a.mp4").rename(videos / "other.mp4")
    index([videos], archive, PLAIN)
    assert updated(archive).report.count("skipped") == 1
    assert names_in(archive) == ["b.mp4", "c.mp4"]
    (videos / "other.mp4").rename(videos / "a.mp4")
    index([videos / "a.mp4"], archive, PLAIN)
    assert names_in(archive) == ["a.mp4", "b.mp4", "c.mp4"]
    assert updated(archive).forgotten == (videos / "other.mp4",)
    after = dump(archive)
    assert {part for part in before if before[part] != after[part]} == {"sources"}


def test_videos_are_removed_by_id_and_by_folder(archive: Path, videos: Path) -> None:
    with closing(Store.open(archive)) as store:
        first = next(iter(store.videos()))
    assert json_of("remove", archive, first)["videos"] == [first]
    assert "2 videos removed" in rankvideo("remove", archive, videos).stdout
    assert names_in(archive) == []
    with pytest.raises(InputError, match="has no video and no file 'nonsense'"):
        remove(archive, ["nonsense"])


def test_gc_erases_the_bytes_of_removed_videos_and_a_dry_run_does_not(archive: Path, videos: Path) -> None:
    cues = (f"{n}\n00:00:0{n % 3},000 --> 00:00:03,000\nThe heron waits for {n} days.\n" for n in range(2_000))
    (videos / "a.srt").write_text("\n".join(cues))
    updated(archive)
    remove(archive, [str(videos / "a.mp4")])
    before = bytes_of(archive)
    dry = json_of("gc", archive, "--dry-run")
    assert dry["after"] is None
    assert bytes_of(archive) == before
    held = dump(archive)
    done = collect_garbage(archive)
    assert done.after is not None
    assert done.after.database < done.before.database
    assert not any(b"heron" in data.lower() for data in bytes_of(archive).values())
    assert dump(archive) == held
    assert check_integrity(archive) == []


def test_gc_deletes_orphaned_rows_and_unfinished_files(archive: Path) -> None:
    held = dump(archive)
    with closing(sqlite3.connect(archive / "archive.db")) as connection, connection:
        connection.execute("INSERT INTO passages_speech (rowid, text) VALUES (999, 'orphan')")
    (archive / ".visual.faiss.4711").write_bytes(b"half a file")
    (archive / "notes.txt").write_text("mine")
    done = collect_garbage(archive)
    assert done.garbage.rows == {
        "vectors": 0,
        "perceptual_hashes": 0,
        "passages_speech": 1,
        "passages_on_screen": 0,
        "passages_description": 0,
        "text_vectors": 0,
        "passages": 0,
        "spans": 0,
        "clips": 0,
        "videos": 0,
    }
    assert done.garbage.files == [".visual.faiss.4711"]
    assert dump(archive) == held
    assert (archive / "notes.txt").read_text() == "mine"


# doctor


def sql(*statements: str) -> Callable[[Path], None]:
    def damage(archive: Path) -> None:
        with closing(sqlite3.connect(archive / "archive.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def flip_a_byte(archive: Path) -> None:
    data = bytearray((archive / "visual.faiss").read_bytes())
    data[len(data) // 2] ^= 1
    (archive / "visual.faiss").write_bytes(data)


def scale_a_vector(archive: Path) -> None:
    with closing(sqlite3.connect(archive / "archive.db")) as connection, connection:
        (vector,) = connection.execute("SELECT vector FROM vectors ORDER BY clip LIMIT 1").fetchone()
        longer = (np.frombuffer(vector, np.float16) * np.float16(3)).tobytes()
        connection.execute("UPDATE vectors SET vector = ? WHERE clip = (SELECT min(clip) FROM vectors)", (longer,))


ANY_PASSAGE = "(SELECT min(passage) FROM passages)"
DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "vector file": (flip_a_byte, r"vector index: visual\.faiss is damaged"),
    "vector file without manifest": (lambda archive: (archive / "visual.json").unlink(), r"vector index: visual\.faiss"),
    "unfinished file": (lambda archive: (archive / ".visual.faiss.1").touch(), "left by a process that was killed"),
    "orphaned text": (sql("INSERT INTO passages_speech (rowid, text) VALUES (999, 'x')"), "1 rows of passages_speech"),
    "orphaned spans": (sql("INSERT INTO spans VALUES ('none', 'speech', 'x', 0, 1, 't', NULL, NULL, '[]')"), "1 rows of spans"),
    "missing video": (
        sql("UPDATE files SET video_id = 'none' WHERE CAST(path AS TEXT) LIKE '%c.mp4'"),
        "a video that does not exist",
    ),
    "missing text row": (sql(f"DELETE FROM passages_speech WHERE rowid = {ANY_PASSAGE}"), "text of 1 passages"),
    "wrong text row": (sql(f"UPDATE passages_speech SET text = 'lies' WHERE rowid = {ANY_PASSAGE}"), "text of 1 passages"),
    "full-text index": (sql("UPDATE passages_speech_content SET c0 = 'a secret' WHERE id = 1"), "contradicts its own rows"),
    "vector of another length": (scale_a_vector, "1 vectors of video [0-9a-f]{32} have a wrong size or length"),
    "vector of another size": (sql("UPDATE vectors SET vector = zeroblob(6) WHERE clip = 2"), "wrong size or length"),
    "no vector": (sql("DELETE FROM vectors WHERE clip = 2"), "has 0 of its 1 vectors"),
    "no clips": (sql("DELETE FROM clips WHERE clip = 2"), "has no clips"),
    "unclean text": (sql("UPDATE spans SET text = 'The heron <|im_end|>\u202e waits.'"), "1 texts in spans have invisible"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_doctor_finds_and_repairs_each_damage(archive: Path, kind: str) -> None:
    whole = dump(archive)
    assert check_integrity(archive) == []
    damage, message = DAMAGE[kind]
    damage(archive)
    found = rankvideo("doctor", archive)
    assert found.exit_code == 3
    assert re.search(message, found.stdout)
    assert "to do" in found.stdout
    rankvideo("doctor", archive, "--repair")
    updated(archive)  # indexes marked videos again
    assert check_integrity(archive) == []
    assert "No faults found." in rankvideo("doctor", archive).stdout
    repaired = dump(archive)
    if kind == "unclean text":
        assert [row[4] for row in repaired["spans"]] == ["The heron < |im_end|> waits."]
    else:
        assert repaired == whole


def test_doctor_reports_what_it_cannot_repair(archive: Path) -> None:
    sql("UPDATE meta SET value = '{}' WHERE key = 'index_config'")(archive)
    faults = json_of("doctor", archive, "--repair")
    assert [(fault["check"], fault["repaired"]) for fault in faults] == [("index config", False)]
    assert "index the videos again into another folder" in faults[0]["fix"]


# failures, info, dry runs, locks


@pytest.fixture
def troubled(archive: Path, videos: Path) -> Path:
    (videos / "bad.mp4").write_text("no video")
    (videos / "loose.mp4").symlink_to("nowhere")
    index([videos], archive, PLAIN)
    return archive


def test_failures_list_code_and_hint_of_every_file_that_is_not_ok(troubled: Path, videos: Path) -> None:
    found = {Path(failure["path"]).name: failure for failure in json_of("info", troubled, "--failed")}
    assert {name: (f["outcome"], f["code"], f["retried"]) for name, f in found.items()} == {
        "bad.mp4": ("skipped", "not_media", False),
        "loose.mp4": ("skipped", "broken_link", False),
    }
    assert found["loose.mp4"]["hint"] == "fix or delete the link"
    assert "2 of 5 files are not fully indexed" in rankvideo("info", troubled, "--failed").stdout
    report = rankvideo("update", troubled)
    assert report.exit_code == 3
    assert "To do: fix or delete the link" in report.stdout


def test_every_reason_code_has_a_hint() -> None:
    sources = [file.read_text() for package in ("rankvideo_rag/media", "indexing") for file in (ROOT / package).rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r'(?:MediaError|Refusal)\(\s*"(\w+)"', source)}
    assert len(codes) > 15
    assert codes <= set(failure_hints.HINTS)


def test_info_shows_what_an_archive_holds(troubled: Path, videos: Path) -> None:
    facts = json_of("info", troubled)
    assert (facts["videos"], facts["clips"], facts["vectors"], facts["files"]) == (3, 3, 3, 5)
    assert (facts["ok"], facts["skipped"], facts["spans_speech"]) == (3, 2, 1)
    assert facts["words"] == {"speech": {"all": 3, "LATIN": 3}}  # The heron waits.
    assert facts["made_from"] == [str(videos)]
    with closing(Store.open(troubled)) as store:
        seconds = sum(video.probe.duration for video in store.videos().values())
    assert facts["hours"] == pytest.approx(seconds / 3600, abs=1e-4)
    assert facts["bytes"] == sum(facts["bytes_by_part"].values())
    assert facts["bytes_by_part"]["vector_index"] == sum(
        (troubled / f"{index}.{end}").stat().st_size for index in ("visual", "speech") for end in ("faiss", "json")
    )
    assert [line.partition(":")[0] for line in facts["not_ok"]] == ["skipped", "skipped"]


def test_a_dry_run_counts_files_and_opens_none(
    archive: Path, videos: Path, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy2(world.videos / f"{world.clips[-1].stem}.mp4", videos / "new.mp4")
    (videos / "b.mp4").rename(videos / "renamed.mp4")
    os.utime(videos / "c.mp4", ns=(1, 1))
    before = bytes_of(archive)
    opened: list[str] = []
    real = os.open

    def recording_open(path: Any, *arguments: Any, **options: Any) -> int:
        opened.append(str(path))
        return real(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", recording_open)
        found = plan_index([videos], archive, Settings.load())
    assert (found.files, found.unchanged, found.new, found.moved, found.changed, found.retried) == (4, 1, 1, 1, 1, 0)
    assert found.bytes_to_read == sum((videos / name).stat().st_size for name in ("new.mp4", "c.mp4"))
    assert found.seconds >= 0
    assert found.disk_bytes > 0
    assert "3 videos of this archive" in found.basis
    assert not [path for path in opened if path.endswith(".mp4")]
    assert bytes_of(archive) == before


def test_a_dry_run_creates_no_archive(videos: Path, tmp_path: Path) -> None:
    done = rankvideo("index", videos, "--output", tmp_path / "none", "--dry-run")
    assert "3 files: 3 new" in done.stdout
    assert "assumed" in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_dry_run_with_other_options_counts_every_file_as_changed(archive: Path, videos: Path) -> None:
    found = plan_index([videos], archive, Settings.load(clip_seconds=7.0))
    assert (found.changed_options, found.unchanged, found.retried) == (("clip_seconds: 30.0 -> 7.0",), 0, 3)


@pytest.mark.parametrize("command", ["update", "gc", "doctor"])
def test_a_command_that_needs_the_lock_names_the_process_that_holds_it(archive: Path, command: str) -> None:
    with writer_lock(archive):
        done = rankvideo(command, archive)
    assert isinstance(done.exception, ArchiveLocked)
    assert f"is being written by process {os.getpid()} on" in str(done.exception)


def test_the_lock_of_a_killed_writer_is_free(archive: Path) -> None:
    (archive / "writer.lock").write_text('{"pid": 4194304000, "ho')  # as a full disk may leave it
    with writer_lock(archive):
        assert json.loads((archive / "writer.lock").read_text())["pid"] == os.getpid()
