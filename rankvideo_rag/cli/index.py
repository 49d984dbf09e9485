"""rankvideo index: index media files into an archive."""

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import PARTIAL, out, print_json, printable, render
from rankvideo_rag.cli.domain_warning import warn_if_foreign
from rankvideo_rag.cli.index_progress import IndexProgress, print_report
from rankvideo_rag.cli.options import AsJson, Output, setting_options

if TYPE_CHECKING:
    from rankvideo_rag.indexing.build import IndexReport
    from rankvideo_rag.indexing.dry_run import IndexPlan
    from rankvideo_rag.settings import Settings

TEXT_SETTINGS = ("text_embedder", "text_embedder_model")
RUN_SETTINGS = ("device", "gpu", "vector_store", "engine", "ray_address")
_INDEX_SETTINGS = ("profile", "embedder", "embedder_model", "asr", "asr_model", "ocr", "subtitles", "audio_only")
_CLIP_SETTINGS = ("clip_seconds", "clip_overlap", "segment_by", "frame_sampling", "video_reader")


@setting_options(*_INDEX_SETTINGS, *TEXT_SETTINGS, *_CLIP_SETTINGS, *RUN_SETTINGS)
def index(
    inputs: Annotated[list[Path], typer.Argument(help="Folders of videos, or video files.")],
    output: Output,
    options: dict[str, Any],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be done, with time and space.")] = False,
    as_json: AsJson = False,
) -> None:
    """Index videos into an archive. An interrupted run continues when started again; unchanged files cost nothing."""
    from rankvideo_rag.errors import DiskFull, InputError
    from rankvideo_rag.indexing.run import index as run
    from rankvideo_rag.indexing.run_report import REPORT
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.storage.store import Store

    if "asr_model" in options and options.setdefault("asr", "whisper") == "none":
        raise InputError("--asr-model and --asr none contradict each other: give one of them")
    settings = Settings.load(**options)
    check_places(settings)
    if dry_run:
        _dry_run(inputs, output, settings, as_json=as_json)
        return
    switched_off = {kind for kind, name in (("speech", "asr"), ("on-screen text", "ocr")) if options.get(name) == "none"}
    try:
        with IndexProgress(switched_off) as progress:
            report = run(inputs, output, settings, on_start=progress.on_start, on_event=progress.on_event)
    except DiskFull as error:
        raise DiskFull(f"{error}{_space_needed(inputs, output, settings)}") from error
    update_vector_store(output, settings)
    if as_json:
        print_json(report_to_json(report))
    else:
        print_report(report)
        out.print(f"Every file with its outcome: {printable(str(output / REPORT))}", soft_wrap=True)
        out.print(f'Next: [bold]rankvideo ask {printable(str(output))} "..."[/]')
    with closing(Store.open(output)) as store:
        warn_if_foreign(store, settings)
    exit_by_outcome(report)


def exit_by_outcome(report: "IndexReport") -> None:
    """End the command with exit code 3 if some files are not fully indexed."""
    if any(file.outcome != "ok" for file in report.files):
        raise typer.Exit(PARTIAL)


def check_places(settings: "Settings") -> None:
    """Check the Ray address and the vector store before any work is done. Raises InputError."""
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.settings import FAISS

    if settings.ray_address and "ray_address" in settings.given and settings.engine != "ray":
        raise InputError("--ray-address names a Ray cluster: give --engine ray with it")
    if settings.vector_store != FAISS:
        from rankvideo_rag.storage.vector_stores import check_vector_store

        check_vector_store(settings.vector_store)


def update_vector_store(folder: Path, settings: "Settings") -> None:
    """Bring the vector store's copy of the archive up to date, if vectors are searched there."""
    from rankvideo_rag.settings import FAISS

    if settings.vector_store == FAISS:
        return
    from rankvideo_rag.archive import VideoArchive

    with VideoArchive.open(folder, settings) as archive:
        archive.vectors()


def report_to_json(report: "IndexReport") -> dict[str, Any]:
    """Return the report as `--json` prints it."""
    return {
        **{outcome: report.count(outcome) for outcome in ("ok", "partial", "skipped", "failed")},
        "videos": [file.model_dump(include={"path", "outcome", "reason", "clips"}) for file in report.files],
        "unchanged": report.unchanged,
        "work": {"decodes": report.decodes, "embeddings": report.embeddings, "texts": report.texts},
        "seconds": round(report.seconds, 3),
    }


def _space_needed(inputs: Sequence[Path], output: Path, settings: "Settings") -> str:
    """Return a sentence about the space that the remaining files need."""
    from rankvideo_rag.errors import ArchiveError
    from rankvideo_rag.indexing.dry_run import plan_index

    try:
        rest = plan_index(inputs, output, settings)
    except ArchiveError:  # without space for SQLite's own files the archive cannot be read
        return ""
    return f" About {rest.disk_bytes:,} bytes are needed for the rest, estimated from {rest.basis}."


def _dry_run(inputs: Sequence[Path], output: Path, settings: "Settings", *, as_json: bool) -> None:
    from rankvideo_rag.indexing.dry_run import plan_index

    found = plan_index(inputs, output, settings)
    render(found, lambda: _print_plan(found), as_json=as_json)


def _print_plan(found: "IndexPlan") -> None:
    counts = found.model_dump(include={"unchanged", "new", "changed", "moved", "retried"})
    out.print(f"{found.files} files: {', '.join(f'{count} {kind}' for kind, count in counts.items() if count)}")
    for option in found.changed_options:
        out.print(f"  all are indexed again, because this option differs from the archive's: {printable(option)}")
    if found.text_videos:
        out.print(f"  the stored text of {found.text_videos} videos is embedded again, without reading them")
    duration = timedelta(seconds=round(found.seconds))
    out.print(
        f"To read: {found.bytes_to_read / 1e9:,.2f} GB, about {duration}; the archive grows by {found.disk_bytes:,} bytes."
    )
    out.print(f"Estimated from: {printable(found.basis)}.")
