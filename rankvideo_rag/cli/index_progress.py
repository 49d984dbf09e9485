"""Progress of an indexing run: a bar over the files, and the rate and remaining time of each stage."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rankvideo_rag.cli.console import INTERRUPTED, err, make_table, note, out, printable

if TYPE_CHECKING:
    from rankvideo_rag.indexing.build import IndexEvent, IndexReport
    from rankvideo_rag.schema import FileOutcome
    from rankvideo_rag.storage.index_config import IndexConfig


class StageRate(NamedTuple):
    """One stage so far."""

    stage: str
    files: int  # files that entered it
    seconds: float
    left: float  # estimated seconds in this stage for the remaining files

    @property
    def rate(self) -> float:
        """Files per second."""
        return self.files / self.seconds if self.seconds else 0.0


class StageClock:
    """Measures how long a run over `total` files is in each stage.

    Work that is prefetched meanwhile is not counted: a stage that never has to wait for it looks fast.
    """

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._clock = total, clock
        self._done = 0
        self._seconds: dict[str, float] = {}
        self._files: dict[str, int] = {}
        self._last: dict[str, object] = {}  # the last file in each stage: some stages are entered several times per file
        self._current: tuple[str, float] | None = None

    def record(self, event: "IndexEvent") -> None:
        """Record that a stage began or a file is done."""
        now = self._clock()
        if self._current:
            stage, since = self._current
            self._seconds[stage] += now - since
        self._current = None
        if event.done:
            self._done += 1
        elif event.stage:
            self._current = event.stage, now
            self._files[event.stage] = self._files.get(event.stage, 0) + (self._last.get(event.stage) != event.path)
            self._seconds.setdefault(event.stage, 0.0)
            self._last[event.stage] = event.path

    def rates(self) -> Iterator[StageRate]:
        """Yield the stages in the order in which they were first entered."""
        for stage, seconds in list(self._seconds.items()):  # a copy: events arrive while the table is drawn
            left = seconds / self._done * (self._total - self._done) if self._done else float("inf")
            yield StageRate(stage, self._files[stage], seconds, left)


class _Bars(Progress):
    """A bar over the files with a table of stages below it."""

    clock: StageClock | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.clock and (rates := list(self.clock.rates())):
            yield stages_table(rates)


def stages_table(rates: Sequence[StageRate]) -> Table:
    """Return the stages as a table: files, time, rate, remaining time."""
    rows = ((rate.stage, str(rate.files), _duration(rate.seconds), f"{rate.rate:,.2f}", _duration(rate.left)) for rate in rates)
    return make_table(("stage", "files", "time", "files/s", "ETA"), rows)


def _duration(seconds: float) -> str:
    return "-" if seconds == float("inf") else str(timedelta(seconds=round(seconds)))


class IndexProgress:
    """Shows the progress of `index` and `update`, and each file that is not fully indexed. Ctrl-C says how to continue.

    `switched_off` names the kinds of text that the user switched off: no note about those.
    """

    def __init__(self, switched_off: set[str]) -> None:
        self._switched_off = switched_off
        self._bars = _Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
        self._task: TaskID | None = None
        self._done = 0
        self._total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._bars.stop()
        if kind is KeyboardInterrupt:
            err.print(f"[bold]stopped[/] after {self._done} of {self._total} files. Run the same command again to continue.")
            raise typer.Exit(INTERRUPTED) from None

    def on_start(self, paths: Sequence[Path], config: "IndexConfig") -> None:
        """Start the bar, and note which kinds of text are not read."""
        readers = {"speech": config.transcriber, "on-screen text": config.text_reader}
        unread = {kind for kind, reader in readers.items() if not reader} - self._switched_off
        if "on-screen text" in unread:
            note("on-screen text is not read: install the reader with pip install 'rankvideo-rag[ocr]'")
        if "speech" in unread:
            note("speech is taken from subtitles only: --asr whisper --asr-model base recognizes it (extra asr)")
        self._total = len(paths)
        self._bars.clock = StageClock(self._total)
        self._task = self._bars.add_task("indexing", total=self._total)
        self._bars.start()

    def on_event(self, event: "IndexEvent") -> None:
        """Update the bar."""
        if self._task is None or self._bars.clock is None:
            return
        self._bars.clock.record(event)
        if event.done is None:
            self._bars.update(self._task, description=f"{printable(event.path.name)} [dim]{event.stage}[/]")
            return
        self._done += 1
        self._bars.advance(self._task)
        if event.done.outcome != "ok" and not event.unchanged:
            self._bars.print(f"{event.done.outcome}: {printable(event.path.name)}: {_why(event.done)}", soft_wrap=True)


def print_report(report: "IndexReport") -> None:
    """Print the outcomes of a run, what it cost, and each file that is not fully indexed."""

    def row(outcome: str) -> tuple[str, ...]:
        files = [file for file in report.files if file.outcome == outcome]
        codes = sorted({(file.reason or "").partition(":")[0] for file in files if file.reason})
        return outcome, str(len(files)), str(sum(file.clips for file in files)), printable(", ".join(codes))

    rows = map(row, ("ok", "partial", "skipped", "failed"))
    out.print(make_table(("outcome", "files", "clips", "reasons"), rows, left=4))
    out.print(
        f"{len(report.files)} files in {report.seconds:.1f} s, {report.unchanged} of them unchanged; "
        f"{report.decodes} decoder calls, {report.embeddings} clips and {report.texts} passages of text embedded."
    )
    for file in report.files:
        if file.outcome != "ok":
            out.print(f"  {file.outcome}: {printable(file.path)}\n    {_why(file)}", soft_wrap=True)


def _why(file: "FileOutcome") -> str:
    """Return the reason why a file is not fully indexed, and the hint for it."""
    from rankvideo_rag.indexing.failure_hints import explain_failure

    return f"{printable(file.reason or '')}. To do: {printable(explain_failure(file).hint)}"
