"""Time and memory of reading and evaluating runs of random rankings, in a process of their own. Needs the extra `eval`."""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from rankvideo_rag.eval.retrieval import evaluate_runs
from rankvideo_rag.formats.trec import read_qrels, read_run, write_qrels, write_run
from rankvideo_rag.schema import Record

MEASURES = ("nDCG@10", "R@100", "RR", "AP", "Judged@10")
_JUDGED = 8  # documents of a query, half of them ranked
_COLLECTION = 109_800  # documents: MultiVENT 2.0's test part


class EvaluationReport(Record):
    """The results of one benchmark of evaluation."""

    queries: int
    depth: int  # documents of a query in each run
    runs: int
    measures: tuple[str, ...]
    seconds: float  # reading, measures, intervals and tests
    peak_memory_bytes: int  # of the evaluating process


def benchmark_evaluation(folder: Path, *, queries: int = 10_000, depth: int = 100, runs: int = 1) -> EvaluationReport:
    """Write random runs and judgements into the folder, and evaluate them."""
    rng = np.random.default_rng(0)
    ranked = {f"q{q}": rng.choice(_COLLECTION, size=depth, replace=False) for q in range(queries)}
    write_qrels(folder / "qrels.trec", {query: _judged(documents, rng) for query, documents in ranked.items()})
    for run in range(runs):
        rankings = {query: [f"v{d}" for d in rng.permutation(documents)] for query, documents in ranked.items()}
        write_run(folder / f"{run}.trec", rankings, tag="random")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        seconds, peak = process.submit(_evaluated, folder, runs).result()
    return EvaluationReport(queries=queries, depth=depth, runs=runs, measures=MEASURES, seconds=seconds, peak_memory_bytes=peak)


def _judged(documents: np.ndarray, rng: np.random.Generator) -> dict[str, int]:
    among = [*documents[: _JUDGED // 2].tolist(), *rng.integers(0, _COLLECTION, _JUDGED // 2).tolist()]
    return {f"v{document}": int(rng.integers(0, 4)) for document in among}


def _evaluated(folder: Path, runs: int) -> tuple[float, int]:
    began = time.monotonic()
    named = ((str(run), read_run(folder / f"{run}.trec")) for run in range(runs))
    evaluate_runs(named, read_qrels(folder / "qrels.trec"), MEASURES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return time.monotonic() - began, peak
