"""Indexes a folder on a Ray cluster of three nodes, each in processes of its own. A driver is killed, the next is stopped, and
in the third run a node is killed.

    python tests/support/ray_runs.py VIDEOS WORK

The embedder is gated (`gated_embedder`), so that all end in the middle for certain. Printed as JSON: what was seen.
"""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from ray.cluster_utils import Cluster

from support.commands import start

PATIENCE = 600.0  # seconds, on a machine that has other things to do


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
        self.cluster = _started(lambda: Cluster(initialize_head=True, head_node_args=_node(0)))
        self.nodes = [_started(lambda: self.cluster.add_node(**_node(1))) for _ in range(2)]

    def driver(self, videos: Path, archive: Path) -> subprocess.Popen[str]:
        """`rankvideo index` on this cluster."""
        command = f"index {videos} --output {archive} --ocr none --json --engine ray"
        command += f" --ray-address {self.cluster.address} --embedder support.gated_embedder:load --embedder-model {self.gate}"
        return start(*command.split())

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

    def until_waiting(self, driver: subprocess.Popen[str], committed: int) -> None:
        """Until so many videos are committed, and each node is in the middle of another. A driver that ended is told of."""

        def holds() -> bool:
            if driver.poll() is not None:
                raise RuntimeError(f"the driver ended with {driver.returncode}: {driver.communicate()}")
            return self.committed() == committed and len(self.waiting()) == len(self.nodes)

        try:
            until(holds, f"{committed} videos")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.committed()} committed, {len(self.waiting())} wait") from None

    def end_driver(self, driver: subprocess.Popen[str], how: signal.Signals) -> tuple[int, str]:
        """Its exit code and what it said; its workers end with it."""
        driver.send_signal(how)
        _, said = driver.communicate()
        until(lambda: not any(map(_lives, self.waiting())), "the workers of a driver that ended to end")
        for left in self.gate.glob("waiting-*"):
            left.unlink()
        return driver.returncode, said

    def kill_node(self) -> None:
        """SIGKILL all processes of a node whose worker waits at the gate."""
        worker = self.waiting()[0]
        of_its_raylet = [n for n in self.nodes if n.all_processes["raylet"][0].process.pid == _parent(worker)]
        self.cluster.remove_node(*of_its_raylet, allow_graceful=False)
        until(lambda: not _lives(worker), "the worker of a dead node to end")


def _started(start: Callable[[], Any]) -> Any:
    """What starts at one of some tries: Ray gives up on processes of its own that take more than some seconds to begin."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:  # of no kind of its own
            sys.stderr.write(f"tried again: {error}\n")
    return start()


def _node(cpus: int) -> dict[str, Any]:
    return {"num_cpus": cpus, "num_gpus": 0, "include_dashboard": False, "object_store_memory": 80 << 20}


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
    runs = Runs(work)
    seen: dict[str, Any] = {"committed": [], "ended": [], "embedded": []}
    for more, how in ((2, signal.SIGKILL), (1, signal.SIGINT)):
        wanted = runs.committed() + more
        runs.let_through(more)
        driver = runs.driver(videos, runs.archive)
        runs.until_waiting(driver, wanted)
        seen["ended"].append(runs.end_driver(driver, how))
        seen["committed"].append(runs.committed())
        seen["embedded"].append(runs.embedded())
    driver = runs.driver(videos, runs.archive)
    runs.until_waiting(driver, runs.committed())
    runs.kill_node()
    (runs.gate / "open").touch()
    seen["without a node"] = _ended(driver)
    seen["embedded"].append(runs.embedded())
    seen["again"] = _ended(runs.driver(videos, runs.archive))
    seen["embedded"].append(runs.embedded())
    seen["poisoned"] = _ended(runs.driver(videos.with_name("poisoned"), work / "another"))
    json.dump(seen, sys.stdout)
    runs.cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
