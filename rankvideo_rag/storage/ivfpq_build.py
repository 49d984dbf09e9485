"""Building two tiers out of core: rows pass from SQLite to the file of rows and to codes, some thousands at a time.

1. Learn the lists and the codes from a sample: as many vectors as k-means can use, or as the memory cap holds.
2. Assign each vector to a list: only new ones, where an older index is there whose lists still fit. Then a list's rows get
   places next to each other.
3. Place the rows in their file, each with its checksum.
4. Encode what is read back from that file, and meanwhile find the true neighbours of some questions.
5. Tune: the fewest lists that must be looked into for the recall that is wanted, measured on those questions.

Memory beside the sample or the batch, whichever is held, is what the finished index takes (dim / 4 bytes a vector, twice while
the codes are packed) and some 50 bytes a vector. Nothing is put under its name before all of it is on the disk.
"""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import ArchiveError
from rankvideo_rag.storage.flat_index import TopK, Vector
from rankvideo_rag.storage.gpu_index import on_gpu
from rankvideo_rag.storage.index_files import FaissIndex, IvfPqTuning
from rankvideo_rag.storage.ivfpq_index import TUNED_FOR, IvfPqIndex, probe
from rankvideo_rag.storage.rescore_file import RescoreFile, RescoreFileWriter
from rankvideo_rag.storage.stored_vectors import Snapshot

logger = logging.getLogger(__name__)

_SEED = 1
_SAMPLE = 40  # vectors for each list: FAISS asks for 39
_ROUNDS = 10  # of k-means
_QUESTIONS = 256
_MOST_PARTS = 1024  # of a code: 512 bytes
_DRIFT = 2.0  # as many times more or fewer vectors than the lists were learnt from, and they are learnt anew


class IndexOptions(NamedTuple):
    """How large is large, and what building may take."""

    flat_below: int = 200_000  # vectors: fewer are searched one and all
    memory: int = 512 << 20  # bytes for what is held of the vectors themselves while an index is built
    recall: float = 0.995  # of the 100 nearest, that probing is tuned for
    gpu: bool = False


class Built(NamedTuple):
    """An index that is ready to answer, its rows in an unfinished file."""

    lists: FaissIndex
    rows: RescoreFile
    tuning: IvfPqTuning


def build_ivfpq(snapshot: Snapshot, file: Path, scale: IndexOptions, former: IvfPqIndex | None) -> Built:
    """Both tiers of a snapshot, its rows in `file`. `former` is an index of the same archive as it was, if there is one."""
    lent = former if former and _still_fits(former, snapshot) else None
    trained = lent.lists if lent else _learn(snapshot, scale)
    lists = _assign(snapshot, trained, lent, scale)
    order = np.argsort(lists, kind="stable")  # position -> index into snapshot.clips
    writer = RescoreFileWriter(file, snapshot.clips[order], snapshot.dim)
    try:
        _place(snapshot, writer, order)
        rows, rescore_sha256 = writer.finish()
    finally:
        writer.close()
    coded, questions = _encode(rows, trained, lists[order], _questions(snapshot, scale), scale)
    probes, candidates, recall = _tune(coded, questions, scale.recall)
    trained_on = lent.tuning.trained_on if lent else len(snapshot.clips)
    tuning = IvfPqTuning(
        trained_on=trained_on,
        lists=coded.nlist,
        probes=probes,
        candidates=candidates,
        recall_at_100=recall,
        rescore_sha256=rescore_sha256,
    )
    logger.info("%d vectors in two tiers: %s", len(rows), tuning)
    return Built(coded, rows, tuning)


def _still_fits(former: IvfPqIndex, snapshot: Snapshot) -> bool:
    ratio = len(snapshot.clips) / former.tuning.trained_on
    return former.dim == snapshot.dim and 1 / _DRIFT < ratio < _DRIFT


