"""rankvideo bench rerank: figures that scripts rely on, and a picture."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from PIL import Image
from support.commands import COMMAND


def bench(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "bench", "rerank", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env=os.environ | {"COLUMNS": "120", "NO_COLOR": "1"},
        timeout=240,
    )


@pytest.mark.slow
def test_the_benchmark_prints_the_json_that_scripts_rely_on_and_draws_a_picture(tmp_path: Path) -> None:
    small = ("--questions", "1", "--questions", "4", "--videos", "4", "--repeats", "1")
    done = bench(tmp_path, *small, "--plot", "curve.png", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert "its scores mean nothing" in done.stderr

    assert set(report["speedup"]) == set(report["speedup_with_decode"]) == {"1", "4"}
    for count, figures in report["questions"].items():
        assert report["speedup"][count] == pytest.approx(figures["one_by_one"] / figures["together"])
        assert figures["pairs_per_second"]["together"] == pytest.approx(int(count) / figures["together"])
    assert report["speedup"]["4"] > 1.5

    overlap = report["overlap_seconds"]
    assert overlap["videos"] == 4
    assert report["overlap"] == pytest.approx(overlap["end_to_end"] / max(overlap["decode_only"], overlap["model_only"]))

    alone, together = report["stages"]["one by one"], report["stages"]["together"]
    assert set(alone) == {"decode", "preprocess", "vision", "prefill", "read", "other"}
    # 32 frames of 480x256: 16 pairs of 120 tokens; four times as many where each question brings the video along.
    assert (alone["vision"]["tokens"], together["vision"]["tokens"]) == (4 * 1920, 1920)
    assert alone["read"] == {"seconds": 0.0, "tokens": 0}
    assert 1920 < together["prefill"]["tokens"] < alone["prefill"]["tokens"] / 4
    assert 0 < together["read"]["tokens"] < 4 * 100
    assert all(stage["seconds"] > 0 for name, stage in together.items() if name != "other")
    assert report["peak_memory_bytes"] > 100 << 20
    assert report["largest_margin_difference"] < 1e-4

    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_a_model_that_is_not_there_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    done = bench(tmp_path, "--model", "nowhere")
    assert done.returncode == 2
    assert "no such folder" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_indexing_is_timed_beside_the_loop_of_peers_and_both_give_the_same_vectors(tmp_path: Path) -> None:
    options = ("--files", "2", "--seconds", "3", "--key-seconds", "1", "--rounds", "1", "--json")
    done = subprocess.run([*COMMAND, "bench", "index", *options], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["files"], report["media_s"], report["frames_sampled"]) == (2, 6.0, 8)  # 4 of each: min_frames
    assert report["largest_difference"] == 0.0
    assert min(report[name] for name in ("ours_s", "peers_s", "lean_s", "floor_s", "ours_key_s", "floor_key_s")) > 0
    assert {"hash", "probe", "frames", "vectors", "commit"} <= set(report["stages"])
    assert sum(report["stages"].values()) <= report["ours_s"]
