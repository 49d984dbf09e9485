"""rankvideo rerank: many queries and videos at once, from files to files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rankvideo_rag.cli.console import err, note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson, Device, Profile

if TYPE_CHECKING:
    from collections.abc import Callable

    from rankvideo_rag.ranking.batch import BatchReport, VideoDone
    from rankvideo_rag.ranking.batch_plan import CandidatePairs

PARTLY = 3  # exit code: some pairs have no score
FAILED = 1
INTERRUPTED = 130
_SHOWN = 10  # unscored pairs that are listed; all of them are in the files


def rerank(
    queries: Annotated[Path, typer.Option(help="Texts of the queries: id, tab, text.", show_default=False)],
    videos: Annotated[Path, typer.Option(help="Folder of the videos.", show_default=False)],
    to: Annotated[Path, typer.Option("--out", help="Folder for the results; made if need be.", show_default=False)],
    video2queries: Annotated[
        Path | None,
        typer.Option("--video2queries", help="JSON, video id -> query ids: the pairs to judge.", show_default=False),
    ] = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            help="JSON, query id -> video id -> score, or a TREC run: the order to start from; the pairs too, where "
            "--video2queries is not given.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        int | None, typer.Option(min=1, help="Judge only so many of the first stage, from its top.", show_default=False)
    ] = None,
    template: Annotated[
        str, typer.Option(help="Where a video lies in the folder; the published layout is '{bucket}/{id}.mp4'.")
    ] = "{id}.*",
    header: Annotated[bool, typer.Option("--header", help="The file of queries begins with a line of column names.")] = False,
    profile: Profile = None,
    backend: Annotated[
        str | None, typer.Option(help="Who watches: transformers, scripted, …, or package.module:function.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub name or local path of the checkpoint.", show_default=False)] = None,
    prompt: Annotated[str | None, typer.Option(help="The name of a prompt format.", show_default=False)] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos watched at once.")] = 4,
    device: Device = None,
    cache: Annotated[
        str | None, typer.Option(metavar="FILE", help="Where verdicts are kept, or none.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge many pairs of queries and videos: a file of verdicts for each video, and a TREC run.

    Killed or run again, it goes on where it was: what is done is not done again.
    """
    from rankvideo_rag.formats.rankvideo import load_run, read_queries, read_video_queries
    from rankvideo_rag.formats.video_folder import VideoFolder
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec
    from rankvideo_rag.ranking import batch
    from rankvideo_rag.ranking.batch_plan import select_pairs
    from rankvideo_rag.ranking.pointwise import ScoringOptions

    settings = _settings(
        profile=profile, reranker=backend, reranker_model=model, prompt=prompt, device=device, score_cache=cache
    )
    texts = read_queries(queries, header=header)
    given = select_pairs(
        load_run(first_stage) if first_stage else None,
        read_video_queries(video2queries) if video2queries else None,
        depth=depth,
    )
    folder, spec = VideoFolder(videos, template), resolve_prompt_spec(settings.prompt, settings.reranker_model)
    vlm = _load(settings)
    with _progress(given) as on_video:
        report = batch.rerank_pairs(
            vlm,
            spec,
            given,
            texts,
            videos=folder,
            output=to,
            model=settings.reranker_model or settings.reranker,
            options=ScoringOptions.from_settings(settings, batch_size=batch_size),
            on_video=on_video,
        )
    if as_json:
        print_json(as_contract(report))
    else:
        _print(report)
    if report.ok < report.pairs:
        raise typer.Exit(FAILED if report.failed and not report.ok else PARTLY)


def as_contract(report: "BatchReport") -> dict[str, Any]:
    """The report as `--json` prints it."""
    return {
        **{name: getattr(report, name) for name in ("pairs", "ok", "abstained", "failed", "videos", "resumed")},
        "reasons": report.reasons(),
        "unscored": [pair._asdict() for pair in report.unscored],
        "run": report.run,
        "seconds": round(report.seconds, 3),
    }


def _settings(**options: Any) -> Any:
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    if settings.reranker == "none":
        raise InputError("the settings name no reranker: give one with --backend, such as --backend transformers")
    return settings


def _load(settings: Any) -> Any:
    from rankvideo_rag.models.vlm import load_vlm

    return load_vlm(settings.reranker, settings.reranker_model, device=settings.device)


@contextmanager
def _progress(given: "CandidatePairs") -> "Iterator[Callable[[VideoDone], None]]":
    """A bar over the pairs, with the time that is left."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())
    with Progress(TextColumn("{task.description}"), *columns, console=err, transient=True) as progress:
        bar = progress.add_task("judging", total=sum(len(videos) for videos in given.wanted.values()))
        try:
            yield lambda done: progress.update(bar, advance=done.pairs, description=shown(done.video))
        except KeyboardInterrupt:
            judged = progress.tasks[0]
            progress.stop()
            err.print(f"[bold]stopped[/] after {judged.completed:.0f} of {judged.total:.0f} pairs. Run the same command again.")
            raise typer.Exit(INTERRUPTED) from None


def _print(report: "BatchReport") -> None:
    table = plain_table()
    for column in ("pairs", "ok", "abstained", "failed", "videos", "of these done before"):
        table.add_column(column, justify="right")
    table.add_row(*(str(n) for n in (report.pairs, report.ok, report.abstained, report.failed, report.videos, report.resumed)))
    out.print(table)
    for reason, count in report.reasons().items():
        note(f"pairs without a score: {count} ({reason})")
    for pair in report.unscored[:_SHOWN]:
        out.print(
            f"  {pair.status}: query {shown(pair.query)}, video {shown(pair.video)}: {shown(pair.reason)}", soft_wrap=True
        )
    if len(report.unscored) > _SHOWN:
        out.print(f"  … and {len(report.unscored) - _SHOWN} more, with their reasons in the files of verdicts")
    out.print(f"{report.seconds:.1f} s. Run: {shown(report.run)}", soft_wrap=True)