def _rows_held(snapshot: Snapshot, scale: IndexOptions) -> int:
    """How many vectors may be in memory: as float32, and once more as they come from the database."""
    return max(256, scale.memory // (snapshot.dim * 6))


def _learn(snapshot: Snapshot, scale: IndexOptions) -> FaissIndex:
    """An empty index whose lists and codes fit the vectors. Twice the square root of n lists: looking into one, and choosing
    among all, then cost about the same."""
    n, dim = len(snapshot.clips), snapshot.dim
    count = max(1, min(2 * math.isqrt(n), n // _SAMPLE))
    sample = _sample(snapshot, min(n, _SAMPLE * count, _rows_held(snapshot, scale)))
    count = max(1, min(count, len(sample) // _SAMPLE))
    parts = max(part for part in range(1, max(1, min(dim // 2, _MOST_PARTS)) + 1) if dim % part == 0)
    index: FaissIndex = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, count, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.cp.niter, index.cp.seed, index.cp.min_points_per_centroid = _ROUNDS, _SEED, 1
    if scale.gpu:
        faster = on_gpu(faiss.IndexFlatIP(dim))  # FAISS keeps no reference to it
        index.clustering_index = faster
    index.train(sample)
    index.clustering_index = None
    return index


def _sample(snapshot: Snapshot, size: int) -> Vector:
    chosen = np.sort(np.random.default_rng(_SEED).choice(snapshot.clips, size, replace=False))
    held = np.empty((size, snapshot.dim), dtype=np.float32)
    at = 0
    for batch in snapshot.read(chosen):
        held[at : at + len(batch.clips)] = batch.vectors
        at += len(batch.clips)
    return held


def _batches(n: int, held: int) -> Iterator[slice]:
    size = min(4096, held)
    return (slice(at, min(at + size, n)) for at in range(0, n, size))


def _assign(snapshot: Snapshot, trained: FaissIndex, former: IvfPqIndex | None, scale: IndexOptions) -> NDArray[np.int32]:
    """The list of each vector of the snapshot."""
    lists = np.full(len(snapshot.clips), -1, dtype=np.int32)
    if former:
        known, here, there = np.intersect1d(snapshot.clips, former.rows.clips, return_indices=True)
        logger.info("%d of %d vectors keep their lists", len(known), len(lists))
        lists[here] = _lists_of(former.lists)[there]
    nearest = on_gpu(trained.quantizer) if scale.gpu else trained.quantizer
    left = np.flatnonzero(lists < 0)
    at = 0
    for batch in snapshot.read(snapshot.clips[left]):
        found = nearest.search(batch.vectors.astype(np.float32), 1)[1][:, 0]
        lists[left[at : at + len(found)]] = found
        at += len(found)
    return lists


def _lists_of(lists: FaissIndex) -> NDArray[np.int32]:
    """The list of each position: as rows lie in the order of lists, a matter of their sizes."""
    sizes = [lists.invlists.list_size(number) for number in range(lists.nlist)]
    return np.repeat(np.arange(lists.nlist, dtype=np.int32), sizes)


def _place(snapshot: Snapshot, writer: RescoreFileWriter, order: NDArray[np.int64]) -> None:
    positions = np.empty_like(order)
    positions[order] = np.arange(len(order))
    at = 0
    for batch in snapshot.read(snapshot.clips):
        writer.put(positions[at : at + len(batch.clips)], batch.vectors)
        at += len(batch.clips)


class _Questions(NamedTuple):
    vectors: Vector  # (m, dim)
    nearest: NDArray[np.int64]  # (m, k) positions of the true neighbours


def _questions(snapshot: Snapshot, scale: IndexOptions) -> Vector:
    """Stand-ins for questions: vectors of the archive with as much noise again. A question does not lie where clips lie, and
    its neighbours are spread over more lists than a clip's."""
    chosen = _sample(snapshot, min(_QUESTIONS, len(snapshot.clips), _rows_held(snapshot, scale)))
    noise = np.random.default_rng(_SEED).standard_normal(chosen.shape, dtype=np.float32)
    length: Vector = np.linalg.norm(chosen, axis=1, keepdims=True)
    return chosen + noise * length / np.float32(math.sqrt(snapshot.dim))


def _encode(
    rows: RescoreFile, trained: FaissIndex, lists: NDArray[np.int32], questions: Vector, scale: IndexOptions
) -> tuple[FaissIndex, _Questions]:
    """The index of codes over all rows, and the true neighbours of the questions among them."""
    index: FaissIndex = faiss.IndexIVFPQ(
        trained.quantizer, trained.d, trained.nlist, trained.pq.M, 4, faiss.METRIC_INNER_PRODUCT
    )
    index.by_residual, index.pq, index.is_trained = False, trained.pq, True
    best = TopK(len(questions), min(TUNED_FOR, len(rows)))
    for part in _batches(len(rows), scale.memory // (rows.dim * 6)):
        positions = np.arange(part.start, part.stop, dtype=np.int64)
        vectors = _whole(rows, positions).astype(np.float32)
        assigned = lists[part].astype(np.int64)
        index.add_core(len(vectors), *map(faiss.swig_ptr, (vectors, positions, assigned)))
        best.add(positions, questions @ vectors.T)
    return _packed(index), _Questions(questions, best.numbers())


def _packed(index: FaissIndex) -> FaissIndex:
    """The same codes in the layout that is searched fastest, with centres of its own."""
    packed: FaissIndex
    centres: FaissIndex
    packed, centres = faiss.IndexIVFPQFastScan(index), faiss.clone_index(index.quantizer)
    packed.quantizer, packed.own_fields = centres, True
    centres.this.disown()  # FAISS frees them with the index
    return packed


def _whole(rows: RescoreFile, positions: NDArray[np.int64]) -> NDArray[np.float16]:
    vectors, whole = rows.read(positions)
    if not whole.all():
        raise ArchiveError("the disk gives back other bytes than were written to it: the vector index cannot be built there")
    return vectors


def _tune(index: FaissIndex, questions: _Questions, wanted: float) -> tuple[int, int, float]:
    """The fewest probes with the fewest candidates that reach the recall: both, and the recall. All lists where none does."""
    steps = sorted({min(index.nlist, round(2 ** (half / 2))) for half in range(2 * index.nlist.bit_length() + 1)})
    reached = 0.0
    for candidates in (4, 8, 16, 32):
        if _recall(index, questions, steps[-1], candidates) < wanted and candidates < 32:
            continue  # what the codes lose, no number of probes brings back
        for probes in steps:
            reached = _recall(index, questions, probes, candidates)
            if reached >= wanted:
                break
        return probes, candidates, reached
    raise AssertionError("unreachable: the last number of candidates is always taken")


def _recall(index: FaissIndex, questions: _Questions, probes: int, candidates: int) -> float:
    k = questions.nearest.shape[1]
    found = probe(index, questions.vectors, k * candidates, probes)
    hits = [np.isin(true, proposed).mean() for true, proposed in zip(questions.nearest, found, strict=True)]
    return float(np.mean(hits))
