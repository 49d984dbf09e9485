"""The derived vector index: two tiers find what exact search finds, no damaged byte answers, nothing half-built stays."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.vectors import put, topics

from rankvideo_rag.errors import ArchiveError, InputError
from rankvideo_rag.eval.benchmarks.clustered import ClusteredVectors
from rankvideo_rag.storage.gc import collect_garbage, disk_usage
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex, derived_files, find_fault

DIM, COUNT = 32, 6400
SMALL = IndexOptions(flat_below=1000, recall=0.999)  # so that some thousand vectors are many


def nearest(vectors: NDArray[np.float16], question: NDArray[np.float32], depth: int, among: NDArray[np.int64]) -> list[int]:
    """Exact search by hand; clip n has row n - 1."""
    products = vectors[among - 1].astype(np.float64) @ question
    return [int(n) for n in among[np.argsort(-products, kind="stable")][:depth]]


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float16]:
    return topics(COUNT, seed=1)


@pytest.fixture(scope="module")
def questions() -> NDArray[np.float32]:
    return topics(50, seed=2).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, vectors: NDArray[np.float16]) -> Path:
    """An archive with a two-tier index, which tests copy."""
    folder = tmp_path_factory.mktemp("many") / "archive"
    store = Store.create(folder, {})
    put(store, vectors)
    assert VectorIndex.open(store, scale=SMALL).tuning is not None
    store.close()
    return folder


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Iterator[Store]:
    folder = tmp_path / "archive"
    folder.mkdir()
    for file in made.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    opened = Store.open(folder)
    yield opened
    opened.close()


def agreement(index: VectorIndex, vectors: NDArray[np.float16], questions: NDArray[np.float32]) -> float:
    """The share of the true 20 neighbours that are found; every score is held against the product by hand."""
    everything, shares = np.arange(1, len(vectors) + 1), []
    for question in questions:
        found = index.search(question, depth=20)
        for hit in found:
            assert hit.cosine == pytest.approx(float(vectors[hit.clip - 1].astype(np.float64) @ question), abs=1e-5)
        assert [hit.cosine for hit in found] == sorted((hit.cosine for hit in found), reverse=True)
        shares.append(len({hit.clip for hit in found} & set(nearest(vectors, question, 20, everything))) / 20)
    return float(np.mean(shares))


def test_two_tiers_find_what_exact_search_finds_with_its_scores(
    store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32]
) -> None:
    index = VectorIndex.open(store, scale=SMALL)
    assert index.tuning is not None
    assert index.tuning.recall_at_100 >= SMALL.recall
    assert 1 <= index.tuning.probes <= index.tuning.lists == 160  # 2 sqrt(6400)
    assert (len(index), index.dim) == (COUNT, DIM)
    assert agreement(index, vectors, questions) >= 0.99
    assert {file.name for file in derived_files(store.folder)} == {"visual.faiss", "visual.rescore"}
    assert disk_usage(store.folder).vector_index > COUNT * DIM * 2


def test_the_whole_archive_can_be_asked_for(store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32]) -> None:
    found = VectorIndex.open(store, scale=SMALL).search(questions[0], depth=COUNT + 5)
    assert sorted(hit.clip for hit in found) == list(range(1, COUNT + 1))


@pytest.mark.parametrize("allowed", [1, 30, 1500, 4000])
def test_a_filter_of_any_size_gives_the_nearest_of_what_it_leaves(
    store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32], allowed: int
) -> None:
    index = VectorIndex.open(store, scale=SMALL)
    among = np.sort(np.random.default_rng(allowed).choice(np.arange(1, COUNT + 1), allowed, replace=False))
    hits = 0
    for question in questions:
        found = [hit.clip for hit in index.search(question, depth=20, among=among)]
        assert len(found) == min(20, allowed)
        assert set(found) <= set(among.tolist())
        hits += len(set(found) & set(nearest(vectors, question, 20, among)))
    assert hits / (len(questions) * min(20, allowed)) >= (1.0 if allowed <= 1500 else 0.99)


def test_a_filter_may_name_clips_that_have_no_vector(store: Store, questions: NDArray[np.float32]) -> None:
    index = VectorIndex.open(store, scale=SMALL)
    assert [hit.clip for hit in index.search(questions[0], depth=9, among=np.array([0, 3, COUNT + 7]))] == [3]
    assert index.search(questions[0], depth=9, among=np.array([COUNT + 7])) == []


@pytest.mark.parametrize("name", ["visual.faiss", "visual.rescore", "visual.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "zeroed tail", "gone"])
def test_damage_to_any_derived_file_is_found_before_it_answers(
    store: Store,
    vectors: NDArray[np.float16],
    questions: NDArray[np.float32],
    name: str,
    damage: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = store.folder / name
    data = file.read_bytes()
    at = len(data) - 5 if name == "visual.json" else 1000
    hurt = {
        "flipped": data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        "cut": data[: len(data) // 2],
        "zeroed tail": data[:-64] + bytes(64),
        "gone": b"",
    }[damage]
    file.write_bytes(hurt) if hurt else file.unlink()
    assert [f for f in derived_files(store.folder) if find_fault(f, store.generation)] or damage == "gone"
    index = VectorIndex.open(store, scale=SMALL)
    everything = index.search(questions[0], depth=COUNT)
    assert [hit.clip for hit in everything] == nearest(vectors, questions[0], COUNT, np.arange(1, COUNT + 1))
    assert agreement(index, vectors, questions[:5]) >= 0.98
    assert "damaged" in caplog.text or damage == "gone"
    assert [find_fault(f, store.generation) for f in derived_files(store.folder)] == [None, None]


def test_a_damaged_row_is_read_from_the_archive_and_mended_while_the_index_is_open(
    store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    index = VectorIndex.open(store, scale=SMALL)
    file = store.folder / "visual.rescore"
    data = file.read_bytes()
    rows = bytearray(data)
    rows[: COUNT * DIM * 2] = bytes(COUNT * DIM * 2)  # a hole in the middle of everything
    file.write_bytes(bytes(rows))
    assert find_fault(file, store.generation) is not None
    assert agreement(index, vectors, questions) >= 0.99
    assert "is damaged and was read from the archive; it is mended" in caplog.text
    index.search(questions[0], depth=COUNT)
    assert file.read_bytes() == data


def test_a_changed_archive_is_brought_up_to_date_without_learning_its_lists_again(
    store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32]
) -> None:
    stale = VectorIndex.open(store, scale=SMALL)
    put(store, topics(400, seed=3), first=COUNT + 1)
    store.connection.execute("DELETE FROM clips WHERE clip <= 100")
    assert find_fault(store.folder / "visual.faiss", store.generation) == "is stale: the archive has changed since"
    index = VectorIndex.open(store, scale=SMALL)
    assert (len(stale), len(index)) == (COUNT, COUNT + 300)
    assert index.tuning is not None
    assert index.tuning.trained_on == COUNT
    now = np.vstack([vectors, topics(400, seed=3)])
    for question in questions:
        found = [hit.clip for hit in index.search(question, depth=20)]
        assert len(set(found) & set(nearest(now, question, 20, np.arange(101, len(now) + 1)))) >= 19
    # The one that was open shows what it was opened at.
    assert agreement(stale, vectors, questions[:5]) >= 0.98


def test_an_archive_that_has_shrunk_is_flat_again_and_its_rows_go(store: Store, questions: NDArray[np.float32]) -> None:
    store.connection.execute("DELETE FROM clips WHERE clip > 500")
    store.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    index = VectorIndex.open(store, scale=SMALL)
    assert index.tuning is None
    assert len(index.search(questions[0], depth=1000)) == 500
    assert [file.name for file in derived_files(store.folder)] == ["visual.faiss"]


def test_collecting_garbage_finds_what_a_killed_build_left(store: Store) -> None:
    for piece in (".visual.rescore.99", ".visual.faiss.99", ".visual.json.99"):
        (store.folder / piece).write_bytes(b"half")
    store.close()
    found = collect_garbage(store.folder)
    assert found.garbage.files == [".visual.faiss.99", ".visual.json.99", ".visual.rescore.99"]
    assert not list(store.folder.glob(".visual*"))


BUILD = """
import os, sys
from pathlib import Path
from rankvideo_rag.storage import ivfpq_build as two_tiers_build
from rankvideo_rag.storage import vector_index as vectors
from rankvideo_rag.storage.store import Store
dies = getattr(two_tiers_build, sys.argv[2], None) or getattr(vectors, sys.argv[2])
def killed(*given, **named):
    made = dies(*given, **named)
    os.kill(os.getpid(), 9)
