"""The vector index derived from an archive: results, damage, interrupted builds, full disks."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.vectors import clustered_vectors, put_clips

from rankvideo_rag.errors import ArchiveError, InputError
from rankvideo_rag.storage.gc import collect_garbage, disk_usage
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex, derived_files, find_fault

DIM, COUNT = 32, 6400
IVFPQ = IndexOptions(flat_below=1000, recall=0.999)  # some thousand vectors get an IVF-PQ index
ALL = np.arange(1, COUNT + 1)

Float16 = NDArray[np.float16]
Float32 = NDArray[np.float32]


def nearest(vectors: Float16, query: Float32, depth: int, among: NDArray[np.int64]) -> list[int]:
    """Search by brute force; clip n has row n - 1."""
    scores = vectors[among - 1].astype(np.float64) @ query
    return [int(n) for n in among[np.argsort(-scores, kind="stable")][:depth]]


@pytest.fixture(scope="module")
def vectors() -> Float16:
    return clustered_vectors(COUNT, seed=1)


@pytest.fixture(scope="module")
def queries() -> Float32:
    return clustered_vectors(50, seed=2).astype(np.float32)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, vectors: Float16) -> Path:
    """An archive with an IVF-PQ index, which tests copy."""
    folder = tmp_path_factory.mktemp("many") / "archive"
    store = Store.create(folder, {})
    put_clips(store, vectors)
    assert VectorIndex.open(store, IVFPQ).tuning is not None
    store.close()
    return folder


@pytest.fixture
def store(original: Path, tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "archive"
    folder.mkdir()
    for file in original.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    opened = Store.open(folder)
    yield opened
    opened.close()


def recall(index: VectorIndex, vectors: Float16, queries: Float32) -> float:
    """Return the share of the true 20 neighbours found; compare every score with the inner product."""
    shares = []
    for query in queries:
        found = index.search(query, depth=20)
        for hit in found:
            assert hit.cosine == pytest.approx(float(vectors[hit.number - 1].astype(np.float64) @ query), abs=1e-5)
        assert [hit.cosine for hit in found] == sorted((hit.cosine for hit in found), reverse=True)
        shares.append(len({hit.number for hit in found} & set(nearest(vectors, query, 20, ALL[: len(vectors)]))) / 20)
    return float(np.mean(shares))


def faults(store: Store) -> list[str | None]:
    return [find_fault(file, store.generation) for file in derived_files(store.folder)]


def delete_derived_files(store: Store) -> None:
    for file in derived_files(store.folder):
        file.unlink()


def test_ivfpq_finds_what_exact_search_finds_with_the_same_scores(store: Store, vectors: Float16, queries: Float32) -> None:
    index = VectorIndex.open(store, IVFPQ)
    assert index.tuning is not None
    assert index.tuning.recall_at_100 >= IVFPQ.recall
    assert 1 <= index.tuning.probes <= index.tuning.lists == 160  # 2 sqrt(6400)
    assert (len(index), index.dim) == (COUNT, DIM)
    assert recall(index, vectors, queries) >= 0.99
    assert {file.name for file in derived_files(store.folder)} == {"visual.faiss", "visual.rescore"}
    assert disk_usage(store.folder).vector_index > COUNT * DIM * 2


def test_all_clips_can_be_returned(store: Store, queries: Float32) -> None:
    found = VectorIndex.open(store, IVFPQ).search(queries[0], depth=COUNT + 5)
    assert sorted(hit.number for hit in found) == ALL.tolist()


@pytest.mark.parametrize("allowed", [1, 30, 1500, 4000])
def test_a_filter_of_any_size_returns_the_nearest_of_its_clips(
    store: Store, vectors: Float16, queries: Float32, allowed: int
) -> None:
    index = VectorIndex.open(store, IVFPQ)
    among = np.sort(np.random.default_rng(allowed).choice(ALL, allowed, replace=False))
    hits = 0
    for query in queries:
        found = [hit.number for hit in index.search(query, depth=20, among=among)]
        assert len(found) == min(20, allowed)
        assert set(found) <= set(among.tolist())
        hits += len(set(found) & set(nearest(vectors, query, 20, among)))
    assert hits / (len(queries) * min(20, allowed)) >= (1.0 if allowed <= 1500 else 0.99)


def test_a_filter_may_name_clips_without_a_vector(store: Store, queries: Float32) -> None:
    index = VectorIndex.open(store, IVFPQ)
    assert [hit.number for hit in index.search(queries[0], depth=9, among=np.array([0, 3, COUNT + 7]))] == [3]
    assert index.search(queries[0], depth=9, among=np.array([COUNT + 7])) == []


@pytest.mark.parametrize("name", ["visual.faiss", "visual.rescore", "visual.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "zeroed tail", "gone"])
def test_damage_to_any_derived_file_is_found_before_it_is_used(
    store: Store, vectors: Float16, queries: Float32, name: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = store.folder / name
    data = file.read_bytes()
    at = len(data) - 5 if name == "visual.json" else 1000
    damaged = {
        "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "cut": data[: len(data) // 2],
        "zeroed tail": data[:-64] + bytes(64),
        "gone": b"",
    }[damage]
    file.write_bytes(damaged) if damaged else file.unlink()
    assert any(faults(store)) or damage == "gone"
    index = VectorIndex.open(store, IVFPQ)
    everything = index.search(queries[0], depth=COUNT)
    assert [hit.number for hit in everything] == nearest(vectors, queries[0], COUNT, ALL)
    assert recall(index, vectors, queries[:5]) >= 0.98
    assert "damaged" in caplog.text or damage == "gone"
    assert faults(store) == [None, None]


def test_a_manifest_without_its_checksum_is_damaged(store: Store) -> None:
    manifest = store.folder / "visual.json"
    manifest.write_text(manifest.read_text().replace('"check"', '"other"'))
    assert "is damaged" in (find_fault(store.folder / "visual.faiss", store.generation) or "")


def test_damaged_vectors_are_read_from_the_archive_and_repaired_while_the_index_is_open(
    store: Store, vectors: Float16, queries: Float32, caplog: pytest.LogCaptureFixture
) -> None:
    index = VectorIndex.open(store, IVFPQ)
    file = store.folder / "visual.rescore"
    data = file.read_bytes()
    damaged = bytearray(data)
    damaged[: COUNT * DIM * 2] = bytes(COUNT * DIM * 2)
    file.write_bytes(bytes(damaged))
    assert find_fault(file, store.generation) is not None
    assert recall(index, vectors, queries) >= 0.99
    assert "is damaged and was read from the archive; the file is repaired" in caplog.text
    index.search(queries[0], depth=COUNT)
    assert file.read_bytes() == data


def test_a_changed_archive_is_indexed_without_training_its_lists_again(
    store: Store, vectors: Float16, queries: Float32
) -> None:
    stale = VectorIndex.open(store, IVFPQ)
    put_clips(store, clustered_vectors(400, seed=3), first=COUNT + 1)
    store.connection.execute("DELETE FROM clips WHERE clip <= 100")
    assert find_fault(store.folder / "visual.faiss", store.generation) == "is stale: the archive has changed since"
    index = VectorIndex.open(store, IVFPQ)
    assert (len(stale), len(index)) == (COUNT, COUNT + 300)
    assert index.tuning is not None
    assert index.tuning.trained_on == COUNT
    now = np.vstack([vectors, clustered_vectors(400, seed=3)])
    for query in queries:
        found = [hit.number for hit in index.search(query, depth=20)]
        assert len(set(found) & set(nearest(now, query, 20, np.arange(101, len(now) + 1)))) >= 19
    assert recall(stale, vectors, queries[:5]) >= 0.98  # an open index stays at its generation


def test_an_archive_that_has_shrunk_is_flat_again_without_a_rescore_file(store: Store, queries: Float32) -> None:
    store.connection.execute("DELETE FROM clips WHERE clip > 500")
    store.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    index = VectorIndex.open(store, IVFPQ)
    assert index.tuning is None
    assert len(index.search(queries[0], depth=1000)) == 500
    assert [file.name for file in derived_files(store.folder)] == ["visual.faiss"]


def test_garbage_collection_deletes_the_files_of_a_killed_build(store: Store) -> None:
    for name in (".visual.rescore.99", ".visual.faiss.99", ".visual.json.99"):
        (store.folder / name).write_bytes(b"half")
    store.close()
    result = collect_garbage(store.folder)
    assert result.garbage.files == [".visual.faiss.99", ".visual.json.99", ".visual.rescore.99"]
    assert not list(store.folder.glob(".visual*"))


KILLED_BUILD = """
import os, sys
from pathlib import Path
from rankvideo_rag.storage import ivfpq_build, vector_index
from rankvideo_rag.storage.store import Store
module = ivfpq_build if hasattr(ivfpq_build, sys.argv[2]) else vector_index
step = getattr(module, sys.argv[2])
def then_die(*arguments):
    step(*arguments)
    os.kill(os.getpid(), 9)
