"""Failed or last system calls and full disks: an archive loses nothing and repeats nothing.

The failing calls are real writes, syncs, renames and deletions of SQLite, FAISS and Python (see `support.system_calls`).
The tests take a sample of the points; `make failpoints` takes all.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import system_calls
from support.world import plain_clips

from rankvideo_rag.synthetic import write_clips

SHARE = int(os.environ.get("RANKVIDEO_FAILPOINTS_SHARE", "101"))  # every so many-th point is tried
POINTS = 50 if SHARE == 1 else 9  # at which the disk is full, for each of six steps
SMALL_DISK = 'mount -t tmpfs -o size=10m none "$1" && shift && exec "$@"'

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "support" / "failpoint_runs.py"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("originals") / "videos"
    write_clips(folder, plain_clips(15, seed=14)[:5])
    return folder


def figures_of(what: str, originals: Path, work: Path, number: int, *around: str) -> dict[str, Any]:
    """Return what the runs print; `around` is the command that wraps them."""
    for folder in ("work", "disk"):
        (work / folder).mkdir()
    script = [
        sys.executable,
        SCRIPT,
        what,
        originals,
        work / "work",
        work / "disk",
    ]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [*around, *map(str, script), str(number)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    sys.stdout.write(f"{figures}\n")
    return figures


@pytest.mark.timeout(300 + 30_000 // SHARE)
def test_an_archive_survives_failing_system_calls(originals: Path, tmp_path: Path) -> None:
    if reason := system_calls.why_not():
        pytest.skip(reason)
    figures = figures_of("calls", originals, tmp_path, SHARE)
    assert figures["wrong"] == []
    assert {name.partition(",")[0] for name in figures["ends"]} == {
        "index",
        "update",
        "embed",
        "remove",
        "gc",
        "repair",
        "ivfpq",
    }
    assert all(any(f", {kind}:" in name for name in figures["ends"]) for kind in system_calls.FAULTS)


@pytest.mark.timeout(600)
def test_a_full_disk_at_any_point_loses_nothing(originals: Path, tmp_path: Path) -> None:
    (tmp_path / "try").mkdir()
    alone = ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh"]
    may_mount = shutil.which("unshare") and subprocess.run([*alone, tmp_path / "try", "true"], capture_output=True, check=False)
    if not may_mount or may_mount.returncode:
        pytest.skip("a small disk cannot be mounted here: unshare -rm is not allowed")
    figures = figures_of("full", originals, tmp_path, POINTS, *alone, str(tmp_path / "disk"))
    assert figures["wrong"] == []
    assert sum(count for name, count in figures["ends"].items() if name.startswith("index:")) == POINTS
