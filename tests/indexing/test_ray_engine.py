"""Workers on a Ray cluster make the archive of a single process, also if a machine or the driver dies."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.archive_dump import dump
from support.media_files import SIZE, write_video
from support.world import plain_clips

from rankvideo_rag.cli.console import INTERRUPTED
from rankvideo_rag.errors import MissingDependency
from rankvideo_rag.indexing.run import index
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic import write_clips

VIDEOS = 7
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]  # the limit only ends hangs
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


class Runs:
    """What was seen of a cluster whose driver and one of whose nodes were killed."""

    def __init__(self, work: Path) -> None:
        self.videos, self.work = work / "videos", work / "work"
        write_clips(self.videos, plain_clips(15, seed=14)[:VIDEOS])
        (self.videos / "broken.mp4").write_bytes(b"this is no video")
        (work / "poisoned").mkdir()
        white = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
        write_video(work / "poisoned" / "white.mp4", frames=[white] * 10)
        write_video(work / "poisoned" / "well.mp4", frames=10)
        self.work.mkdir()
        command = [sys.executable, Path(__file__).parents[1].joinpath("support", "ray_runs.py"), self.videos, self.work]
        # Ray's workers run at a lower priority by default: on a busy machine they would never start.
        paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "RAY_worker_niceness": "0"}
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        self.seen: dict[str, Any] = json.loads(done.stdout)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("cluster"))


@needs_ray
def test_killed_drivers_and_nodes_lose_nothing_committed_and_repeat_nothing(runs: Runs) -> None:
    seen = runs.seen
    assert seen["committed"] == [2, 3]
    assert seen["without a node"]["ok"] == VIDEOS
    # One clip a video. Whoever waited when it ended had embedded nothing yet: each video is embedded once in all.
    assert seen["embedded"] == [2, 3, VIDEOS, VIDEOS]
    assert seen["again"]["unchanged"] == VIDEOS + 1
    assert seen["again"]["work"] == {"decodes": 0, "embeddings": 0, "texts": 0}


@needs_ray
def test_a_stopped_run_says_how_to_resume(runs: Runs) -> None:
    code, said = runs.seen["ended"][1]
    assert code == INTERRUPTED
    assert "Run the same command again to continue." in said


@needs_ray
def test_the_archive_of_a_cluster_that_lost_a_node_is_that_of_one_process(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    gated = {"embedder": "support.gated_embedder:load", "embedder_model": str(runs.work / "gate")}
    index([runs.videos], tmp_path / "local", Settings.load(ocr="none", **gated))
    assert dump(runs.work / "archive") == dump(tmp_path / "local")


@needs_ray
def test_a_file_that_kills_every_worker_fails_and_the_others_are_read(runs: Runs) -> None:
    well, white = runs.seen["poisoned"]["videos"]
    assert (well["outcome"], white["outcome"]) == ("ok", "failed")
    assert white["reason"].startswith("worker: 3 workers died")


@needs_ray
def test_ray_prints_nothing(runs: Runs) -> None:
    # Their standard output was JSON and no more, else it could not have been read.
    said = [said for _, said in runs.seen["ended"]] + [runs.seen[run]["stderr"] for run in ("without a node", "poisoned")]
    assert [text for text in said if "ray" in text.lower()] == []


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_missing_ray_names_its_extra(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames=10)
    with pytest.raises(MissingDependency, match=r"rankvideo-rag\[ray\]"):
        index([tmp_path], tmp_path / "archive", Settings.load(ocr="none", engine="ray"))
    assert not (tmp_path / "archive").exists()
