"""Keeps an archive in step with a folder, in processes that are killed at random moments, and says what was lost by it.

    python tests/kill_runs.py VIDEOS WORK KILLS SEED

A life of an archive: its videos are indexed; one is renamed, one replaced, one deleted, one moved with its subtitles, and it
is updated; its text is embedded by another model; one is removed, and it is compacted. Each step runs in a forked process and
is begun again until it ends by itself. Lives follow one another until there were KILLS kills. Printed as JSON: kills by what
was being done, and the violations.
"""

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

from rankvideo_rag.indexing.build import IndexEvent
from rankvideo_rag.indexing.run import index
from rankvideo_rag.indexing.update import remove, update
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import collect_garbage
from rankvideo_rag.storage.integrity import check_integrity
from support.archive_dump import dump

SETTINGS = Settings.load(embedder="scripted", ocr="none")
OTHER_TEXT_EMBEDDER = Settings.load(text_embedder="scripted")
MADE = ("frames", "vectors")  # stages that are to happen once for a video


class Life:
    """One archive from its first video to its last compaction, in `work`, or on a disk of its own."""

    def __init__(self, originals: Path, work: Path, disk: Path | None = None) -> None:
        self.videos, self.archive, self._log = work / "videos", (disk or work) / "archive", work / "log"
        for folder in (self.videos, self.archive):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(originals, self.videos)
        self.forget()
        self._names = sorted(file.stem for file in self.videos.glob("*.mp4"))

    def steps(self) -> list[tuple[str, Callable[[], None], Callable[[], object]]]:
        """Name, what is done to the files before it, and the step itself."""
        return [
            ("index", lambda: None, lambda: index([self.videos], self.archive, SETTINGS, on_event=self._listen)),
            ("update", self._change, lambda: update(self.archive, SETTINGS, on_event=self._listen)),
            ("embed", lambda: None, lambda: update(self.archive, OTHER_TEXT_EMBEDDER, on_event=self._listen)),
            ("remove", lambda: None, lambda: remove(self.archive, [str(self.videos / f"{self._names[4]}.mp4")])),
            ("gc", lambda: None, lambda: collect_garbage(self.archive)),
        ]

    def _change(self) -> None:
        one, two, three, four, five = (self.videos / f"{name}.mp4" for name in self._names[:5])
        one.rename(one.with_name("renamed.mp4"))
        two.write_bytes(five.read_bytes() + b"another content")
        os.utime(two, ns=(1_700_000_000_000_000_000,) * 2)
        three.unlink()
        (self.videos / "moved").mkdir()
        for file in self.videos.glob(f"{four.stem}.*"):
            file.rename(self.videos / "moved" / file.name)

    def _listen(self, event: IndexEvent) -> None:
        line = f"{event.done.outcome if event.done else event.stage} {event.path.name}\n"
        with open(self._log, "ab", buffering=0) as log:
            log.write(line.encode())

    def forget(self) -> None:
        """Begin to listen anew."""
        self._log.unlink(missing_ok=True)

    def logged(self) -> list[tuple[str, str]]:
        """(stage or outcome, file name) of everything that was told so far."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [(stage, name) for stage, _, name in (line.partition(" ") for line in lines)]

    def committed(self) -> dict[str, str]:
        """File name -> video of what is in the archive."""
        if not (self.archive / "archive.db").exists():
            return {}
        with closing(sqlite3.connect(self.archive / "archive.db")) as connection:
            rows = connection.execute("SELECT path, video_id FROM files WHERE video_id IS NOT NULL").fetchall()
        return {Path(os.fsdecode(path)).name: video_id for path, video_id in rows}


def run(step: Callable[[], object], seconds: float) -> bool:
    """Run a step in a process of its own; whether it ended before it was killed."""
    child = os.fork()
    if child == 0:
        try:
            step()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            if status:
                raise RuntimeError(f"the step failed by itself: {status}")
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


def killed_life(life: Life, times: dict[str, float], chance: random.Random, seen: Counter[str]) -> list[str]:
    """Live it with kills; what was found that must not be."""
    wrong = []
    for name, change, step in life.steps():
        change()
        for tries in count():
            before, told = life.committed(), len(life.logged())
            ended = run(step, chance.uniform(0.0, (1.3 + 0.2 * tries) * times[name]))
            news, after = life.logged()[told:], life.committed()
            if not ended:
                doing = news[-1][0] if news and news[-1][0] not in ("ok", "partial") else "between files"
                seen[f"{name}: {doing}"] += 1
            if name == "index":
                wrong += [f"redone: {file}" for stage, file in news if stage in MADE and file in before]
                wrong += [f"lost: {file}" for stage, file in news if stage == "ok" and file not in after]
                wrong += [f"lost: {file}" for file in before if file not in after]
            wrong += corrupt(life.archive)
            if ended:
                break
    return wrong


_UNFINISHED = ("vector index", "marked", "text to embed")  # what the next run, or the next search, completes


def corrupt(archive: Path) -> list[str]:
    """Faults that a kill must not leave. Derived files may be stale or in pieces: they are checked before they answer."""
    if not (archive / "archive.db").exists():
        return []
    return [f"corrupt: {fault.problem}" for fault in check_integrity(archive) if fault.check not in _UNFINISHED]


def main(originals: Path, work: Path, kills: int, seed: int) -> None:
    work.mkdir()
    whole, times = Life(originals, work), {}
    for name, change, step in whole.steps():
        change()
        began = time.monotonic()
        assert run(step, 300.0)
        times[name] = time.monotonic() - began
    expected = dump(whole.archive)
    chance, seen, wrong, lives = random.Random(seed), Counter[str](), list[str](), 0
    while seen.total() < kills:
        life, lives = Life(originals, work), lives + 1
        wrong += killed_life(life, times, chance, seen)
        wrong += [f"other: {part}" for part, rows in dump(life.archive).items() if rows != expected[part]]
    json.dump({"kills": seen.total(), "lives": lives, "wrong": wrong, "by_moment": seen}, sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
