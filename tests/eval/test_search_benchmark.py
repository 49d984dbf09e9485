"""The benchmark of vector search, and the vectors that it generates."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.eval.benchmarks.clustered import ClusteredVectors


def test_the_benchmark_prints_a_line_for_each_number_of_vectors(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rankvideo_rag", "bench", "search", "--json"]
    small = ["--n", "300", "--n", "700", "--dim", "48", "--questions", "100", "--work", str(tmp_path)]
    done = subprocess.run([*command, *small], check=True, stdout=subprocess.PIPE)
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert [report["n"] for report in reports] == [300, 700]
    for report in reports:
        assert (report["dim"], report["recall_at_10"], report["recall_at_100"]) == (48, 1.0, 1.0)
        assert 0 < report["p50_ms"] <= report["p99_ms"]
        assert min(report["rss_mb"], report["open_s"], report["build_s"]) > 0
    assert list(tmp_path.iterdir()) == []


def test_generated_vectors_are_reproducible_unit_vectors_in_clusters() -> None:
    generated = [np.vstack(list(ClusteredVectors(9000, 64, seed=5).clips())) for _ in range(2)]
    assert generated[0].shape == (9000, 64)
    assert np.array_equal(generated[0], generated[1])
    assert np.linalg.norm(generated[0], axis=1) == pytest.approx(1.0, abs=1e-5)
    products = generated[0][:500] @ generated[0][:500].T
    noise = np.vstack(list(ClusteredVectors(500, 64, independent=True).clips()))
    assert np.sort(products, axis=1)[:, -20].mean() > 2 * np.sort(noise @ noise.T, axis=1)[:, -20].mean()
