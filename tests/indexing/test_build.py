"""From files to an archive: outcomes, resuming, identity by content, one writer, derived files."""

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.world import World

from rankvideo_rag.errors import ArchiveError, ArchiveLocked, ArchiveMismatch, InputError, MissingDependency
from rankvideo_rag.indexing.build import IndexEvent, IndexReport
from rankvideo_rag.indexing.run import index
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.media import ClipMedia
from rankvideo_rag.media.discover import discover
from rankvideo_rag.models.embedders import Embedder, Vector
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage import database
from rankvideo_rag.storage import store as store_module
from rankvideo_rag.storage.lock import writer_lock
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.text_rows import text_within
from rankvideo_rag.storage.vector_index import VectorIndex
from rankvideo_rag.testing import scripted_embedder


def indexed(videos: Path, archive: Path, **options: object) -> IndexReport:
    return index([videos], archive, Settings.load(**({"ocr": "none"} | options)))


def a_few(world: World, folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for clip in world.clips[:count]:
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder)
    return folder


def dump(archive: Path) -> list[object]:
    """All that an archive holds, without the times and numbers of its making."""
    store = Store.open(archive)
    vectors = store.vectors()
    clips = store.clips(vectors.numbers.tolist())
    held: list[object] = []
    held += sorted(
        (clips[number].clip_id, vector.tobytes())
        for number, vector in zip(vectors.numbers.tolist(), vectors.vectors, strict=True)
    )
    held += [(video, store.spans(video.video_id)) for video in store.videos().values()]
    held += store.outcomes()
    store.close()
    return held


def test_every_clip_is_indexed_with_its_text(world: World) -> None:
    assert [f.outcome for f in world.report.files] == ["ok"] * len(world.clips)
    store = Store.open(world.archive)
    by_stem = {Path(video.path).stem: video for video in store.videos().values()}
    for clip in world.clips:
        spoken = [span.text for span in store.spans(by_stem[clip.stem].video_id)]
        assert spoken == [line.text for line in clip.narration]
    store.close()


