"""rankvideo rerank: score many queries and videos, from files to files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import FAILED, PARTIAL, make_table, note, out, printable, progress, render
from rankvideo_rag.cli.options import AsJson, Output, setting_options

if TYPE_CHECKING:
    from rankvideo_rag.ranking.batch import BatchReport
    from rankvideo_rag.settings import Settings

_LISTED = 10  # unscored pairs that are printed; all of them are in the files


_WINDOWS = ("window_seconds", "window_overlap", "max_windows", "window_aggregate", "window_top")
_REASONING = ("reasoning", "reasoning_low", "reasoning_high")


@setting_options("profile", "prompt", "device", *_WINDOWS, *_REASONING, "score_cache", "media_seconds", "media_bytes")
def rerank(
    queries: Annotated[Path, typer.Option(help="Texts of the queries: id, tab, text.")],
    videos: Annotated[Path, typer.Option(help="Folder of the videos.")],
    output: Output,
    options: dict[str, Any],
    video2queries: Annotated[
        Path | None, typer.Option("--video2queries", help="JSON, video id -> query ids: the pairs to score.")
    ] = None,
    first_stage: Annotated[
        Path | None,
        typer.Option(
            help="JSON, query id -> video id -> score, or a TREC run: the first stage's order, and the pairs to score unless "
            "--video2queries is given."
        ),
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="Score only the top results of the first stage.")] = None,
    template: Annotated[
        str, typer.Option(help="Where a video lies in the folder; the published layout is '{bucket}/{id}.mp4'.")
    ] = "{id}.*",
    header: Annotated[bool, typer.Option("--header", help="The file of queries begins with a line of column names.")] = False,
    backend: Annotated[
        str | None, typer.Option(help="Backend: transformers, vllm, server, recorded, or package.module:function.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Hub name or local path of the checkpoint.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos scored at once.")] = 4,
    as_json: AsJson = False,
) -> None:
    """Score many pairs of queries and videos: a file of scores per video, and a TREC run.

    An interrupted run continues when started again; complete scores are not computed again.
    """
    from rankvideo_rag.formats.rankvideo import load_run, read_queries, read_video_queries
    from rankvideo_rag.formats.video_folder import VideoFolder
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec
    from rankvideo_rag.ranking import batch
    from rankvideo_rag.ranking.batch_plan import select_pairs
    from rankvideo_rag.ranking.pointwise import ScoringOptions

    settings = _settings(options, backend, model)
    texts = read_queries(queries, header=header)
    given = select_pairs(
        load_run(first_stage) if first_stage else None,
        read_video_queries(video2queries) if video2queries else None,
        depth=depth,
    )
    spec = resolve_prompt_spec(settings.prompt, settings.reranker_model)
    vlm = load_vlm(settings.reranker, settings.reranker_model, device=settings.device)
    total = sum(len(of_query) for of_query in given.wanted.values())
    with progress("scoring", total, unit="pairs") as advance:
        report = batch.rerank_pairs(
            vlm,
            spec,
            given,
            texts,
            videos=VideoFolder(videos, template),
            output=output,
            model=settings.reranker_model or settings.reranker,
            options=ScoringOptions.from_settings(settings, batch_size=batch_size),
            on_video=lambda done: advance(done.pairs, done.video),
        )
    render(report_to_json(report), lambda: _show(report), as_json=as_json)
    if report.ok < report.pairs:
        raise typer.Exit(FAILED if report.failed and not report.ok else PARTIAL)


def report_to_json(report: "BatchReport") -> dict[str, Any]:
    """Return the report as `--json` prints it."""
    return {
        **{name: getattr(report, name) for name in ("pairs", "ok", "abstained", "failed", "videos", "resumed")},
        "reasons": report.reasons(),
        "unscored": [pair._asdict() for pair in report.unscored],
        "run": report.run,
        "seconds": round(report.seconds, 3),
    }


def _settings(options: dict[str, Any], backend: str | None, model: str | None) -> "Settings":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options, reranker=backend, reranker_model=model)
    if settings.reranker == "none":
        raise InputError("the settings name no reranker: give one with --backend, such as --backend transformers")
    return settings


def _show(report: "BatchReport") -> None:
    counts = (report.pairs, report.ok, report.abstained, report.failed, report.videos, report.resumed)
    out.print(make_table(("pairs", "ok", "abstained", "failed", "videos", "done before"), [[str(n) for n in counts]], left=0))
    for reason, count in report.reasons().items():
        note(f"pairs without a score: {count} ({reason})")
    for pair in report.unscored[:_LISTED]:
        line = f"  {pair.status}: query {printable(pair.query)}, video {printable(pair.video)}: {printable(pair.reason)}"
        out.print(line, soft_wrap=True)
    if len(report.unscored) > _LISTED:
        out.print(f"  ... and {len(report.unscored) - _LISTED} more, with their reasons in the score files")
    out.print(f"{report.seconds:.1f} s. Run: {printable(report.run)}", soft_wrap=True)
