"""Vectors in a LlamaIndex vector store: same results as FAISS, and only from a store that holds the present generation."""

import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, SimpleVectorStore
from numpy.typing import NDArray
from pydantic import Field
from support.vectors import clustered_vectors, delete_video, put_clips
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.cli import app
from rankvideo_rag.errors import ArchiveError, InputError, MissingDependency
from rankvideo_rag.indexing.run import index
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import collect_garbage
from rankvideo_rag.storage.index_files import EXTERNAL_STATE
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import VectorIndex, derived_files
from rankvideo_rag.storage.vector_stores import open_vector_index
from rankvideo_rag.storage.vector_stores.external_index import open_external_index

DIM, COUNT, VIDEOS = 24, 2_600, 13


def vectors(count: int, seed: int) -> NDArray[np.float16]:
    return clustered_vectors(count, seed=seed, dim=DIM)


def create(folder: Path, count: int, videos: int, seed: int) -> Store:
    """Create an archive of so many clips, as many in each video."""
    store = Store.create(folder, {})
    for number, part in enumerate(np.split(vectors(count, seed), videos)):
        put_clips(store, part, first=1 + number * len(part), video=f"video{number}")
    return store


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Thirteen videos of two hundred clips each. Tests must not change it."""
    store = create(tmp_path_factory.mktemp("filled") / "archive", COUNT, VIDEOS, seed=1)
    yield store
    store.close()


@pytest.fixture(scope="module")
def milvus(filled: Store) -> VectorIndex:
    pytest.importorskip("milvus_lite")
    return open_vector_index(filled, Settings.load(vector_store=f"milvus:{filled.folder / 'copy.db'}"))


def assert_same_results(one: VectorIndex, other: VectorIndex, query: Any, **options: Any) -> None:
    first, second = (searched.search(query.astype(np.float32), **options) for searched in (one, other))
    assert [hit.number for hit in first] == [hit.number for hit in second]
    assert [hit.cosine for hit in first] == pytest.approx([hit.cosine for hit in second], abs=1e-5)


# Milvus Lite


def test_milvus_finds_what_faiss_finds_with_the_same_scores(filled: Store, milvus: VectorIndex) -> None:
    faiss = VectorIndex.open(filled)
    assert (len(milvus), milvus.dim, milvus.generation) == (COUNT, DIM, filled.generation)
    for query in vectors(25, seed=2):
        assert_same_results(milvus, faiss, query, depth=100)
    assert_same_results(milvus, faiss, vectors(1, seed=3)[0], depth=COUNT + 5)


@pytest.mark.parametrize("allowed", [0, 1, 40, 1_600, 2_400])
def test_milvus_finds_what_faiss_finds_under_a_filter(filled: Store, milvus: VectorIndex, allowed: int) -> None:
    faiss = VectorIndex.open(filled)
    among = np.sort(np.random.default_rng(allowed).choice(np.arange(1, COUNT + 1), allowed, replace=False))
    for query in vectors(10, seed=4):
        assert_same_results(milvus, faiss, query, depth=50, among=among)


def test_a_filter_that_excludes_the_nearest_clips_is_answered(filled: Store, milvus: VectorIndex) -> None:
    query = vectors(1, seed=5)[0].astype(np.float32)
    nearest = [hit.number for hit in VectorIndex.open(filled).search(query, depth=COUNT)]
    found = milvus.search(query, depth=20, among=np.array(nearest[900:]))
    assert [hit.number for hit in found] == nearest[900:920]


def test_more_clips_than_a_store_returns_per_query_are_refused(milvus: VectorIndex) -> None:
    assert milvus._index is not None
    with pytest.raises(InputError, match=r"returns at most 16,376 clips per query, not 20,000"):
        milvus._index.search(np.ones(DIM, dtype=np.float32), 20_000, None)


def test_an_archive_is_indexed_searched_and_filtered_in_milvus_as_with_faiss(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("milvus_lite")
    place, archive = f"milvus:{tmp_path / 'vectors.db'}#clips", tmp_path / "archive"
    indexed = CliRunner().invoke(
        app, ["index", str(world.videos), "--output", str(archive), "--ocr", "none", "--vector-store", place]
    )
    assert indexed.exit_code == 0, indexed.output
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert [file.name for file in derived_files(archive)] == ["speech.faiss"]  # of clips FAISS needs none
    collect_garbage(archive)
    assert [file.name for file in derived_files(archive)] == ["speech.faiss"]
    title = world.clips[0].stem
    by_title = MetadataFilters(filters=[MetadataFilter(key="title", value=title)])
    cosines = []
    for options in ({"vector_store": place}, {}):
        with VideoArchive.open(archive, **options) as opened:
            query = opened.embedder().embed_queries(["a red circle"])[0]
            assert query is not None
            cosines.append({hit.number: hit.cosine for hit in opened.vectors().search(query, depth=50)})
            (hit,) = nodes_to_hits(opened.as_retriever(filters=by_title).retrieve("a red circle"))
            assert (hit.title, hit.channels) == (title, {"visual": 1})
    assert len(cosines[0]) == len(world.clips)
    assert cosines[0] == pytest.approx(cosines[1], abs=1e-5)


def test_a_server_that_does_not_respond_is_an_error_that_says_what_to_do(filled: Store) -> None:
    pytest.importorskip("pymilvus")
    with pytest.raises(ArchiveError, match=r"milvus:http://127.0.0.1:1 failed .* leave --vector-store out"):
        open_vector_index(filled, Settings.load(vector_store="milvus:http://127.0.0.1:1"))


@pytest.mark.parametrize("file", ["vectors", "nowhere/vectors.db"])
def test_a_path_that_is_no_milvus_lite_file_is_refused(filled: Store, file: str) -> None:
    pytest.importorskip("pymilvus")
    with pytest.raises(InputError, match=r"neither a server .* nor a file for Milvus Lite, which ends in \.db"):
        open_vector_index(filled, Settings.load(vector_store=f"milvus:{file}"))


def test_a_missing_package_is_reported_with_its_extra_before_anything_is_indexed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "rankvideo_rag.storage.vector_stores.milvus", raising=False)
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    arguments = [
        "index",
        str(world.videos),
        "--output",
        str(tmp_path / "archive"),
        "--vector-store",
        "milvus:http://127.0.0.1:1",
    ]
    refused = CliRunner().invoke(app, arguments).exception
    assert isinstance(refused, MissingDependency)
    assert str(refused).endswith("pip install 'rankvideo-rag[milvus]'")
    assert not (tmp_path / "archive").exists()


@pytest.mark.parametrize("name", ["milvus", "elastic", "milvus:"])
def test_an_unknown_vector_store_is_refused_with_the_known_ones(filled: Store, name: str) -> None:
    with pytest.raises(InputError, match=r"give faiss, milvus:URI, or package\.module:function"):
        open_vector_index(filled, Settings.load(vector_store=name))


# Any store, and its updates


class RecordingStore(SimpleVectorStore):
    """LlamaIndex's store in memory, which records the ids it receives and fails after so many."""

    received: list[str] = Field(default_factory=list)
    fails_after: int | None = None

    def add(self, nodes: list[BaseNode], **options: Any) -> list[str]:  # type: ignore[override]
        for node in nodes:
            if self.fails_after is not None and len(self.received) >= self.fails_after:
                raise OSError("the network is gone")
            self.received.append(node.node_id)
            super().add([node])
        return [node.node_id for node in nodes]