def test_a_second_run_decodes_and_embeds_nothing(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos")
    first, second = indexed(videos, tmp_path / "archive"), indexed(videos, tmp_path / "archive")
    assert (first.unchanged, first.embeddings) == (0, 3)
    assert first.decodes > 0
    assert (second.unchanged, second.decodes, second.embeddings) == (3, 0, 0)
    assert [f.outcome for f in second.files] == ["ok"] * 3


class Interrupted(BaseException):
    pass


def test_an_interrupted_run_resumes_and_ends_as_an_uninterrupted_one(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 4)
    whole = indexed(videos, tmp_path / "whole")

    def interrupt(event: IndexEvent) -> None:
        if event.path.stem == world.clips[2].stem and event.stage == "commit":
            raise Interrupted

    with pytest.raises(Interrupted):
        index([videos], tmp_path / "halved", Settings.load(ocr="none"), on_event=interrupt)
    rest = indexed(videos, tmp_path / "halved")
    assert (rest.unchanged, rest.embeddings) == (2, 2)
    assert dump(tmp_path / "halved") == dump(tmp_path / "whole")
    assert whole.embeddings == 4


def test_a_killed_run_keeps_every_finished_video(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 4)
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from rankvideo_rag.indexing.run import index\nfrom rankvideo_rag.settings import Settings\n"
        "done = []\n"
        "def listen(event):\n"
        "    done.extend([event] if event.done else [])\n"
        "    if len(done) == 2 and event.stage == 'vectors': os.kill(os.getpid(), signal.SIGKILL)\n"
        "index([Path(sys.argv[1])], Path(sys.argv[2]), Settings.load(ocr='none'), on_event=listen)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(videos), str(tmp_path / "killed")], check=False)
    assert killed.returncode == -9
    rest = indexed(videos, tmp_path / "killed")
    assert (rest.unchanged, rest.embeddings) == (2, 2)
    indexed(videos, tmp_path / "whole")
    assert dump(tmp_path / "killed") == dump(tmp_path / "whole")


def test_the_same_content_under_two_paths_is_one_video(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 1)
    shutil.copy(videos / f"{world.clips[0].stem}.mp4", videos / "zz-copy.mp4")
    report = indexed(videos, tmp_path / "archive")
    assert report.embeddings == 1
    assert len({f.video_id for f in report.files}) == 1
    store = Store.open(tmp_path / "archive")
    assert store.counts()["videos"] == 1
    assert store.counts()["files"] == 2
    store.close()


def test_changed_content_replaces_the_old_video(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 2)
    indexed(videos, tmp_path / "archive")
    shutil.copy(world.videos / f"{world.clips[5].stem}.mp4", videos / f"{world.clips[0].stem}.mp4")
    report = indexed(videos, tmp_path / "archive")
    assert (report.unchanged, report.embeddings) == (1, 1)
    store = Store.open(tmp_path / "archive")
    assert {v.video_id for v in store.videos().values()} == {f.video_id for f in report.files}
    assert store.counts()["clips"] == sum(f.clips for f in report.files)
    store.close()


def test_a_bad_file_is_skipped_without_affecting_others(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 2)
    (videos / "bad.mp4").write_text("this is no video")
    whole = (videos / f"{world.clips[0].stem}.mp4").read_bytes()
    (videos / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    report = indexed(videos, tmp_path / "archive")
    found = {Path(f.path).name: (f.outcome, (f.reason or "").partition(":")[0]) for f in report.files}
    assert found["bad.mp4"] == ("skipped", "not_media")
    assert found["cut.mp4"] == ("skipped", "truncated_no_index")
    assert [outcome for outcome, _ in found.values()].count("ok") == 2
    again = indexed(videos, tmp_path / "archive")
    assert (again.unchanged, again.decodes) == (4, 0)


def test_changed_options_rebuild_text_and_omitted_ones_are_kept(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 2)
    indexed(videos, tmp_path / "archive", clip_seconds=2.0)
    clips = len(segment("x", 4.0, clip_seconds=2.0))
    assert clips == 2
    same = index([videos], tmp_path / "archive", Settings.load())
    assert (same.unchanged, same.embeddings) == (2, 0)
    other = index([videos], tmp_path / "archive", Settings.load(clip_seconds=60.0))
    assert [f.clips for f in other.files] == [1, 1]
    store = Store.open(tmp_path / "archive")
    assert store.counts()["clips"] == 2
    store.close()


class Poisonous:
    """The scripted embedder, but one that cannot be trusted."""

    def __init__(self) -> None:
        self._inner: Embedder = scripted_embedder.load()

    @property
    def info(self) -> object:
        return self._inner.info.model_copy(update={"revision": "other"})

    def embed_queries(self, texts: list[str]) -> list[Vector | None]:
        return self._inner.embed_queries(texts)

    def embed_clips(self, clips: list[ClipMedia]) -> list[Vector | None]:
        return self._inner.embed_clips(clips)


def load_poisonous(model: str | None, *, device: str | None = None) -> Poisonous:
    return Poisonous()


def test_an_archive_is_not_mixed_with_vectors_of_another_embedder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKVIDEO_EMBEDDER")
    with pytest.raises(ArchiveMismatch, match=r"scripted:built-in.*not with sentence_transformers:"):
        index([world.videos], world.archive, Settings.load(profile="cpu"))
    with pytest.raises(ArchiveMismatch, match="not with test_indexing:load_poisonous"):
        index([world.videos], world.archive, Settings.load(embedder="test_indexing:load_poisonous"))


def test_a_second_writer_gets_an_error_that_names_the_first(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 1)
    indexed(videos, tmp_path / "archive")
    with writer_lock(tmp_path / "archive"), pytest.raises(ArchiveLocked, match=r"process \d+ on .+ since 20"):
        indexed(videos, tmp_path / "archive")


def test_readers_are_not_blocked_by_a_writer(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 1)
    indexed(videos, tmp_path / "archive")
    writer, reader = Store.open(tmp_path / "archive"), Store.open(tmp_path / "archive")
    writer.connection.execute("BEGIN IMMEDIATE")
    assert reader.counts()["videos"] == 1
    writer.connection.execute("ROLLBACK")
    writer.close()
    reader.close()


@pytest.mark.parametrize("damage", ["cut", "zeroed tail", "flipped", "gone", "manifest gone", "manifest torn"])
def test_a_damaged_vector_file_is_rebuilt_before_it_answers(world: World, tmp_path: Path, damage: str) -> None:
    shutil.copytree(world.archive, tmp_path / "archive")
    file, manifest = tmp_path / "archive" / "visual.faiss", tmp_path / "archive" / "visual.json"
    data = file.read_bytes()
    if damage == "cut":
        file.write_bytes(data[:-40])
    elif damage == "zeroed tail":
        file.write_bytes(data[:-200] + bytes(200))
    elif damage == "flipped":
        file.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    elif damage == "manifest torn":
        manifest.write_text(manifest.read_text()[:20])
    else:
        (file if damage == "gone" else manifest).unlink()
    store = Store.open(tmp_path / "archive")
    found = VectorIndex.open(store)
    stored = store.vectors()
    for number, vector in zip(stored.numbers.tolist(), stored.vectors.astype(np.float32), strict=True):
        exact = stored.vectors.astype(np.float32) @ vector
        best = found.search(vector, depth=len(stored.numbers))
        assert [n.cosine for n in best] == pytest.approx(sorted(exact, reverse=True), abs=1e-6)
        assert any(n.number == number and n.cosine == pytest.approx(float(vector @ vector)) for n in best)
    assert file.read_bytes() == data  # derived: the same vectors give the same bytes
    assert json.loads(manifest.read_text())["vectors"] == len(stored.numbers)
    store.close()


def test_an_unwritable_vector_file_is_a_warning_and_search_still_works(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(world.archive, tmp_path / "archive")
    (tmp_path / "archive" / "visual.faiss").unlink()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = Store.open(tmp_path / "archive")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        found = VectorIndex.open(store)
    assert len(found) == len(world.clips)
    assert "cannot be written" in caplog.text
    assert sorted(p.name for p in (tmp_path / "archive").glob("*visual*")) == ["visual.json"]  # no half of a file stays
    store.close()


def test_a_folder_without_media_is_an_error_that_names_the_suffixes(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=r"no video or audio file under .* looked for .*\.mp4"):
        discover([tmp_path])
    with pytest.raises(InputError, match="there is no "):
        discover([tmp_path / "missing"])


def test_files_are_found_by_suffix_once_in_order_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.MP4", "a/c.mkv", "a/.hidden.mp4", ".git/d.mp4", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [p.relative_to(tmp_path).as_posix() for p in discover([tmp_path, tmp_path / "a"])] == ["a/c.mkv", "b.MP4"]
    assert discover([tmp_path / "e.txt"]) == [tmp_path / "e.txt"]


def test_a_missing_archive_is_an_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="rankvideo index FOLDER --output"):
        Store.open(tmp_path)


def test_a_file_that_is_no_database_is_refused_as_an_archive(tmp_path: Path) -> None:
    (tmp_path / "archive.db").write_bytes(b"not a database" * 100)
    with pytest.raises(ArchiveError, match="cannot be read as an archive"):
        Store.open(tmp_path)


def test_an_archive_of_a_newer_format_is_refused(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.archive, tmp_path / "archive")
    store = Store.open(tmp_path / "archive")
    store.connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    store.close()
    with pytest.raises(ArchiveMismatch, match=r"format 99.*use the version that made this archive"):
        Store.open(tmp_path / "archive")


def test_a_full_disk_is_reported_and_committed_videos_stay(world: World, tmp_path: Path) -> None:
    videos = a_few(world, tmp_path / "videos", 1)
    indexed(videos, tmp_path / "archive", clip_seconds=0.05)
    (pages,) = sqlite3.connect(tmp_path / "archive" / "archive.db").execute("PRAGMA page_count").fetchone()

    def full(path: Path) -> sqlite3.Connection:
        # SQLite reports a page limit as it does a full disk: "database or disk is full".
        connection = database.connect(path)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    shutil.copy2(world.videos / f"{world.clips[1].stem}.mp4", videos)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "connect", full)
        with pytest.raises(ArchiveError, match=r"disk is full.*run the same command again to continue"):
            index([videos], tmp_path / "archive", Settings.load())
    rest = index([videos], tmp_path / "archive", Settings.load())
    assert (rest.unchanged, [f.outcome for f in rest.files]) == (1, ["ok", "ok"])


@pytest.mark.parametrize(
    ("duration", "clip_seconds", "overlap", "expected"),
    [
        (13.0, 30.0, 0.0, [(0, 13)]),
        (30.0, 30.0, 0.0, [(0, 30)]),
        (32.0, 30.0, 0.0, [(0, 16), (16, 32)]),
        (90.0, 30.0, 0.0, [(0, 30), (30, 60), (60, 90)]),
        # Two windows of length L that share 5 s cover 2L - 5 = 50 s: L = 27.5.
        (50.0, 30.0, 5.0, [(0, 27.5), (22.5, 50)]),
        (0.0, 30.0, 0.0, [(0, 0.1)]),
    ],
)
def test_clips_are_equal_windows_that_cover_the_video(
    duration: float, clip_seconds: float, overlap: float, expected: list[tuple[float, float]]
) -> None:
    clips = segment("v", duration, clip_seconds=clip_seconds, overlap=overlap)
    assert [(clip.start, clip.end) for clip in clips] == expected
    assert len({clip.clip_id for clip in clips}) == len(clips)


def test_text_belongs_to_every_clip_that_it_overlaps() -> None:
    spans = [
        TextSpan(channel="speech", text=text, start=start, end=end, source="t")
        for text, start, end in (("one", 0, 2), ("two", 2, 4), ("two", 4, 6), ("three", 6, 8))
    ]
    assert text_within(spans, "speech", 3.0, 6.0) == "two"
    assert text_within(spans, "speech", 1.0, 6.5) == "one two three"
    assert text_within(spans, "on_screen", 0.0, 9.0) == ""


def test_a_backend_that_is_not_installed_names_the_package_and_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    monkeypatch.delitem(sys.modules, "rankvideo_rag.models.ocr.rapidocr", raising=False)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(MissingDependency, match=r"pip install 'rankvideo-rag\[ocr\]'"):
        index([tmp_path], tmp_path / "archive", Settings.load(ocr="rapidocr"))
    assert not (tmp_path / "archive").exists()
