"""Vectors of text: computed with the files, and later from stored text without opening a file."""

import shutil
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.archive_dump import dump
from support.world import World

from rankvideo_rag import VideoArchive
from rankvideo_rag.errors import ArchiveMismatch, InputError
from rankvideo_rag.indexing import run, text_index
from rankvideo_rag.indexing.describe import describe
from rankvideo_rag.indexing.dry_run import plan_index
from rankvideo_rag.indexing.run import index
from rankvideo_rag.indexing.update import remove, update
from rankvideo_rag.models.text_embedders import Vectors, load_text_embedder
from rankvideo_rag.schema import TextChannel
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import collect_garbage
from rankvideo_rag.storage.integrity import check_integrity
from rankvideo_rag.storage.store import Store
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM

PLAIN = Settings.load(embedder="scripted", ocr="none", text_embedder="scripted")
CUES = ["The heron waits.", "A kingfisher dives into the lake.", "Later the fox comes to drink."]


@pytest.fixture
def videos(world: World, tmp_path: Path) -> Path:
    """Three clips in a folder, each with a sentence in subtitles beside it."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for name, clip, text in zip("abc", world.clips, CUES, strict=False):
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder / f"{name}.mp4")
        (folder / f"{name}.srt").write_text(f"1\n00:00:00,500 --> 00:00:02,000\n{text}\n")
    return folder


@pytest.fixture
def archive(videos: Path, tmp_path: Path) -> Path:
    index([videos], tmp_path / "archive", PLAIN)
    return tmp_path / "archive"


def nearest(archive: Path, question: str, channel: TextChannel = "speech") -> str | None:
    """Return the text of the passage nearest to a question."""
    with VideoArchive.open(archive) as opened:
        embedder = opened.text_embedder()
        assert embedder is not None
        found = opened.text_vectors(channel).search(embedder.embed_queries([question])[0], depth=1)
        passages = opened.store.passages(hit.number for hit in found)
        return passages[found[0].number].text if found else None


def count_vectors(archive: Path) -> int:
    with closing(Store.open(archive)) as store:
        return store.counts()["text_vectors"]


def updated(archive: Path, **options: Any) -> tuple[int, int, int]:
    """Update an archive, and return how many files were decoded, clips and texts embedded."""
    report = update(archive, Settings.load(**options)).report
    return report.decodes, report.embeddings, report.texts


def test_indexing_embeds_the_passages(archive: Path) -> None:
    assert count_vectors(archive) == 3
    assert nearest(archive, "a kingfisher dives into") == CUES[1]
    assert check_integrity(archive) == []


def test_an_update_without_changes_loads_no_text_embedder(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "load_text_embedder_of", lambda settings: pytest.fail("nothing is to be embedded"))
    before = dump(archive)
    assert updated(archive) == (0, 0, 0)
    assert dump(archive) == before


def test_another_text_embedder_embeds_the_stored_text_again_without_opening_a_file(archive: Path, videos: Path) -> None:
    with closing(Store.open(archive)) as store:
        before = store.vectors().vectors
    plan = plan_index([videos], archive, Settings.load(text_embedder="scripted", text_embedder_model="8"))
    assert (plan.unchanged, plan.text_videos, plan.changed_options) == (3, 3, ())
    assert updated(archive, text_embedder="scripted", text_embedder_model="8") == (0, 0, 3)
    assert nearest(archive, "a kingfisher dives into") == CUES[1]
    with closing(Store.open(archive)) as store:
        assert {len(vector) for video in store.videos() for vector in store.text_vectors_of(video).values()} == {8}
        assert np.array_equal(store.vectors().vectors, before)
    assert check_integrity(archive) == []


def test_the_text_embedder_can_be_switched_off_and_on(archive: Path) -> None:
    assert updated(archive, text_embedder="none") == (0, 0, 0)
    assert count_vectors(archive) == 0
    assert not (archive / "speech.faiss").exists()
    with VideoArchive.open(archive) as opened:
        assert opened.text_embedder() is None
        assert len(opened.text_vectors("speech")) == 0
    assert check_integrity(archive) == []
    assert updated(archive, text_embedder="scripted") == (0, 0, 3)
    assert nearest(archive, "heron") == CUES[0]


def test_embedding_that_is_interrupted_continues(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def __init__(self) -> None:
            self.inner = load_text_embedder("scripted", "8")
            self.info, self.calls = self.inner.info, 0

        def embed_queries(self, texts: Sequence[str]) -> Vectors:
            return self.inner.embed_queries(texts)

        def embed_passages(self, texts: Sequence[str]) -> Vectors:
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return self.inner.embed_passages(texts)

    monkeypatch.setattr(text_index, "_BATCH", 1)
    with monkeypatch.context() as patch:
        patch.setattr(run, "load_text_embedder_of", lambda settings: Interrupted())
        with pytest.raises(KeyboardInterrupt):
            updated(archive, text_embedder="scripted", text_embedder_model="8")
    assert count_vectors(archive) == 1
    assert [problem.check for problem in check_integrity(archive)] == ["text to embed", "vector index"]
    assert updated(archive) == (0, 0, 2)
    assert check_integrity(archive) == []


def test_a_search_with_another_text_embedder_is_refused(archive: Path) -> None:
    with (
        VideoArchive.open(archive, text_embedder="scripted", text_embedder_model="8") as opened,
        pytest.raises(ArchiveMismatch, match=r"scripted:built-in \(32 dimensions.*not with scripted:8.*--text-embedder"),
    ):
        opened.text_embedder()


def test_a_text_embedder_that_changes_under_an_open_archive_is_noticed(archive: Path) -> None:
    with VideoArchive.open(archive) as opened:
        assert opened.text_embedder() is not None
        updated(archive, text_embedder="scripted", text_embedder_model="8")
        with pytest.raises(ArchiveMismatch):
            opened.text_embedder()


def test_an_open_archive_sees_the_vectors_of_a_new_video(archive: Path, videos: Path, world: World) -> None:
    with VideoArchive.open(archive) as opened:
        assert len(opened.text_vectors("speech")) == 3
        shutil.copy2(world.videos / f"{world.clips[3].stem}.mp4", videos / "d.mp4")
        (videos / "d.srt").write_text("1\n00:00:00,500 --> 00:00:02,000\nAn owl calls.\n")
        index([videos], archive)
        assert len(opened.text_vectors("speech")) == 4


def test_changed_subtitles_change_the_vectors(archive: Path, videos: Path) -> None:
    (videos / "a.srt").write_text("1\n00:00:00,500 --> 00:00:02,000\nThe bittern booms.\n")
    assert updated(archive)[1:] == (0, 1)
    assert count_vectors(archive) == 3
    assert nearest(archive, "bittern") == "The bittern booms."


def test_descriptions_are_embedded_and_stay_when_subtitles_change(archive: Path, videos: Path) -> None:
    describe(archive, ScriptedVLM())
    assert count_vectors(archive) == 6
    assert nearest(archive, "red", "description") is not None
    (videos / "a.srt").unlink()
    updated(archive)
    assert count_vectors(archive) == 5
    assert check_integrity(archive) == []


def test_removed_videos_leave_no_vector(archive: Path, videos: Path) -> None:
    remove(archive, [str(videos / "b.mp4")])
    collect_garbage(archive)
    assert count_vectors(archive) == 2
    assert nearest(archive, "a kingfisher dives into") != CUES[1]
    assert check_integrity(archive) == []
    remove(archive, [str(videos)])
    assert not (archive / "speech.faiss").exists()


def test_text_that_the_embedder_does_not_know_has_no_vector(videos: Path, tmp_path: Path) -> None:
    (videos / "a.srt").write_text("1\n00:00:00,500 --> 00:00:02,000\nქართული\n", encoding="utf-8")
    index(
        [videos],
        tmp_path / "new",
        PLAIN.model_copy(update={"text_embedder": "static", "text_embedder_model": "bundled:static-en"}),
    )
    assert count_vectors(tmp_path / "new") == 2
    assert check_integrity(tmp_path / "new") == []
    assert updated(tmp_path / "new") == (0, 0, 0)
    assert updated(tmp_path / "new", text_embedder="scripted") == (0, 0, 3)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM text_vectors WHERE passage = 1",
        "UPDATE text_vectors SET vector = zeroblob(64) WHERE passage = 1",
        "UPDATE text_vectors SET vector = zeroblob(6) WHERE passage = 1",
        "UPDATE videos SET text_vectors = NULL",
    ],
)
def test_damaged_vectors_are_found_and_computed_again(archive: Path, damage: str) -> None:
    before = dump(archive)
    with closing(Store.open(archive)) as store:
        store.connection.execute(damage)
    assert check_integrity(archive) != []
    check_integrity(archive, repair=True)
    updated(archive)
    assert check_integrity(archive) == []
    assert dump(archive) == before


def test_an_unknown_backend_is_named(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no backend 'nonsense' .*static"):
        index([videos], tmp_path / "new", embedder="scripted", ocr="none", text_embedder="nonsense")
