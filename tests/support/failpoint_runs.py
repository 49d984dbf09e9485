"""Writes an archive in processes whose system calls fail one by one, and says what was lost by it.

    python tests/failpoint_runs.py calls VIDEOS WORK DISK SHARE
    python tests/failpoint_runs.py full VIDEOS WORK DISK POINTS

`calls`: each step of an archive's life, from its first video to its last compaction, makes some hundred writes, syncs, renames
and deletions in the archive's folder. Each of these (or one of SHARE, taken evenly) befalls each of the faults of
`system_calls`, each time from the same archive. `full`: before each step a ballast leaves so and so many bytes of the disk;
after it the archive is read before any are freed, which may be refused where not even 64 KiB are left.

Afterwards the archive must open, hold what was committed, and need no more than its derived files made anew; the step, begun
again, must end, make nothing twice, and leave what an uninterrupted one leaves, in archive.db and as files. Printed as JSON:
what was tried, how steps ended, and the violations.

What the decoder says is played back (`recorded_decoder`): no call into it changes an archive.
"""

import json
import mmap
import os
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.storage.integrity import check_integrity
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import IndexOptions, VectorIndex
from support import system_calls
from support.archive_dump import dump
from support.kill_runs import MADE, Life, corrupt
from support.recorded_decoder import RecordedDecoder
from support.vectors import clustered_vectors, put_clips

_TO_READ = 64 << 10  # bytes: SQLite puts 32 KiB beside a database that nobody has open, whoever opens it
_MANY = IndexOptions(flat_below=40)  # vectors, so that few are many


class Scene(NamedTuple):
    """One step from a known state."""

    name: str
    life: Life
    start: Path  # a copy of what was there before: videos and archive
    step: Callable[[], object]
    expected: dict[str, list[Any]]  # the dump afterwards
    held: dict[str, str]  # file name -> video afterwards
    files: set[str]  # names in the archive's folder afterwards


def scenes(originals: Path, work: Path, disk: Path) -> Iterator[Scene]:
    """Each step of a life, lived once without faults."""
    decoder, life = RecordedDecoder(work / "replies"), Life(originals, work, disk)
    for number, (name, change, step) in enumerate([*life.steps(), *_more_steps(life)]):
        change()
        start = work / f"start{number}"
        for folder in (life.videos, life.archive):
            if folder.exists():
                shutil.copytree(folder, start / folder.name)
        assert run(decoder.saving(step)) == "done", name
        decoder.load()
        yield Scene(name, life, start, step, dump(life.archive), life.committed(), names(life.archive))


def _more_steps(life: Life) -> list[tuple[str, Callable[[], None], Callable[[], object]]]:
    """Repairing what was damaged, and building an IVF-PQ index."""

    def many() -> None:
        shutil.rmtree(life.archive)
        with closing(Store.create(life.archive, {})) as store:
            put_clips(store, clustered_vectors(60, seed=3, dim=8))

    def repair() -> None:
        check_integrity(life.archive, repair=True)
        _read(life.archive)

    return [
        ("repair", lambda: _damage(life.archive), repair),
        ("ivfpq", many, lambda: _read(life.archive, _MANY)),
    ]


def _read(archive: Path, options: IndexOptions | None = None) -> None:
    with closing(Store.open(archive)) as store:
        store.videos()
        VectorIndex.open(store, options=options)


def _damage(archive: Path) -> None:
    """Words that are not in the full-text index, rows that belong to nothing, and a cut index."""
    with closing(sqlite3.connect(archive / "archive.db")) as connection, connection:
        connection.execute("DELETE FROM passages_speech WHERE rowid % 2")
        new = "INSERT INTO videos (video_id, title, probe, config_hash, outcome) VALUES ('orphan', '', '{}', '', 'ok')"
        connection.execute(new)
    os.truncate(archive / "visual.faiss", 100)


def names(archive: Path) -> set[str]:
    """The files of an archive."""
    return {file.name for file in archive.iterdir()} if archive.exists() else set()


def run(step: Callable[[], object], folder: Path | None = None, fault: system_calls.Fault | None = None) -> str:
    """How the step ended."""
    return system_calls.run(step, folder, fault).how