for room in (two_tiers_build, vectors):
    if hasattr(room, sys.argv[2]):
        setattr(room, sys.argv[2], killed)
vectors.VectorIndex.open(Store.open(Path(sys.argv[1])), scale=vectors.IndexOptions(flat_below=1000))
"""


@pytest.mark.parametrize("step", ["_place", "_tune", "write_index", "write_manifest"])
def test_a_build_that_is_killed_leaves_nothing_that_is_taken_for_an_index(
    store: Store, vectors: NDArray[np.float16], questions: NDArray[np.float32], step: str
) -> None:
    for file in derived_files(store.folder):
        file.unlink()
    done = subprocess.run([sys.executable, "-c", BUILD, str(store.folder), step], check=False)
    assert done.returncode == -signal.SIGKILL
    index = VectorIndex.open(store, scale=SMALL)
    assert agreement(index, vectors, questions[:5]) >= 0.98
    assert sorted(file.name for file in store.folder.glob("*visual*")) == ["visual.faiss", "visual.json", "visual.rescore"]
    assert [find_fault(file, store.generation) for file in derived_files(store.folder)] == [None, None]


CAPPED = """
import sys
from pathlib import Path
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import Scale, VectorIndex
def peak():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("VmHWM"))
few, many = [Store.open(Path(folder)) for folder in sys.argv[1:]]
VectorIndex.open(few, scale=IndexOptions(flat_below=1000, memory=4 << 20))  # what the libraries take when they first work
before = peak()
VectorIndex.open(many, scale=IndexOptions(flat_below=1000, memory=4 << 20))
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_building_holds_a_part_of_the_vectors_at_a_time(tmp_path: Path) -> None:
    few, store = (Store.create(tmp_path / name, {}) for name in ("few", "archive"))
    count, dim = 16_000, 1024  # 33 MB as they are stored, 66 MB as FAISS would have them
    put(few, topics(2000, seed=4, dim=dim))
    put(store, topics(count, seed=4, dim=dim))
    command = [sys.executable, "-c", CAPPED, str(few.folder), str(store.folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    # The finished codes take 4 MB, twice while they are packed; the rest is SQLite's cache and one batch.
    assert int(done.stdout) < 45e6
    assert (store.folder / "visual.rescore").stat().st_size > count * dim * 2
    few.close()
    store.close()


def test_a_folder_that_cannot_be_written_costs_a_warning_and_no_answer(
    store: Store,
    vectors: NDArray[np.float16],
    questions: NDArray[np.float32],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for file in derived_files(store.folder):
        file.unlink()
    allocate = os.posix_fallocate

    def full(descriptor: int, offset: int, length: int) -> None:
        if str(store.folder) in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(28, "No space left on device")
        allocate(descriptor, offset, length)

    monkeypatch.setattr(os, "posix_fallocate", full)
    index = VectorIndex.open(store, scale=SMALL)
    assert "No space left on device" in caplog.text
    assert agreement(index, vectors, questions[:5]) >= 0.98
    assert derived_files(store.folder) == []
    monkeypatch.setattr(os, "posix_fallocate", lambda *given: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ArchiveError, match=r"no room to derive the vector index .* 6,400 vectors need 0\.0 GB"):
        VectorIndex.open(store, scale=SMALL)


def test_vectors_of_different_sizes_are_an_error_that_names_the_doctor(store: Store) -> None:
    store.connection.execute("UPDATE vectors SET vector = x'0000' WHERE clip = 77")
    store.connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'generation'")
    with pytest.raises(ArchiveError, match="differ in size: rankvideo doctor"):
        VectorIndex.open(store, scale=SMALL)


def test_a_gpu_is_asked_of_a_faiss_without_one(store: Store) -> None:
    with pytest.raises(InputError, match="pip uninstall faiss-cpu"):
        VectorIndex.open(store, scale=IndexOptions(gpu=True))


def test_the_manifest_of_an_older_version_is_stale_and_not_damaged(store: Store) -> None:
    manifest = store.folder / "visual.json"
    said = json.loads(manifest.read_text())
    del said["check"]
    manifest.write_text(json.dumps(said))
    assert "older version" in (find_fault(store.folder / "visual.faiss", store.generation) or "")


def test_the_benchmark_prints_a_line_for_each_number_of_vectors(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from rankvideo_rag.cli import main; main()", "bench", "search", "--json"]
    small = ["--n", "300", "--n", "700", "--dim", "48", "--questions", "100", "--work", str(tmp_path)]
    done = subprocess.run([*command, *small], check=True, stdout=subprocess.PIPE)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["n"] for report in reports] == [300, 700]
    for report in reports:
        assert (report["dim"], report["recall_at_10"], report["recall_at_100"]) == (48, 1.0, 1.0)
        assert 0 < report["p50_ms"] <= report["p99_ms"]
        assert min(report["rss_mb"], report["open_s"], report["build_s"]) > 0
    assert list(tmp_path.iterdir()) == []


def test_generated_vectors_are_the_same_again_and_of_length_one() -> None:
    made = [np.vstack(list(ClusteredVectors(9000, 64, seed=5).clips())) for _ in range(2)]
    assert made[0].shape == (9000, 64)
    assert np.array_equal(*made)
    assert np.linalg.norm(made[0], axis=1) == pytest.approx(1.0, abs=1e-5)
    products = made[0][:500] @ made[0][:500].T
    noise = np.vstack(list(ClusteredVectors(500, 64, independent=True).clips()))
    assert np.sort(products, axis=1)[:, -20].mean() > 2 * np.sort(noise @ noise.T, axis=1)[:, -20].mean()
