"""A corpus of tiny clips, one in ten poisoned: this process neither grows nor leaks, and poison harms no other file.

RANKVIDEO_CORPUS=1000 makes it a large one, whose memory is what the system counts.
"""

import gc
import os
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.archive_dump import dump
from support.media_files import write_video
from support.world import plain_clips

from rankvideo_rag.indexing.build import IndexEvent, IndexReport
from rankvideo_rag.indexing.run import index
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic.render import render_frames

FILES = int(os.environ.get("RANKVIDEO_CORPUS", "60"))
LARGE = FILES >= 1000
MOST_GROWTH = 10_000  # bytes a video
POISONS: list[tuple[Callable[[bytes], bytes], str]] = [  # what is done to a good file, and its code
    (lambda film: b"", "empty"),
    (lambda film: film[: len(film) // 2], "truncated_no_index"),
    (lambda film: b"#EXTM3U\n/etc/passwd\n", "playlist"),
    (lambda film: film[:32] + bytes(np.random.default_rng(1).integers(0, 256, len(film) - 32, np.uint8)), "truncated_no_index"),
    (lambda film: b"no film at all " * 400, "not_media"),
]


class Watch:
    """What this process holds after each file of a run."""

    def __init__(self) -> None:
        self.bytes: list[int] = []
        self.descriptors: list[int] = []

    def __call__(self, event: IndexEvent) -> None:
        if event.done is None:
            return
        gc.collect()
        self.bytes.append(_resident() if LARGE else tracemalloc.get_traced_memory()[0])
        self.descriptors.append(len(os.listdir("/proc/self/fd")))

    def growth(self) -> float:
        """Bytes a file, by least squares, once a fifth of them has filled what is kept for the next."""
        later = self.bytes[len(self.bytes) // 5 :]
        return float(np.polyfit(np.arange(len(later)), later, 1)[0])


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def is_poisoned(path: Path) -> bool:
    return int(path.stem) % 10 == 7


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    looks = [list(render_frames(clip)[::8]) for clip in plain_clips(20, seed=3)[:8]]
    for number in range(FILES):
        look = looks[number % len(looks)]
        height, width, _ = look[0].shape
        title = "i" * (number + 1)  # their sizes differ, so that they are read ahead
        path = write_video(folder / f"{number:04d}.mp4", frames=look, fps=4, size=(width, height), title=title)
        if is_poisoned(path):
            poison, _ = POISONS[number // 10 % len(POISONS)]
            path.write_bytes(poison(path.read_bytes()))
    return folder


def indexed(folder: Path, archive: Path, watch: Callable[[IndexEvent], None] = lambda event: None) -> IndexReport:
    return index([folder], archive, Settings.load(ocr="none"), on_event=watch)


@pytest.mark.timeout(180 + 2 * FILES)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory and descriptors are counted by Linux")
def test_neither_memory_nor_descriptors_grow_and_poison_changes_nothing_for_the_others(corpus: Path, tmp_path: Path) -> None:
    watch = Watch()
    gc.collect()
    gc.freeze()  # what the packages hold need not be gone through after each file
    if not LARGE:
        tracemalloc.start()
    try:
        report = indexed(corpus, tmp_path / "archive", watch)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    sys.stdout.write(f"{FILES} files: {watch.growth():,.0f} bytes a file, {max(watch.descriptors)} descriptors at most\n")
    assert watch.growth() < MOST_GROWTH
    settled = watch.descriptors[FILES // 5 :]
    assert max(settled) - min(settled) <= 3 * 4  # three pipes of each decoder process that may be there or not
    assert abs(np.polyfit(np.arange(len(settled)), settled, 1)[0]) * len(settled) < 3

    told = {Path(file.path): (file.outcome, (file.reason or "").partition(":")[0]) for file in report.files}
    for path, (outcome, code) in told.items():
        expected = ("skipped", POISONS[int(path.stem) // 10 % len(POISONS)][1]) if is_poisoned(path) else ("ok", "")
        assert (outcome, code) == expected, path

    poisoned = [path for path in told if is_poisoned(path)]
    assert len(poisoned) == FILES // 10
    with_them = dump(tmp_path / "archive")
    assert len(with_them["searched vectors"]) == FILES - len(poisoned)
    for path in poisoned:
        path.unlink()
    indexed(corpus, tmp_path / "without")
    alone = dump(tmp_path / "without")
    with_them["files"] = [row for row in with_them["files"] if row[4] == "ok"]
    assert with_them == alone