EXTERNAL = RecordingStore()


def load_external(dim: int) -> SimpleVectorStore:
    """Return the store, as `--vector-store test_vector_stores:load_external` names it."""
    assert dim == DIM
    return EXTERNAL


SETTINGS = Settings.load(vector_store=f"{__name__}:load_external")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Three videos of forty clips, and an empty external store."""
    monkeypatch.setattr(sys.modules[__name__], "EXTERNAL", RecordingStore())
    store = create(tmp_path / "archive", 120, 3, seed=6)
    yield store
    store.close()


def received_videos() -> set[str]:
    """Return the videos of the clips that the store has received since the last call."""
    found = {clip_id.partition("-")[0] for clip_id in EXTERNAL.received if clip_id.startswith("video")}
    EXTERNAL.received.clear()
    return found


def replace_video(store: Store, video: str, new: NDArray[np.float16], *, first: int) -> None:
    delete_video(store, video)
    put_clips(store, new, first=first, video=video)


def assert_finds_what_faiss_finds(store: Store) -> None:
    external, faiss = open_vector_index(store, SETTINGS), VectorIndex.open(store)
    assert (len(external), external.generation) == (len(faiss), store.generation)
    for query in vectors(8, seed=7):
        assert_same_results(external, faiss, query, depth=15)


def test_a_store_that_is_current_receives_nothing(store: Store) -> None:
    assert_finds_what_faiss_finds(store)
    assert received_videos() == {"video0", "video1", "video2"}
    assert_finds_what_faiss_finds(store)
    assert EXTERNAL.received == []


def test_only_changed_videos_are_sent_and_deleted_ones_are_deleted(store: Store) -> None:
    assert_finds_what_faiss_finds(store)
    received_videos()
    replace_video(store, "video1", vectors(25, seed=8), first=500)
    delete_video(store, "video2")
    put_clips(store, vectors(10, seed=9), first=700, video="video3")
    assert_finds_what_faiss_finds(store)
    assert received_videos() == {"video1", "video3"}
    assert len(EXTERNAL.data.embedding_dict) == 40 + 25 + 10 + 1  # and the marker


def test_an_archive_may_become_empty_and_grow_again(store: Store) -> None:
    assert_finds_what_faiss_finds(store)
    for number in range(3):
        delete_video(store, f"video{number}")
    assert_finds_what_faiss_finds(store)
    put_clips(store, vectors(5, seed=10), first=900, video="video9")
    assert_finds_what_faiss_finds(store)


def test_a_store_that_another_archive_has_changed_is_filled_again(store: Store, tmp_path: Path) -> None:
    assert_finds_what_faiss_finds(store)
    received_videos()
    other = Store.create(tmp_path / "other", {})
    put_clips(other, vectors(30, seed=11), video="video7")
    assert_finds_what_faiss_finds(other)
    assert received_videos() == {"video7"}
    other.close()
    assert_finds_what_faiss_finds(store)
    assert received_videos() == {"video0", "video1", "video2"}


def test_a_store_that_failed_during_an_update_is_filled_again(store: Store) -> None:
    assert_finds_what_faiss_finds(store)
    replace_video(store, "video1", vectors(25, seed=8), first=500)
    EXTERNAL.fails_after = len(EXTERNAL.received) + 10
    with pytest.raises(ArchiveError, match=r"OSError: the network is gone.*The archive is intact"):
        open_vector_index(store, SETTINGS)
    EXTERNAL.fails_after = None
    received_videos()
    assert_finds_what_faiss_finds(store)
    assert received_videos() == {"video0", "video1", "video2"}


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"place": 3}'])
def test_a_lost_or_damaged_state_file_causes_no_transfer(store: Store, damage: bytes) -> None:
    assert_finds_what_faiss_finds(store)
    received_videos()
    (store.folder / EXTERNAL_STATE).write_bytes(damage)
    assert_finds_what_faiss_finds(store)
    assert received_videos() == set()


def test_a_copy_of_the_archive_shares_the_store(store: Store, tmp_path: Path) -> None:
    assert_finds_what_faiss_finds(store)
    received_videos()
    shutil.copytree(store.folder, tmp_path / "copied")
    copied = Store.open(tmp_path / "copied")
    assert_finds_what_faiss_finds(copied)
    assert received_videos() == set()
    copied.close()


def test_no_text_and_no_paths_are_sent(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    index([world.videos], tmp_path / "archive", Settings.load(ocr="none"))
    sent: list[BaseNode] = []

    class KeepingStore(SimpleVectorStore):
        def add(self, nodes: list[BaseNode], **options: Any) -> list[str]:  # type: ignore[override]
            sent.extend(nodes)
            return super().add(nodes)

    opened = Store.open(tmp_path / "archive")
    open_external_index(opened, "keeping", lambda dim: KeepingStore())
    text = " ".join(node.model_dump_json(exclude={"embedding"}) for node in sent)
    opened.close()
    assert len(sent) == len(world.clips) + 1  # each video of the dataset has one clip; and the marker
    assert str(world.videos) not in text
    assert not [line.text for clip in world.clips for line in clip.narration if line.text in text]
    assert caplog.records == []
