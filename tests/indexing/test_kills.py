"""Writers killed at random moments lose nothing and repeat nothing, and the archive ends as without kills.

`make kills KILLS=2000` makes it a long run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.world import plain_clips

from rankvideo_rag.synthetic import write_clips

KILLS = int(os.environ.get("RANKVIDEO_KILLS", "12"))

SCRIPT = Path(__file__).parents[1] / "support" / "kill_runs.py"


@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * KILLS)
def test_writers_killed_at_any_moment_give_the_archive_of_an_uninterrupted_run(tmp_path: Path) -> None:
    write_clips(tmp_path / "originals", plain_clips(15, seed=14)[:8])
    command = [
        sys.executable,
        SCRIPT,
        tmp_path / "originals",
        tmp_path / "work",
    ]
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([*map(str, command), str(KILLS), "1"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    sys.stdout.write(f"{figures}\n")
    assert figures["wrong"] == []
    assert figures["kills"] >= KILLS