class Trial:
    """Runs a step into a fault and begins it again; violations are told with the name of the trial."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene, self._name = scene, f"{scene.name}, {name}"
        self.wrong: list[str] = []

    def set_up(self) -> None:
        """Put the archive and its videos back to what they were."""
        life = self.scene.life
        life.forget()
        for folder in (life.videos, life.archive):
            shutil.rmtree(folder, ignore_errors=True)
            if (self.scene.start / folder.name).exists():
                shutil.copytree(self.scene.start / folder.name, folder)

    def judge_reading(self, how: str, left: int) -> None:
        """What is wrong where the archive was read with so many bytes free, and that ended so."""
        may_refuse = left < _TO_READ
        if how != "done" and not (how == "refused" and may_refuse):
            self.wrong += self._told([f"with {left} bytes free, reading {how}"])

    def judge(self, how: str) -> list[str]:
        """What is wrong after a step that ended so."""
        life = self.scene.life
        if how == "raised":
            self.wrong += self._told(["ended with an error that is none for people"])
        if (life.archive / "archive.db").exists():
            Store.open(life.archive).close()
        if self.scene.name not in ("repair", "ivfpq"):
            self.wrong += self._told(corrupt(life.archive))
        there = life.committed().values()
        self.wrong += self._told(
            f"lost: {file}" for file in self._files(life.logged(), "ok") if self.scene.held[file] not in there
        )
        self.begin_again()
        return self.wrong

    def begin_again(self) -> None:
        """The same step without a fault."""
        life = self.scene.life
        before, told = life.committed().values(), len(life.logged())
        if (how := run(self.scene.step)) != "done":
            self.wrong += self._told([f"begun again, it was {how}"])
            return
        made = self._files(life.logged()[told:], *MADE)
        self.wrong += self._told(f"redone: {file}" for file in made if self.scene.held[file] in before)
        if missing := self.scene.files - names(life.archive):
            self.wrong += self._told(f"missing: {name}" for name in missing)
            return
        found = dump(life.archive)
        self.wrong += self._told(f"other: {part}" for part in found if found[part] != self.scene.expected[part])
        self.wrong += self._told(f"left behind: {name}" for name in names(life.archive) - self.scene.files)

    @staticmethod
    def _files(log: list[tuple[str, str]], *stages: str) -> list[str]:
        return [file for stage, file in log if stage in stages]

    def _told(self, problems: Any) -> list[str]:
        return [f"{self._name}: {problem}" for problem in problems]


def failing_calls(scene: Scene, share: int, seen: Counter[str]) -> list[str]:
    """Every fault at every call, or at one of so many."""
    trial = Trial(scene, "without a fault")
    trial.set_up()
    calls = system_calls.run(scene.step, scene.life.archive, None).calls
    points = [(kind, at) for at, call in enumerate(calls) for kind in system_calls.FAULTS if system_calls.applies(kind, call)]
    wrong = []
    for kind, at in points[len(scene.name) % share :: share]:
        trial = Trial(scene, f"{kind} at call {at} ({calls[at]})")
        trial.set_up()
        how = run(scene.step, scene.life.archive, system_calls.Fault(kind, at))
        seen[f"{scene.name}, {kind}: {how}"] += 1
        if kind == "short" and how != "done":
            wrong.append(f"{scene.name}, {kind} at call {at}: {how}, where the rest could have been written")
        wrong += trial.judge(how)
    return wrong


def full_disk(scene: Scene, points: int, seen: Counter[str]) -> list[str]:
    """A disk with so much room left, from none to nearly what the step needs."""
    enough, wrong = _enough(scene, points), []
    for number in range(points):
        room = enough * number // points
        trial = Trial(scene, f"{room} bytes free")
        how = _in_room(trial, room)
        seen[f"{scene.name}: {how}"] += 1
        wrong += trial.judge(how)
    return wrong


def _in_room(trial: Trial, room: int) -> str:
    """How the step ended. The archive is read before anything is freed."""
    trial.set_up()
    archive = trial.scene.life.archive
    disk = archive.parent
    ballast = disk / "ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, _free(disk) - room // mmap.PAGESIZE * mmap.PAGESIZE)
    how, left = run(trial.scene.step), _free(disk)
    if (archive / "archive.db").exists():
        trial.judge_reading(run(lambda: _read(archive)), left)
    ballast.unlink()
    return how


def _free(disk: Path) -> int:
    space = os.statvfs(disk)
    return space.f_bavail * space.f_frsize


def _enough(scene: Scene, points: int) -> int:
    """About the least room in which a step leaves all that it is to leave: not less, and closer than the points lie."""
    least, most = 0, 4 << 20
    while most - least > max(mmap.PAGESIZE, most // (2 * points)):
        middle = (least + most) // 2
        trial = Trial(scene, f"{middle} bytes free")
        done = _in_room(trial, middle) == "done" and names(scene.life.archive) == scene.files
        least, most = (least, middle) if done and not check_integrity(scene.life.archive) else (middle, most)
    return most


def main(what: str, originals: Path, work: Path, disk: Path, number: int) -> None:
    seen, wrong = Counter[str](), list[str]()
    for scene in scenes(originals, work, disk):
        wrong += (failing_calls if what == "calls" else full_disk)(scene, number, seen)
    json.dump({"points": seen.total(), "wrong": wrong, "ends": seen}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
