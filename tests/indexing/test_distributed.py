"""An archive written from the results of workers equals the one that a single process writes."""

import os
import pickle
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from support.archive_dump import dump
from support.world import World

from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing import run
from rankvideo_rag.indexing.build import IndexReport
from rankvideo_rag.indexing.distributed import FileTask, IndexWorker, WorkerConfig, WorkerResult, build_distributed, lost_task
from rankvideo_rag.indexing.update import remove, update
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import Models
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder

SETTINGS = Settings.load(embedder="scripted", ocr="none")
Workers = Callable[[WorkerConfig, Sequence[FileTask]], Generator[WorkerResult, None, None]]


def sent(message: WorkerResult) -> WorkerResult:
    """As it comes out at the other end of a wire."""
    there: WorkerResult = pickle.loads(pickle.dumps(message))
    return there


def workers(order: slice = slice(None), work: Callable[[IndexWorker, FileTask], WorkerResult] = IndexWorker.work) -> Workers:
    """A worker in this process, whose receipts come in that order, once all are there."""

    def receipts(brief: WorkerConfig, tasks: Sequence[FileTask]) -> Generator[WorkerResult, None, None]:
        worker = IndexWorker(pickle.loads(pickle.dumps(brief)), Models(ScriptedEmbedder(), None, None))
        yield from [sent(work(worker, task)) for task in tasks][order]

    return receipts


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[Workers], None]:
    """Has runs read files by these workers."""

    def use(them: Workers) -> None:
        monkeypatch.setattr(run, "_engine", lambda settings: partial(build_distributed, workers=them))

    return use


def indexed(videos: Path, archive: Path) -> IndexReport:
    return run.index([videos], archive, SETTINGS)


@pytest.fixture
def videos(world: World, tmp_path: Path) -> Path:
    """Six clips, of one a copy with other subtitles, of one a copy without any; and files that are no videos."""
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, clip in enumerate(world.clips[:6]):
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder / f"{number}.mp4")
    for name, words in {"0": "a word", "0-copy": "another word", "2-copy": "said of a copy"}.items():
        if "-copy" in name:
            shutil.copy2(folder / f"{name[0]}.mp4", folder / f"{name}.mp4")
        (folder / f"{name}.srt").write_text(f"1\n00:00:00,000 --> 00:00:01,000\n{words}\n")
    shutil.copy2(folder / "3.mp4", folder / "3-copy.mp4")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    (folder / "gone.mp4").symlink_to(folder / "nowhere")
    return folder


def life(videos: Path, archive: Path) -> Iterator[IndexReport]:
    """An archive through everything that happens to files. The folder ends as it began."""
    yield indexed(videos, archive)
    moves = [("1.mp4", "renamed.mp4"), ("2.srt", "unused"), ("4.mp4", "out"), ("0.srt", "0.srt.txt")]
    for old, new in moves[:1] + moves[2:]:
        (videos / old).rename(videos / new)
    (videos / "5.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nnew words\n")
    os.utime(videos / "5.srt", ns=(1_700_000_000_000_000_000,) * 2)
    yield update(archive, SETTINGS).report
    remove(archive, [str(videos / "renamed.mp4")])
    (videos / "renamed.mp4").rename(videos / "1.mp4")
    yield update(archive, SETTINGS).report
    for old, new in moves[2:]:
        (videos / new).rename(videos / old)
    (videos / "5.srt").unlink()


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["in order", "backwards"])
def test_worker_results_in_any_order_make_the_archive_of_one_process(
    videos: Path, tmp_path: Path, engine: Callable[[Workers], None], order: slice
) -> None:
    expected = [dump(tmp_path / "local") for _ in life(videos, tmp_path / "local")]
    engine(workers(order))
    found = [dump(tmp_path / "receipts") for _ in life(videos, tmp_path / "receipts")]
    for step, (one, other) in enumerate(zip(found, expected, strict=True)):
        assert {part: rows for part, rows in one.items() if rows != other[part]} == {}, step


def test_unchanged_files_are_given_to_no_worker(videos: Path, tmp_path: Path, engine: Callable[[Workers], None]) -> None:
    engine(workers())
    first, second = indexed(videos, tmp_path / "archive"), indexed(videos, tmp_path / "archive")
    assert first.embeddings >= 6
    assert (second.unchanged, second.decodes, second.embeddings) == (len(first.files), 0, 0)


def test_a_file_without_a_worker_result_fails_and_is_retried(
    videos: Path, tmp_path: Path, engine: Callable[[Workers], None]
) -> None:
    def dies_of_one(worker: IndexWorker, task: FileTask) -> WorkerResult:
        return lost_task(task, "its worker died") if task.path.name == "4.mp4" else worker.work(task)

    engine(workers(work=dies_of_one))
    outcomes = {Path(file.path).name: file for file in indexed(videos, tmp_path / "archive").files}
    assert (outcomes["4.mp4"].outcome, outcomes["4.mp4"].reason) == ("failed", "worker: its worker died")
    engine(workers())
    again = indexed(videos, tmp_path / "archive")
    assert {Path(file.path).name: file.outcome for file in again.files}["4.mp4"] == "ok"
    assert again.embeddings == 1


def test_a_file_that_changes_before_its_result_is_written_is_not_written(
    videos: Path, tmp_path: Path, engine: Callable[[Workers], None]
) -> None:
    def late(worker: IndexWorker, task: FileTask) -> WorkerResult:
        receipt = worker.work(task)
        if task.path.name == "4.mp4":
            os.utime(task.path, ns=(1_700_000_000_000_000_000,) * 2)
        return receipt

    engine(workers(work=late))
    outcomes = {Path(file.path).name: file for file in indexed(videos, tmp_path / "archive").files}
    assert outcomes["4.mp4"].outcome == "failed"
    assert (outcomes["4.mp4"].reason or "").startswith("changed: ")


def test_a_file_that_a_worker_cannot_read_is_read_by_the_driver(
    videos: Path, tmp_path: Path, engine: Callable[[Workers], None], caplog: pytest.LogCaptureFixture
) -> None:
    def without_the_disk(worker: IndexWorker, task: FileTask) -> WorkerResult:
        missing = task._replace(path=task.path.with_name(f"elsewhere-{task.path.name}"))
        return worker.work(missing if task.path.name == "4.mp4" else task)._replace(path=task.path)

    indexed(videos, tmp_path / "local")
    engine(workers(work=without_the_disk))
    indexed(videos, tmp_path / "receipts")
    assert dump(tmp_path / "receipts") == dump(tmp_path / "local")
    assert "could not read a file that this machine can read: vanished" in caplog.text


def test_a_ray_address_without_the_ray_engine_is_refused() -> None:
    from typer.testing import CliRunner

    from rankvideo_rag.cli import app

    asked = CliRunner().invoke(app, ["index", ".", "--output", "archive", "--ray-address", "127.0.0.1:1"])
    assert isinstance(asked.exception, InputError)
    assert "--engine ray" in str(asked.exception)
