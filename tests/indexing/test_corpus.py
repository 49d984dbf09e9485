"""A corpus of tiny clips, one in ten corrupt: indexing leaks no objects or descriptors, and corrupt files affect no others.

RANKVIDEO_CORPUS=1000 makes it a large one.
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
MAX_LEAK = 10_000  # bytes of Python objects per video
CORRUPTIONS: list[tuple[Callable[[bytes], bytes], str]] = [  # change of a valid file, and its error code
    (lambda film: b"", "empty"),
    (lambda film: film[: len(film) // 2], "truncated_no_index"),
    (lambda film: b"#EXTM3U\n/etc/passwd\n", "playlist"),
    (lambda film: film[:32] + bytes(np.random.default_rng(1).integers(0, 256, len(film) - 32, np.uint8)), "truncated_no_index"),
    (lambda film: b"no film at all " * 400, "not_media"),
]


class Watch:
    """Records the Python objects and descriptors of this process after each file."""

    def __init__(self) -> None:
        self.bytes: list[int] = []
        self.descriptors: list[int] = []

    def __call__(self, event: IndexEvent) -> None:
        if event.done is None:
            return
        gc.collect()
        self.bytes.append(tracemalloc.get_traced_memory()[0])
        self.descriptors.append(len(os.listdir("/proc/self/fd")))

    def leak(self) -> float:
        """Return the growth in bytes per file, by least squares, after the first fifth has filled the caches."""
        later = self.bytes[len(self.bytes) // 5 :]
        return float(np.polyfit(np.arange(len(later)), later, 1)[0])


def is_corrupt(path: Path) -> bool:
    return int(path.stem) % 10 == 7


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    looks = [list(render_frames(clip)[::8]) for clip in plain_clips(20, seed=3)[:8]]
    for number in range(FILES):
        look = looks[number % len(looks)]
        height, width, _ = look[0].shape
        title = "i" * (number + 1)  # different sizes, so that files are prefetched
        path = write_video(folder / f"{number:04d}.mp4", frames=look, fps=4, size=(width, height), title=title)
        if is_corrupt(path):
            change, _ = CORRUPTIONS[number // 10 % len(CORRUPTIONS)]
            path.write_bytes(change(path.read_bytes()))
    return folder


def indexed(folder: Path, archive: Path, watch: Callable[[IndexEvent], None] = lambda event: None) -> IndexReport:
    return index([folder], archive, Settings.load(ocr="none"), on_event=watch)


@pytest.mark.slow
@pytest.mark.timeout(180 + 2 * FILES)
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors are counted in /proc")
def test_nothing_leaks_and_corrupt_files_change_nothing_for_the_others(corpus: Path, tmp_path: Path) -> None:
    watch = Watch()
    gc.collect()
    gc.freeze()  # imported modules need not be scanned after each file
    tracemalloc.start()
    try:
        report = indexed(corpus, tmp_path / "archive", watch)
    finally:
        tracemalloc.stop()
        gc.unfreeze()
    sys.stdout.write(f"{FILES} files: {watch.leak():,.0f} bytes per file, {max(watch.descriptors)} descriptors at most\n")
    assert watch.leak() < MAX_LEAK
    settled = watch.descriptors[FILES // 5 :]
    assert max(settled) - min(settled) <= 3 * 4  # three pipes of each decoder process that may be running
    assert abs(np.polyfit(np.arange(len(settled)), settled, 1)[0]) * len(settled) < 3

    outcomes = {Path(file.path): (file.outcome, (file.reason or "").partition(":")[0]) for file in report.files}
    for path, (outcome, code) in outcomes.items():
        expected = ("skipped", CORRUPTIONS[int(path.stem) // 10 % len(CORRUPTIONS)][1]) if is_corrupt(path) else ("ok", "")
        assert (outcome, code) == expected, path

    corrupt = [path for path in outcomes if is_corrupt(path)]
    assert len(corrupt) == FILES // 10
    with_them = dump(tmp_path / "archive")
    assert len(with_them["indexed vectors"]) == FILES - len(corrupt)
    for path in corrupt:
        path.unlink()
    indexed(corpus, tmp_path / "without")
    alone = dump(tmp_path / "without")
    with_them["files"] = [row for row in with_them["files"] if row[4] == "ok"]
    assert with_them == alone
