"""rankvideo index: media files into an archive, with progress, a final table and an honest exit code."""

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from rankvideo_rag.cli.console import err, note, out, plain_table, print_json, shown
from rankvideo_rag.cli.domain_warning import say_what_is_foreign
from rankvideo_rag.cli.options import Address, AsJson, Device, Engine, Gpu, Profile, Vectors
from rankvideo_rag.cli.throughput import Pace, Stages

if TYPE_CHECKING:
    from rankvideo_rag.indexing.build import IndexEvent, IndexReport
    from rankvideo_rag.schema import FileOutcome
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.storage.index_config import IndexConfig

PARTLY = 3  # exit code: some inputs are not fully indexed
INTERRUPTED = 130


def index(
    inputs: Annotated[list[Path], typer.Argument(help="Folders of videos, or video files.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="The archive's folder; made where it is missing.", show_default=False)],
    profile: Profile = None,
    embedder: Annotated[str | None, typer.Option(help="Embedding backend.", show_default=False)] = None,
    embedder_model: Annotated[str | None, typer.Option(help="Its model: hub name or local path.", show_default=False)] = None,
    whisper: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Hear speech with this Whisper model or checkpoint file.", show_default=False),
    ] = None,
    asr: Annotated[
        str | None,
        typer.Option(help="What runs it: whisper, faster_whisper or package.module:function.", show_default=False),
    ] = None,
    speech: Annotated[
        bool | None, typer.Option("--speech/--no-speech", help="Recognise speech at all.", show_default=False)
    ] = None,
    ocr: Annotated[bool | None, typer.Option("--ocr/--no-ocr", help="Read words in the picture.", show_default=False)] = None,
    subtitles: Annotated[
        bool | None, typer.Option("--subtitles/--no-subtitles", help="Use subtitle files and streams.", show_default=False)
    ] = None,
    audio_only: Annotated[
        bool | None, typer.Option("--sound-only/--no-sound-only", help="Index files without a picture too.", show_default=False)
    ] = None,
    clip_seconds: Annotated[float | None, typer.Option(help="Longest clip, in seconds.", show_default=False)] = None,
    clip_overlap: Annotated[float | None, typer.Option(help="Overlap of clips, in seconds.", show_default=False)] = None,
    clips_at: Annotated[
        str | None,
        typer.Option(
            help="Where clips are divided: windows, shots, pyscenedetect (shots, by that package) or speech (its pauses).",
            show_default=False,
        ),
    ] = None,
    frame_sampling: Annotated[
        str | None,
        typer.Option(
            help="Key frames for wanted ones, within a second: auto (where as many), keyframes (or fewer), exact (none).",
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    gpu: Gpu = None,
    vectors: Vectors = None,
    engine: Engine = None,
    address: Address = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, in about what time and room.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Index videos into an archive. Interrupted or run again, it goes on where it was; unchanged files cost nothing."""
    from rankvideo_rag.errors import DiskFull, InputError
    from rankvideo_rag.indexing.run import index as run
    from rankvideo_rag.indexing.run_report import REPORT
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.storage.store import Store

    if (whisper or asr) and speech is False:
        raise InputError(f"--{'whisper' if whisper else 'asr'} and --no-speech contradict each other: give one of them")
    settings = Settings.load(
        profile=profile,
        embedder=embedder,
        embedder_model=embedder_model,
        asr=asr or ("whisper" if whisper or speech else _off(speech)),
        asr_model=whisper,
        ocr="rapidocr" if ocr else _off(ocr),
        subtitles=subtitles,
        audio_only=audio_only,
        clip_seconds=clip_seconds,
        clip_overlap=clip_overlap,
        segment_by=clips_at,
        frame_sampling=frame_sampling,
        device=device,
        gpu=gpu,
        vector_store=vectors,
        engine=engine,
        ray_address=address,
    )
    check_places(settings, address)
    if dry_run:
        _say_what_would_be_done(inputs, to, settings, as_json=as_json)
        return
    asked_off = {name for name, switch in (("speech", speech), ("on-screen text", ocr)) if switch is False}
    try:
        with Display(asked_off) as display:
            report = run(inputs, to, settings, on_start=display.on_start, on_event=display.on_event)
    except DiskFull as error:
        raise DiskFull(f"{error}{_room_for_the_rest(inputs, to, settings)}") from error
    copy_vectors(to, settings)
    if as_json:
        print_json(as_contract(report))
    else:
        print_report(report)
        out.print(f"Every file with its outcome: {shown(str(to / REPORT))}", soft_wrap=True)
        out.print(f'Ask it: [bold]rankvideo ask {shown(str(to))} "…"[/]')
    with closing(Store.open(to)) as store:
        say_what_is_foreign(store, settings)
    if any(file.outcome != "ok" for file in report.files):
        raise typer.Exit(PARTLY)


def _room_for_the_rest(inputs: "list[Path]", to: Path, settings: "Settings") -> str:
    """About how much room the files need that are not indexed yet."""
    from rankvideo_rag.errors import ArchiveError
    from rankvideo_rag.indexing.dry_run import plan_index

    try:
        rest = plan_index(inputs, to, settings)
    except ArchiveError:  # without room for SQLite's own files the archive cannot even be looked into
        return ""
    return f" About {rest.disk_bytes:,} bytes are needed for the rest; the estimate rests on {rest.basis}."


def check_places(settings: "Settings", address: str | None) -> None:
    """Refuse places for work and for vectors that cannot be, before any work is done."""
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.settings import FAISS

    if address and settings.engine != "ray":
        raise InputError("--address names a Ray cluster: give --engine ray with it")
    if settings.vector_store != FAISS:
        from rankvideo_rag.storage.vector_stores import check_vector_store

        check_vector_store(settings.vector_store)


def copy_vectors(folder: Path, settings: "Settings") -> None:
    """Bring what a vector store holds of an archive up to date, where its vectors are searched there."""
    from rankvideo_rag.settings import FAISS

    if settings.vector_store == FAISS:
        return
    from rankvideo_rag.archive import VideoArchive

    with VideoArchive.open(folder, settings) as archive:
        archive.vectors()


def as_contract(report: "IndexReport") -> dict[str, Any]:
    """The report as `--json` prints it."""
    return {
        **{outcome: report.count(outcome) for outcome in ("ok", "partial", "skipped", "failed")},
        "videos": [file.model_dump(include={"path", "outcome", "reason", "clips"}) for file in report.files],
        "unchanged": report.unchanged,
        "work": {"decodes": report.decodes, "embeddings": report.embeddings},
        "seconds": round(report.seconds, 3),
    }


def _off(switch: bool | None) -> str | None:
    """'none' for a switch that was turned off, None for one that was not touched."""
    return "none" if switch is False else None


def _say_what_would_be_done(inputs: Sequence[Path], to: Path, settings: "Settings", *, as_json: bool) -> None:
    from rankvideo_rag.indexing.dry_run import plan_index

    found = plan_index(inputs, to, settings)
    if as_json:
        print_json(found.model_dump())
        return
    counts = found.model_dump(include={"unchanged", "new", "changed", "moved", "retried"})
    out.print(f"{found.files} files: {', '.join(f'{count} {kind}' for kind, count in counts.items() if count)}")
    for option in found.changed_options:
        out.print(f"  all are made again, since this option is another than the archive's: {shown(option)}")
    time = str(timedelta(seconds=round(found.seconds)))
    out.print(
        f"To read: {found.bytes_to_read / 1e9:,.2f} GB, in about {time}; the archive grows by about {found.disk_bytes:,} bytes."
    )
    out.print(f"Estimated from: {shown(found.basis)}.")


class _Bars(Progress):
    """A bar over the files, and below it each stage with its rate and the time that it will take."""

    stages: Stages | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.stages and (paces := list(self.stages.paces())):
            yield stages_table(paces)


def stages_table(paces: Sequence[Pace]) -> Table:
    """The stages of a run: files, time, rate, and the time that is left of each."""
    table = plain_table()
    table.add_column("stage")
    for column in ("files", "time", "files/s", "ETA"):
        table.add_column(column, justify="right")
    for pace in paces:
        left = "-" if pace.left == float("inf") else str(timedelta(seconds=round(pace.left)))
        table.add_row(pace.stage, str(pace.files), str(timedelta(seconds=round(pace.seconds))), f"{pace.rate:,.2f}", left)
    return table


class Display:
    """A progress bar over the files, with the stage of the present one, the pace of all stages, and a line for each file that
    is not fine. Stopped by Ctrl-C it says how to go on."""

    def __init__(self, asked_off: set[str]) -> None:
        self._asked_off = asked_off
        self._progress = _Bars(
            TextColumn("{task.description}", table_column=None),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=err,
            transient=True,
        )
        self._task: TaskID | None = None
        self.done = 0
        self.total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            err.print(f"[bold]stopped[/] after {self.done} of {self.total} files. Run the same command again to go on.")
            raise typer.Exit(INTERRUPTED) from None

    def on_start(self, paths: Sequence[Path], config: "IndexConfig") -> None:
        words = {"speech": config.transcriber, "on-screen text": config.text_reader}
        off = {name for name, used in words.items() if not used} - self._asked_off
        if "on-screen text" in off:
            note("on-screen text is not read: pip install 'rankvideo-rag[ocr]' brings the reader, --ocr asks for it")
        if "speech" in off:
            note("speech is taken from subtitles only: --whisper MODEL hears it, e.g. --whisper base or a checkpoint file")
        self.total = len(paths)
        self._progress.stages = Stages(self.total, time.monotonic)
        self._task = self._progress.add_task("indexing", total=self.total)
        self._progress.start()

    def on_event(self, event: "IndexEvent") -> None:
        if self._task is None or self._progress.stages is None:
            return
        self._progress.stages.hear(event)
        if event.done is None:
            self._progress.update(self._task, description=f"{shown(event.path.name)} [dim]{event.stage}[/]")
            return
        self.done += 1
        self._progress.advance(self._task)
        if event.done.outcome != "ok" and not event.unchanged:
            self._progress.print(f"{event.done.outcome}: {shown(event.path.name)}: {_why(event.done)}", soft_wrap=True)


def print_report(report: "IndexReport") -> None:
    """The report for people: a table, what it cost, and each file that is not fine."""
    table = plain_table()
    for column in ("outcome", "files", "clips", "reasons"):
        table.add_column(column)
    for outcome in ("ok", "partial", "skipped", "failed"):
        files = [file for file in report.files if file.outcome == outcome]
        codes = sorted({(file.reason or "").partition(":")[0] for file in files if file.reason})
        table.add_row(outcome, str(len(files)), str(sum(file.clips for file in files)), shown(", ".join(codes)))
    out.print(table)
    out.print(
        f"{len(report.files)} files in {report.seconds:.1f} s, {report.unchanged} of them unchanged; "
        f"{report.decodes} decoder calls, {report.embeddings} clips embedded."
    )
    for file in report.files:
        if file.outcome != "ok":
            out.print(f"  {file.outcome}: {shown(file.path)}\n    {_why(file)}", soft_wrap=True)


def _why(file: "FileOutcome") -> str:
    """What was found of a file that is not wholly indexed, and what to do about it."""
    from rankvideo_rag.indexing.failure_hints import explain_failure

    return f"{shown(file.reason or '')}. To do: {shown(explain_failure(file).hint)}"
