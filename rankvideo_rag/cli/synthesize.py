"""rankvideo synthesize: data to train a ranker with, made from videos, in four steps."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rankvideo_rag.cli.console import err, note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rankvideo_rag.training.synthesis.hard_negatives import MiningReport
    from rankvideo_rag.training.synthesis.step_output import SynthesisReport

FAILED, PARTLY, INTERRUPTED = 1, 3, 130
_SHOWN = 10  # reasons that are listed; --json and the journal have all of them

app = typer.Typer(
    name="synthesize",
    help="Make data to train a ranker with, from videos: captions, then queries, labels and negatives. A step that was killed "
    "goes on where it was.",
    no_args_is_help=True,
)

Backend = Annotated[
    str,
    typer.Option(help="Who writes: transformers, vllm, server, recorded, or package.module:function.", show_default=False),
]
Model = Annotated[
    str | None,
    typer.Option(help="Hub name, local path, or an endpoint's address, as in http://host:8000/v1#model.", show_default=False),
]
To = Annotated[Path, typer.Option("--to", help="File to write, .jsonl; its journal is written beside it.", show_default=False)]
Captions = Annotated[Path, typer.Option(help="What `synthesize captions` wrote.", show_default=False)]


@app.command("captions")
def captions(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of them.", show_default=False)],
    to: To,
    backend: Backend,
    model: Model = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="An archive of these videos: its words are kept beside the captions.", show_default=False),
    ] = None,
    ids: Annotated[
        Literal["name", "content"], typer.Option(help="What videos are called: their file's name, or the archive's id.")
    ] = "name",
    fps: Annotated[float, typer.Option(min=0.01, help="Frames of each second that the model sees.")] = 2.0,
    max_frames: Annotated[int, typer.Option(min=1, help="Frames that it sees at most.")] = 32,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a caption.")] = 512,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos at once.")] = 4,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Have videos captioned by a model that watches them."""
    from rankvideo_rag.media import MediaLimits
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.schema import FrameBudget
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.training.synthesis.captions import caption

    frames = FrameBudget(fps=fps, max_frames=max_frames, min_frames=min(FrameBudget().min_frames, max_frames))
    vlm = load_vlm(backend, model, device=device)
    with _progress("captions") as progress:
        report = caption(
            vlm,
            videos,
            output=to,
            archive=archive,
            ids=ids,
            frames=frames,
            max_tokens=max_tokens,
            batch_size=batch_size,
            limits=MediaLimits.from_settings(Settings.load()),
            progress=progress,
        )
    _tell(report, as_json=as_json)