setattr(module, sys.argv[2], then_die)
vector_index.VectorIndex.open(Store.open(Path(sys.argv[1])), vector_index.IndexOptions(flat_below=1000))
"""


@pytest.mark.parametrize("step", ["_write_rescore_file", "_tune", "write_index", "write_manifest"])
def test_a_killed_build_leaves_nothing_that_is_used_as_an_index(
    store: Store, vectors: Float16, queries: Float32, step: str
) -> None:
    delete_derived_files(store)
    done = subprocess.run([sys.executable, "-c", KILLED_BUILD, str(store.folder), step], check=False)
    assert done.returncode == -signal.SIGKILL
    index = VectorIndex.open(store, IVFPQ)
    assert recall(index, vectors, queries[:5]) >= 0.98
    assert sorted(file.name for file in store.folder.glob("*visual*")) == ["visual.faiss", "visual.json", "visual.rescore"]
    assert faults(store) == [None, None]


def test_a_build_that_holds_few_vectors_at_a_time_gives_as_good_an_index(
    store: Store, vectors: Float16, queries: Float32
) -> None:
    delete_derived_files(store)
    index = VectorIndex.open(store, IVFPQ._replace(memory=60_000))  # 312 vectors
    assert index.tuning is not None
    assert recall(index, vectors, queries[:5]) >= 0.98


def test_a_full_disk_costs_a_warning_and_no_result(
    store: Store, vectors: Float16, queries: Float32, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delete_derived_files(store)
    allocate = os.posix_fallocate

    def full(descriptor: int, offset: int, length: int) -> None:
        if str(store.folder) in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, "No space left on device")
        allocate(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full)
    index = VectorIndex.open(store, IVFPQ)
    assert "No space left on device" in caplog.text
    assert recall(index, vectors, queries[:5]) >= 0.98
    assert derived_files(store.folder) == []
    monkeypatch.setattr(os, "posix_fallocate", lambda *given: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ArchiveError, match=r"no room to build the vector index .* 6,400 vectors need 0\.0 GB"):
        VectorIndex.open(store, IVFPQ)


def test_vectors_of_different_sizes_are_an_error_that_names_the_doctor(store: Store) -> None:
    store.connection.execute("UPDATE vectors SET vector = x'0000' WHERE clip = 77")
    store.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    with pytest.raises(ArchiveError, match="differ in size: rankvideo doctor"):
        VectorIndex.open(store, IVFPQ)


def test_a_gpu_without_gpu_support_in_faiss_is_an_error(store: Store) -> None:
    with pytest.raises(InputError, match="pip uninstall faiss-cpu"):
        VectorIndex.open(store, IndexOptions(gpu=True))
