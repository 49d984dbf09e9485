"""Indexes a folder on a Ray cluster of three nodes, each in processes of its own, with a driver and a node killed on the way.

    python tests/ray_runs.py VIDEOS WORK

The embedder is gated (`gated_embedder`), so that both die in the middle for certain. Printed as JSON: what was seen.
"""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

PATIENCE = 120.0  # seconds, on a machine that has other things to do


def until(holds: Callable[[], Any], what: str) -> Any:
    """What the condition gives, once that is something."""
    deadline = time.monotonic() + PATIENCE
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.02)
    return found


class Runs:
    """Drivers on one cluster, an archive and the gate before its embedder."""

    def __init__(self, work: Path) -> None:
        self.archive, self.gate = work / "archive", work / "gate"
        self.gate.mkdir()
        self.cluster = Cluster(initialize_head=True, head_node_args=_node(0))
        for _ in range(2):
            self.cluster.add_node(**_node(1))

    def driver(self, videos: Path, archive: Path) -> subprocess.Popen[str]:
        """`rankvideo index` on this cluster."""
        command = f"index {videos} --to {archive} --no-ocr --json --engine ray"
        command += f" --address {self.cluster.address} --embedder gated_embedder:load --embedder-model {self.gate}"
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([Path(sys.executable).with_name("rankvideo"), *command.split()], **pipes)  # type: ignore[call-overload,no-any-return]

    def let_through(self, clips: int) -> None:
        for number in range(clips):
            (self.gate / f"ticket-{number}").touch()

    def committed(self) -> int:
        """Videos in the archive."""
        if not (self.archive / "archive.db").exists():
            return 0
        with closing(sqlite3.connect(f"file:{self.archive / 'archive.db'}?mode=ro", uri=True)) as connection:
            tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'videos'").fetchone()[0]
            return int(connection.execute("SELECT count(*) FROM videos").fetchone()[0]) if tables else 0

    def waiting(self) -> list[int]:
        """Processes that wait at the gate."""
        return [int(name.name.partition("-")[2]) for name in self.gate.glob("waiting-*")]

    def embedded(self) -> int:
        """Clips that came through the gate."""
        log = self.gate / "embedded"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def kill_driver(self, driver: subprocess.Popen[str]) -> None:
        driver.send_signal(signal.SIGKILL)
        driver.communicate()
        until(lambda: not any(map(_lives, self.waiting())), "the workers of a dead driver to end")
        for left in self.gate.glob("waiting-*"):
            left.unlink()

    def kill_node(self) -> None:
        """SIGKILL a raylet whose worker waits at the gate; the worker ends with it."""
        worker = self.waiting()[0]
        os.kill(_parent(worker), signal.SIGKILL)
        until(lambda: not _lives(worker), "the worker of a dead node to end")


def _node(cpus: int) -> dict[str, Any]:
    """A small one. Its ports are chosen here: Ray gives up where its agents take more than some seconds to choose them."""
    ports = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    size = {"num_cpus": cpus, "num_gpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20}
    return size | {name: _free_port() for name in ports}


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _ended(driver: subprocess.Popen[str]) -> dict[str, Any]:
    stdout, stderr = driver.communicate(timeout=2 * PATIENCE)
    try:
        report = json.loads(stdout)
    except ValueError:
        raise RuntimeError(f"the driver ended with {driver.returncode}: {stdout}\n{stderr}") from None
    return {"code": driver.returncode, "stderr": stderr, **report}


def main(videos: Path, work: Path) -> None:
    runs, seen = Runs(work), {}
    runs.let_through(2)
    driver = runs.driver(videos, runs.archive)
    seen["committed before the driver died"] = (
        until(lambda: runs.committed() == 2 and len(runs.waiting()) == 2, "two videos") and 2
    )
    runs.kill_driver(driver)
    seen["committed after it died"] = runs.committed()
    before = runs.embedded()
    runs.let_through(1)
    driver = runs.driver(videos, runs.archive)
    until(lambda: runs.committed() == 3 and len(runs.waiting()) == 2, "a third video")
    runs.kill_node()
    (runs.gate / "open").touch()
    seen["second run"] = _ended(driver)
    seen["embedded in the second run"] = runs.embedded() - before
    seen["third run"] = _ended(runs.driver(videos, runs.archive))
    seen["embedded in the third run"] = runs.embedded() - before - seen["embedded in the second run"]
    seen["poisoned"] = _ended(runs.driver(videos.with_name("poisoned"), work / "another"))
    json.dump(seen, sys.stdout)
    runs.cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
