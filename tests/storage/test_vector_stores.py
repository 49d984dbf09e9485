"""Vectors in a LlamaIndex vector store: it finds what FAISS finds, and a copy that is not the archive's never answers."""

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
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.cli import app
from rankvideo_rag.errors import ArchiveError, InputError, MissingDependency
from rankvideo_rag.indexing.run import index
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import collect_garbage
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import VectorIndex, derived_files
from rankvideo_rag.storage.vector_stores import open_vector_index

DIM, COUNT, VIDEOS = 24, 2_600, 13


def topics(count: int, seed: int) -> NDArray[np.float16]:
    """Unit vectors around thirty centres."""
    random, fixed = np.random.default_rng(seed), np.random.default_rng(0)
    centres = fixed.standard_normal((30, DIM))
    found = centres[random.integers(0, 30, count)] + 0.5 * random.standard_normal((count, DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def put(store: Store, video: str, vectors: NDArray[np.float16], *, first: int) -> None:
    """A video whose clips, numbered from `first`, have these vectors, in the place of what it had."""
    connection = store.connection
    connection.execute("BEGIN")
    connection.execute("DELETE FROM videos WHERE video_id = ?", (video,))
    if len(vectors):
        connection.execute("INSERT INTO videos VALUES (?, '', '{}', '', 'ok', NULL, '', 0, NULL)", (video,))
    for number, vector in enumerate(vectors, first):
        connection.execute("INSERT INTO clips VALUES (?, ?, ?, 0, 1)", (number, f"{video}-{number}", video))
        connection.execute("INSERT INTO vectors VALUES (?, 'visual', ?)", (number, vector.tobytes()))
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    connection.execute("COMMIT")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Thirteen videos of two hundred clips each. Tests must not change it."""
    with_store = Store.create(tmp_path_factory.mktemp("filled") / "archive", {})
    for number, part in enumerate(np.split(topics(COUNT, seed=1), VIDEOS)):
        put(with_store, f"video{number}", part, first=1 + number * len(part))
    yield with_store
    with_store.close()


@pytest.fixture(scope="module")
def milvus(filled: Store) -> VectorIndex:
    pytest.importorskip("milvus_lite")
    return open_vector_index(filled, Settings.load(vector_store=f"milvus:{filled.folder / 'copy.db'}"))


def same(one: VectorIndex, other: VectorIndex, question: Any, **options: Any) -> None:
    """Both give the same clips in the same order, with the same scores up to rounding."""
    first, second = (searched.search(question.astype(np.float32), **options) for searched in (one, other))
    assert [hit.clip for hit in first] == [hit.clip for hit in second]
    assert [hit.cosine for hit in first] == pytest.approx([hit.cosine for hit in second], abs=1e-5)


# --- Milvus Lite ----------------------------------------------------------------------------------------------------


def test_milvus_finds_what_faiss_finds_with_the_same_scores(filled: Store, milvus: VectorIndex) -> None:
    faiss = VectorIndex.open(filled)
    assert (len(milvus), milvus.dim, milvus.generation) == (COUNT, DIM, filled.generation)
    for question in topics(25, seed=2):
        same(milvus, faiss, question, depth=100)
    same(milvus, faiss, topics(1, seed=3)[0], depth=COUNT + 5)


@pytest.mark.parametrize("allowed", [0, 1, 40, 1_600, 2_400])
def test_milvus_finds_what_faiss_finds_under_a_filter(filled: Store, milvus: VectorIndex, allowed: int) -> None:
    faiss = VectorIndex.open(filled)
    among = np.sort(np.random.default_rng(allowed).choice(np.arange(1, COUNT + 1), allowed, replace=False))
    for question in topics(10, seed=4):
        same(milvus, faiss, question, depth=50, among=among)


def test_a_filter_that_leaves_only_what_is_far_away_is_answered_all_the_same(filled: Store, milvus: VectorIndex) -> None:
    question = topics(1, seed=5)[0].astype(np.float32)
    nearest = [hit.clip for hit in VectorIndex.open(filled).search(question, depth=COUNT)]
    found = milvus.search(question, depth=20, among=np.array(nearest[900:]))
    assert [hit.clip for hit in found] == nearest[900:920]


def test_more_than_a_store_gives_at_once_is_refused_in_words(milvus: VectorIndex) -> None:
    index = VectorIndex(milvus._searched, milvus.generation)
    assert index._searched is not None
    with pytest.raises(InputError, match=r"asked for at most 16,376 clips at once, not for 20,000"):
        index._searched.search(np.ones(DIM, dtype=np.float32), 20_000, None)


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
    assert derived_files(archive) == []  # FAISS is not needed
    collect_garbage(archive)
    assert derived_files(archive) == []
    title = world.clips[0].stem
    by_title = MetadataFilters(filters=[MetadataFilter(key="title", value=title)])
    cosines = []
    for options in ({"vector_store": place}, {}):
        with VideoArchive.open(archive, **options) as opened:
            question = opened.embedder().embed_queries(["a red circle"])[0]
            assert question is not None
            cosines.append({hit.clip: hit.cosine for hit in opened.vectors().search(question, depth=50)})
            (hit,) = nodes_to_hits(opened.as_retriever(filters=by_title).retrieve("a red circle"))
            assert (hit.title, hit.channels) == (title, {"visual": 1})
    assert len(cosines[0]) == len(world.clips)
    assert cosines[0] == pytest.approx(cosines[1], abs=1e-5)


def test_a_server_that_is_not_there_is_an_error_that_says_what_to_do(filled: Store) -> None:
    pytest.importorskip("pymilvus")
    with pytest.raises(
        ArchiveError, match=r"milvus:http://127.0.0.1:1 does not do .* Is it running.* leave --vector-store out"
    ):
        open_vector_index(filled, Settings.load(vector_store="milvus:http://127.0.0.1:1"))


@pytest.mark.parametrize("file", ["vectors", "nowhere/vectors.db"])
def test_a_place_where_milvus_cannot_be_is_refused(filled: Store, file: str) -> None:
    pytest.importorskip("pymilvus")
    with pytest.raises(InputError, match=r"no server .* and no file for Milvus Lite: that one ends in \.db"):
        open_vector_index(filled, Settings.load(vector_store=f"milvus:{file}"))


def test_a_package_that_is_missing_is_told_with_its_extra_before_anything_is_indexed(
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


@pytest.mark.parametrize("place", ["milvus", "elastic", "milvus:"])
def test_a_place_that_is_none_is_answered_with_those_there_are(filled: Store, place: str) -> None:
    with pytest.raises(InputError, match=r"give faiss, milvus:URI, or package\.module:function"):
        open_vector_index(filled, Settings.load(vector_store=place))


# --- any store, and keeping it in step ------------------------------------------------------------------------------


class Counting(SimpleVectorStore):
    """LlamaIndex's store in memory, which tells what it was given, and breaks when told to."""

    given: list[str] = Field(default_factory=list)
    breaks_after: int | None = None

    def add(self, nodes: list[BaseNode], **options: Any) -> list[str]:  # type: ignore[override]
        for node in nodes:
            if self.breaks_after is not None and len(self.given) >= self.breaks_after:
                raise OSError("the network is gone")
            self.given.append(node.node_id)
            super().add([node])
        return [node.node_id for node in nodes]


KEPT = Counting()


def somewhere(dim: int) -> SimpleVectorStore:
    """A store of one's own, as `--vector-store test_vector_stores:somewhere` names it."""
    assert dim == DIM
    return KEPT


HERE = Settings.load(vector_store=f"{__name__}:somewhere")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """Three videos of forty clips."""
    monkeypatch.setattr(sys.modules[__name__], "KEPT", Counting())
    with_store = Store.create(tmp_path / "archive", {})
    for number, part in enumerate(np.split(topics(120, seed=6), 3)):
        put(with_store, f"video{number}", part, first=1 + number * 40)
    yield with_store
    with_store.close()


def taken() -> set[str]:
    """The videos of the clips that the store was given since this was last asked."""
    found = {clip_id.partition("-")[0] for clip_id in KEPT.given if clip_id.startswith("video")}
    KEPT.given.clear()
    return found


def matches(store: Store) -> None:
    """The copy, opened now, finds what FAISS finds."""
    copied, faiss = open_vector_index(store, HERE), VectorIndex.open(store)
    assert (len(copied), copied.generation) == (len(faiss), store.generation)
    for question in topics(8, seed=7):
        same(copied, faiss, question, depth=15)


def test_any_store_will_do_and_one_that_is_current_is_sent_nothing(store: Store) -> None:
    matches(store)
    assert taken() == {"video0", "video1", "video2"}
    matches(store)
    assert KEPT.given == []


def test_only_videos_that_changed_are_sent_and_those_that_are_gone_are_taken_out(store: Store) -> None:
    matches(store)
    taken()
    put(store, "video1", topics(25, seed=8), first=500)
    put(store, "video2", topics(0, seed=8), first=0)
    put(store, "video3", topics(10, seed=9), first=700)
    matches(store)
    assert taken() == {"video1", "video3"}
    assert len(KEPT.data.embedding_dict) == 40 + 25 + 10 + 1  # and the marker


def test_the_last_video_may_go_and_another_one_come(store: Store) -> None:
    matches(store)
    for number in range(3):
        put(store, f"video{number}", topics(0, seed=0), first=0)
    matches(store)
    put(store, "video9", topics(5, seed=10), first=900)
    matches(store)


def test_a_store_that_somebody_else_changed_is_filled_anew_before_it_answers(store: Store, tmp_path: Path) -> None:
    matches(store)
    taken()
    other = Store.create(tmp_path / "other", {})
    put(other, "video7", topics(30, seed=11), first=1)
    matches(other)
    assert taken() == {"video7"}
    other.close()
    matches(store)
    assert taken() == {"video0", "video1", "video2"}


def test_a_store_that_broke_halfway_is_filled_anew(store: Store) -> None:
    matches(store)
    put(store, "video1", topics(25, seed=8), first=500)
    KEPT.breaks_after = len(KEPT.given) + 10
    with pytest.raises(ArchiveError, match=r"OSError: the network is gone.*The archive is whole"):
        open_vector_index(store, HERE)
    KEPT.breaks_after = None
    taken()
    matches(store)
    assert taken() == {"video0", "video1", "video2"}


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"place": 3}'])
def test_a_record_that_is_lost_or_damaged_costs_a_look_and_no_transfer(store: Store, damage: bytes) -> None:
    matches(store)
    taken()
    (store.folder / "vectors.copy.json").write_bytes(damage)
    matches(store)
    assert taken() == set()


def test_a_copy_of_the_archive_elsewhere_shares_the_store(store: Store, tmp_path: Path) -> None:
    matches(store)
    taken()
    shutil.copytree(store.folder, tmp_path / "copied")
    copied = Store.open(tmp_path / "copied")
    matches(copied)
    assert taken() == set()
    copied.close()


def test_no_words_and_no_paths_are_sent(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    from rankvideo_rag.storage.vector_stores.copy import open_external_index

    caplog.set_level(logging.WARNING)
    index([world.videos], tmp_path / "archive", Settings.load(ocr="none"))
    sent: list[BaseNode] = []

    class Noting(SimpleVectorStore):
        def add(self, nodes: list[BaseNode], **options: Any) -> list[str]:  # type: ignore[override]
            sent.extend(nodes)
            return super().add(nodes)

    opened = Store.open(tmp_path / "archive")
    open_external_index(opened, "noting", lambda dim: Noting())
    text = " ".join(node.model_dump_json(exclude={"embedding"}) for node in sent)
    opened.close()
    assert len(sent) == opened_count(world) + 1
    assert str(world.videos) not in text
    assert not [line.text for clip in world.clips for line in clip.narration if line.text in text]
    assert caplog.records == []


def opened_count(world: World) -> int:
    """Every clip of the little world lasts less than a window: one each."""
    return len(world.clips)