@app.command("queries")
def queries(
    captions: Annotated[Path, typer.Argument(help="What `synthesize captions` wrote.", show_default=False)],
    to: To,
    backend: Backend,
    model: Model = None,
    per_view: Annotated[int, typer.Option(min=1, help="Questions from each of the five views of a video.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of the questions from one view.")] = 1024,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos at once.")] = 4,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Have questions written about captioned videos; a .tsv of them and .qrels are written beside the .jsonl."""
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.training.synthesis.queries import synthesize_queries
    from rankvideo_rag.training.synthesis.video_texts import read_video_texts

    texts = read_video_texts(captions)
    vlm = load_vlm(backend, model, device=device)
    with _progress("queries") as progress:
        report = synthesize_queries(
            vlm, texts, output=to, per_view=per_view, max_tokens=max_tokens, batch_size=batch_size, progress=progress
        )
    _tell(report, as_json=as_json)


@app.command("labels")
def labels(
    queries: Annotated[Path, typer.Argument(help="Texts of the queries: id, tab, text.", show_default=False)],
    captions: Captions,
    first_stage: Annotated[Path, typer.Option(help="JSON, query id -> video id -> score, or a TREC run.", show_default=False)],
    qrels: Annotated[Path, typer.Option(help="Which videos answer which query, four columns.", show_default=False)],
    to: To,
    backend: Backend,
    model: Model = None,
    depth: Annotated[int, typer.Option(min=1, help="Videos of the first stage that are judged, from its top.")] = 20,
    caption_words: Annotated[int, typer.Option(min=1, help="Words of a caption that the teacher reads.")] = 400,
    asr_words: Annotated[int, typer.Option(min=0, help="Words of what is said that the teacher reads.")] = 200,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of reasoning and answer.")] = 1024,
    label_only: Annotated[
        bool, typer.Option("--label-only", help="Ask for no probabilities: the endpoint cannot tell them.")
    ] = False,
    header: Annotated[bool, typer.Option("--header", help="The file of queries begins with a line of column names.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs at once.")] = 8,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Have a teacher reason about pairs of queries and videos from captions, and judge them."""
    from rankvideo_rag.formats.rankvideo import load_run, read_queries
    from rankvideo_rag.formats.trec import read_qrels
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.training.synthesis.labels import Shown, label
    from rankvideo_rag.training.synthesis.video_texts import read_video_texts

    texts, words = read_queries(queries, header=header), read_video_texts(captions)
    run, judgements = load_run(first_stage), read_qrels(qrels)
    vlm = load_vlm(backend, model, device=device)
    with _progress("labels") as progress:
        report = label(
            vlm,
            texts,
            words,
            run,
            judgements,
            output=to,
            depth=depth,
            shown=Shown(caption_words, asr_words),
            max_tokens=max_tokens,
            probabilities=not label_only,
            batch_size=batch_size,
            progress=progress,
        )
    _tell(report, as_json=as_json)


@app.command("negatives")
def negatives(
    labels: Annotated[Path, typer.Argument(help="What `synthesize labels` wrote.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="The training file to write.", show_default=False)],
    trusted: Annotated[float, typer.Option(help="A no with a margin up to here, in nats, is trusted.")] = -6.0,
    suspected: Annotated[float, typer.Option(help="A yes with a margin above this is a suspected positive.")] = -8.0,
    within: Annotated[int, typer.Option(min=1, help="The first stage must have the positive among so many.")] = 1000,
    ratio: Annotated[
        float, typer.Option(help="Leave out a positive when a negative's first-stage score is above so many times its own.")
    ] = 2.0,
    most: Annotated[int, typer.Option(min=1, help="Negatives of a query at most.")] = 3,
    judge_margin: Annotated[
        float | None,
        typer.Option(help="Drop a negative whose p(yes) is above the positive's less this (0.01).", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose the pairs to train on from a teacher's labels, and count what each rule leaves out."""
    from rankvideo_rag.training.synthesis.hard_negatives import Rules, mine_file

    rules = Rules(trusted=trusted, suspected=suspected, within=within, ratio=ratio, most=most, judge_margin=judge_margin)
    report = mine_file(labels, output=to, rules=rules)
    if as_json:
        print_json(report._asdict())
    else:
        _print_mining(report)
    if not report.lines:
        raise typer.Exit(FAILED)


@contextmanager
def _progress(step: str) -> "Iterator[Callable[[int], None]]":
    """How many are done, and for how long it runs."""
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:.0f} done"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task(step, total=None)
        try:
            yield lambda done: progress.update(bar, advance=done)
        except KeyboardInterrupt:
            progress.stop()
            err.print(f"[bold]stopped[/] after {progress.tasks[0].completed:.0f}. Run the same command again to go on.")
            raise typer.Exit(INTERRUPTED) from None


def _tell(report: "SynthesisReport", *, as_json: bool) -> None:
    if as_json:
        print_json(_as_contract(report))
    else:
        _print(report)
    if report.to_retry or not report.lines:
        raise typer.Exit(PARTLY if report.lines else FAILED)


def _as_contract(report: "SynthesisReport") -> dict[str, Any]:
    return {
        **report._asdict(),
        "failures": [{"key": list(failure.key), "reason": failure.reason} for failure in report.failures],
        "seconds": round(report.seconds, 3),
    }


def _print(report: "SynthesisReport") -> None:
    out.print(_table(report.step, report.counts))
    out.print(
        f"{report.items} given, {report.resumed} of them done before; {report.lines} lines in {shown(report.output)}",
        soft_wrap=True,
    )
    for failure in report.failures[:_SHOWN]:
        out.print(f"  {shown(' '.join(failure.key))}: {shown(failure.reason)}", soft_wrap=True)
    if len(report.failures) > _SHOWN:
        out.print(
            f"  … and {len(report.failures) - _SHOWN} more: see {shown(report.output)}.journal",
            soft_wrap=True,
        )
    if report.to_retry:
        note(f"{report.to_retry} could not be done: the same command tries them again")


def _print_mining(report: "MiningReport") -> None:
    out.print(_table("queries", report.queries))
    out.print(_table("pairs", report.pairs))
    if report.without_ratio:
        note(f"{report.without_ratio} positives could not be held against --ratio: the first stage's scores are not known")
    out.print(f"{report.lines} lines in {shown(report.output)}", soft_wrap=True)


def _table(name: str, counts: "Mapping[str, int]") -> object:
    table = plain_table()
    table.add_column(name)
    table.add_column("number", justify="right")
    for outcome, number in counts.items():
        table.add_row(outcome, str(number))
    return table
