"""Time, memory and recall of vector search in an archive, compared with exact search, one question at a time.

The vectors are generated (`clustered`) and written by the archive's own writer. The archive is then opened as by
`rankvideo search` and searched in a new process. Embedding a question is not measured.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.eval.benchmarks.clustered import ClusteredVectors
from rankvideo_rag.models.embedders import EmbedderInfo
from rankvideo_rag.schema import Clip, FileOutcome, FrameBudget, Probe, Record, Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.index_files import IvfPqTuning
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.vector_index import VectorIndex
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer

DEPTH = 100  # neighbours of each question
THREADS = 2
QUESTIONS = "questions.npy"
_WARM_UP = 20  # questions


class SearchReport(Record):
    """The results of one benchmark of search."""

    n: int
    dim: int
    recall_at_10: float
    recall_at_100: float
    p50_ms: float
    p99_ms: float
    rss_mb: float  # most that the searching process had resident, libraries and all
    open_s: float
    build_s: float  # from the stored vectors to the derived files
    vectors: str  # clustered or independent
    probes: int | None  # lists of two tiers that are looked into; None for a flat index
    lists: int | None
    questions: int
    threads: int
    load_average: float  # of the machine over the last minute, when it was done


def benchmark_search(
    folder: Path, *, n: int, dim: int = 768, questions: int = 500, independent: bool = False, seed: int = 0
) -> SearchReport:
    """Measure an archive of n vectors, which is created in `folder`."""
    source = ClusteredVectors(n, dim, independent=independent, seed=seed)
    asked = source.questions(questions + _WARM_UP)
    true = _fill(folder, source, asked[_WARM_UP:])
    build_s, tuning = _build(folder)
    np.save(folder / QUESTIONS, asked)
    measured = _measured(folder)
    p50, p99 = np.percentile(measured.seconds, (50, 99)) * 1e3
    return SearchReport(
        n=n,
        dim=dim,
        recall_at_10=_recall(true, measured.found, 10),
        recall_at_100=_recall(true, measured.found, DEPTH),
        p50_ms=float(p50),
        p99_ms=float(p99),
        rss_mb=measured.rss_bytes / 1e6,
        open_s=measured.open_s,
        build_s=build_s,
        vectors="independent" if independent else "clustered",
        probes=tuning.probes if tuning else None,
        lists=tuning.lists if tuning else None,
        questions=questions,
        threads=THREADS,
        load_average=os.getloadavg()[0],
    )


def _fill(folder: Path, source: ClusteredVectors, questions: NDArray[np.float32]) -> NDArray[np.int64]:
    """Write an archive of these vectors; return the true neighbours of each question as row numbers, best first."""
    store, done = Store.create(folder, archive_config(source.dim).model_dump(mode="json")), 0
    nearest = faiss.ResultHeap(len(questions), DEPTH, keep_max=True)
    with open_writer(store) as writer:
        for number, batch in enumerate(source.clips()):
            stored = batch.astype(np.float16)
            _put(writer, number, stored)
            clips = np.arange(done + 1, done + 1 + len(stored))  # as SQLite counts rows
            scores = questions @ stored.astype(np.float32).T
            nearest.add_result(scores, np.broadcast_to(clips, scores.shape))
            done += len(stored)
    store.close()
    nearest.finalize()
    found: NDArray[np.int64] = nearest.I
    return found


def _put(writer: ArchiveWriter, number: int, vectors: NDArray[np.float16]) -> None:
    """Write one video with a clip of one second for each vector."""
    video_id = f"{number:032x}"
    clips = [Clip(clip_id=f"{video_id}:{at}", video_id=video_id, start=float(at), end=at + 1.0) for at in range(len(vectors))]
    path = f"/generated/{number}.mp4"
    video = Video(video_id=video_id, path=path, title=f"generated {number}", probe=Probe(duration=float(len(vectors))))
    outcome = FileOutcome(path=path, outcome="ok", clips=len(clips), video_id=video_id)
    stored = {clip.clip_id: vector for clip, vector in zip(clips, vectors, strict=True)}
    writer.put_video(video, clips, (), stored, file=KnownFile(1, 0, "generated", outcome))


def archive_config(dim: int) -> IndexConfig:
    """Return the index config of a generated archive with vectors of so many dimensions."""
    info = EmbedderInfo(
        backend="scripted",
        model=None,
        revision=None,
        dim=dim,
        pooling="none",
        normalized=True,
        query_prompt="",
        document_prompt="",
        modalities=("video",),
        frames=FrameBudget(),
    )
    return IndexConfig.from_settings(Settings.load(embedder="scripted", clip_seconds=1.0), info)


def _build(folder: Path) -> tuple[float, IvfPqTuning | None]:
    store = Store.open(folder)
    began = time.perf_counter()
    tuning = VectorIndex.open(store).tuning
    seconds = time.perf_counter() - began
    store.close()
    return seconds, tuning


class _Alone(Record):
    """What the searching process measured."""

    open_s: float
    seconds: list[float]  # of each question
    found: list[list[int]]
    rss_bytes: int


def _measured(folder: Path) -> _Alone:
    code = "import sys; from rankvideo_rag.eval.benchmarks.search import search_alone; search_alone(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, stdout=subprocess.PIPE)
    return _Alone.model_validate_json(done.stdout)


def search_alone(folder: str) -> None:
    """Open an archive, search it for the questions beside it, and write the measurements to standard output."""
    faiss.omp_set_num_threads(THREADS)
    asked = np.load(Path(folder) / QUESTIONS)
    began = time.perf_counter()
    with VideoArchive.open(folder) as archive:
        index = archive.vectors()
        open_s = time.perf_counter() - began
        seconds, found = [], []
        for question in asked:
            began = time.perf_counter()
            hits = index.search(question, depth=DEPTH)
            seconds.append(time.perf_counter() - began)
            found.append([hit.number for hit in hits])
    alone = _Alone(open_s=open_s, seconds=seconds[_WARM_UP:], found=found[_WARM_UP:], rss_bytes=peak_memory())
    sys.stdout.write(alone.model_dump_json())


def peak_memory() -> int:
    """Return the most memory that this process had resident, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # the peak of this program; getrusage counts in what its parent held when it was started
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _recall(true: NDArray[np.int64], found: list[list[int]], k: int) -> float:
    """Return the share of the k true neighbours that are among the first k found."""
    shares = [np.isin(nearest[:k], hits[:k]).mean() for nearest, hits in zip(true, found, strict=True)]
    return float(np.mean(shares))
