"""Build an IVF-PQ index out of core: vectors pass from SQLite to the re-score file and to codes, in batches.

1. Train the lists and codes on a sample: as many vectors as k-means can use, or as the memory limit holds.
2. Assign each vector to a list; with a former index whose lists still fit, only new ones.
3. Write the vectors to the re-score file, list by list.
4. Read that file back, encode it, and find the true neighbours of some queries.
5. Tune: find the fewest lists that must be searched for the wanted recall on those queries.

Beside the sample or a batch, memory holds the finished codes (dim / 4 bytes a vector, twice while they are packed) and about 50
bytes a vector. No file gets its final name before all of it is on disk.
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
from rankvideo_rag.storage.flat_index import Vector, to_gpu
from rankvideo_rag.storage.index_files import FaissIndex, IvfPqTuning
from rankvideo_rag.storage.ivfpq_index import TUNED_FOR, IvfPqIndex, search_codes
from rankvideo_rag.storage.rescore_file import Positions, RescoreFile, RescoreFileWriter
from rankvideo_rag.storage.stored_vectors import BATCH, Snapshot

logger = logging.getLogger(__name__)

_SEED = 1
_SAMPLE_PER_LIST = 40  # FAISS asks for 39
_KMEANS_ITERATIONS = 10
_TUNING_QUERIES = 256
_MAX_CODE_PARTS = 1024  # 512 bytes
_MAX_GROWTH = 2.0  # lists are trained again once the archive has grown or shrunk by this factor

Lists = NDArray[np.int32]


class IndexOptions(NamedTuple):
    """When an archive counts as large, and what building may take."""

    flat_below: int = 200_000  # vectors: with fewer the index is flat
    memory: int = 512 << 20  # bytes of vectors held at once while an index is built
    recall: float = 0.995  # of the 100 nearest, that the index is tuned for
    gpu: bool = False


class BuiltIndex(NamedTuple):
    """The parts of a finished index; the re-score file still has its temporary name."""

    codes: FaissIndex
    rescore: RescoreFile
    tuning: IvfPqTuning


def build_ivfpq(snapshot: Snapshot, file: Path, options: IndexOptions, former: IvfPqIndex | None) -> BuiltIndex:
    """Build the index of a snapshot, with its re-score file at `file`; reuse the lists of a former index if they fit."""
    if former and not _still_fits(former, snapshot):
        former = None
    trained = former.codes if former else _train(snapshot, options)
    lists = _assign(snapshot, trained, former, options)
    order = np.argsort(lists, kind="stable")  # position -> index into snapshot.numbers
    rescore, rescore_sha256 = _write_rescore_file(snapshot, file, order)
    queries = _tuning_queries(snapshot, options)
    codes, nearest = _encode(rescore, trained, lists[order], queries, options)
    probes, candidates, recall = _tune(codes, queries, nearest, options.recall)
    tuning = IvfPqTuning(
        trained_on=former.tuning.trained_on if former else len(snapshot.numbers),
        lists=codes.nlist,
        probes=probes,
        candidates=candidates,
        recall_at_100=recall,
        rescore_sha256=rescore_sha256,
    )
    logger.info("built an IVF-PQ index of %d vectors: %s", len(rescore), tuning)
    return BuiltIndex(codes, rescore, tuning)


def _still_fits(former: IvfPqIndex, snapshot: Snapshot) -> bool:
    ratio = len(snapshot.numbers) / former.tuning.trained_on
    return former.dim == snapshot.dim and 1 / _MAX_GROWTH < ratio < _MAX_GROWTH


def _max_held(dim: int, options: IndexOptions) -> int:
    """Return how many vectors fit in memory, as float32 and once more as they come from the database."""
    return max(256, options.memory // (dim * 6))


def _train(snapshot: Snapshot, options: IndexOptions) -> FaissIndex:
    """Return an empty index with trained lists and codes.

    There are 2 sqrt(n) lists: searching one list and choosing among all of them then cost about the same.
    """
    n, dim = len(snapshot.numbers), snapshot.dim
    count = max(1, min(2 * math.isqrt(n), n // _SAMPLE_PER_LIST))
    sample = _sample(snapshot, min(n, _SAMPLE_PER_LIST * count, _max_held(dim, options)))
    count = max(1, min(count, len(sample) // _SAMPLE_PER_LIST))
    parts = max(part for part in range(1, max(1, min(dim // 2, _MAX_CODE_PARTS)) + 1) if dim % part == 0)
    index: FaissIndex = faiss.IndexIVFPQ(faiss.IndexFlatIP(dim), dim, count, parts, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.cp.niter, index.cp.seed, index.cp.min_points_per_centroid = _KMEANS_ITERATIONS, _SEED, 1
    if options.gpu:
        on_gpu = to_gpu(faiss.IndexFlatIP(dim))  # kept in a variable: FAISS holds no reference to it
        index.clustering_index = on_gpu
    index.train(sample)
    index.clustering_index = None
    return index


def _sample(snapshot: Snapshot, size: int) -> Vector:
    chosen = np.sort(np.random.default_rng(_SEED).choice(snapshot.numbers, size, replace=False))
    sample = np.empty((size, snapshot.dim), dtype=np.float32)
    at = 0
    for batch in snapshot.read(chosen):
        sample[at : at + len(batch.numbers)] = batch.vectors
        at += len(batch.numbers)
    return sample


def _assign(snapshot: Snapshot, trained: FaissIndex, former: IvfPqIndex | None, options: IndexOptions) -> Lists:
    """Return the list of each vector of the snapshot."""
    lists = np.full(len(snapshot.numbers), -1, dtype=np.int32)
    if former:
        known, here, there = np.intersect1d(snapshot.numbers, former.rescore.numbers, return_indices=True)
        logger.info("%d of %d vectors keep their lists", len(known), len(lists))
        lists[here] = _lists_of(former.codes)[there]
    quantizer = to_gpu(trained.quantizer) if options.gpu else trained.quantizer
    missing = np.flatnonzero(lists < 0)
    at = 0
    for batch in snapshot.read(snapshot.numbers[missing]):
        found = quantizer.search(batch.vectors.astype(np.float32), 1)[1][:, 0]
        lists[missing[at : at + len(found)]] = found
        at += len(found)
    return lists


def _lists_of(codes: FaissIndex) -> Lists:
    """Return the list of each position: positions are ordered by list, so sizes are enough."""
    sizes = [codes.invlists.list_size(number) for number in range(codes.nlist)]
    return np.repeat(np.arange(codes.nlist, dtype=np.int32), sizes)


def _write_rescore_file(snapshot: Snapshot, file: Path, order: Positions) -> tuple[RescoreFile, str]:
    writer = RescoreFileWriter(file, snapshot.numbers[order], snapshot.dim)
    try:
        positions = np.empty_like(order)
        positions[order] = np.arange(len(order))
        at = 0
        for batch in snapshot.read(snapshot.numbers):
            writer.put(positions[at : at + len(batch.numbers)], batch.vectors)
            at += len(batch.numbers)
        return writer.finish()
    finally:
        writer.close()


def _tuning_queries(snapshot: Snapshot, options: IndexOptions) -> Vector:
    """Return stand-ins for queries, (m, dim): vectors of the archive with noise of the same length added.

    A query does not lie where clips or passages lie, and its neighbours are spread over more lists than theirs.
    """
    chosen = _sample(snapshot, min(_TUNING_QUERIES, len(snapshot.numbers), _max_held(snapshot.dim, options)))
    noise = np.random.default_rng(_SEED).standard_normal(chosen.shape, dtype=np.float32)
    length: Vector = np.linalg.norm(chosen, axis=1, keepdims=True)
    return chosen + noise * length / np.float32(math.sqrt(snapshot.dim))


def _read_back(rescore: RescoreFile, options: IndexOptions) -> Iterator[tuple[Positions, Vector]]:
    size = min(BATCH, options.memory // (rescore.dim * 6))
    for start in range(0, len(rescore), size):
        positions = np.arange(start, min(start + size, len(rescore)), dtype=np.int64)
        vectors, whole = rescore.read(positions)
        if not whole.all():
            raise ArchiveError("the disk returns other bytes than were written to it: the vector index cannot be built there")
        yield positions, vectors.astype(np.float32)


def _encode(
    rescore: RescoreFile, trained: FaissIndex, lists: Lists, queries: Vector, options: IndexOptions
) -> tuple[FaissIndex, Positions]:
    """Return the codes of all vectors, and the positions of the true neighbours of each query, (m, k), in one pass."""
    index: FaissIndex = faiss.IndexIVFPQ(
        trained.quantizer, trained.d, trained.nlist, trained.pq.M, 4, faiss.METRIC_INNER_PRODUCT
    )
    index.by_residual, index.pq, index.is_trained = False, trained.pq, True
    nearest = faiss.ResultHeap(len(queries), min(TUNED_FOR, len(rescore)), keep_max=True)
    for positions, vectors in _read_back(rescore, options):
        assigned = lists[positions].astype(np.int64)
        arrays = (faiss.swig_ptr(array) for array in (vectors, positions, assigned))
        index.add_core(len(vectors), *arrays)
        scores = queries @ vectors.T
        nearest.add_result(scores, np.broadcast_to(positions, scores.shape))
    nearest.finalize()
    return _packed(index), nearest.I


def _packed(index: FaissIndex) -> FaissIndex:
    """Return the same codes in FAISS's fast-scan layout, with a quantizer of their own."""
    packed: FaissIndex
    quantizer: FaissIndex
    packed, quantizer = faiss.IndexIVFPQFastScan(index), faiss.clone_index(index.quantizer)
    packed.quantizer, packed.own_fields = quantizer, True
    quantizer.this.disown()  # the index frees it
    return packed


def _tune(codes: FaissIndex, queries: Vector, nearest: Positions, wanted: float) -> tuple[int, int, float]:
    """Return the fewest probes with the fewest candidates that reach the wanted recall, and the recall reached.

    All lists are searched if no number of probes reaches it.
    """
    steps = sorted({min(codes.nlist, round(2 ** (half / 2))) for half in range(2 * codes.nlist.bit_length() + 1)})
    recall = 0.0
    for candidates in (4, 8, 16, 32):
        if candidates < 32 and _recall(codes, queries, nearest, steps[-1], candidates) < wanted:
            continue  # what the codes lose, no number of probes brings back
        for probes in steps:
            recall = _recall(codes, queries, nearest, probes, candidates)
            if recall >= wanted:
                break
        return probes, candidates, recall
    raise AssertionError("unreachable: the last number of candidates is always taken")


def _recall(codes: FaissIndex, queries: Vector, nearest: Positions, probes: int, candidates: int) -> float:
    found = search_codes(codes, queries, nearest.shape[1] * candidates, probes)
    hits = [np.isin(true, proposed).mean() for true, proposed in zip(nearest, found, strict=True)]
    return float(np.mean(hits))
