"""rankvideo synthesize: make training data from videos, in four steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rankvideo_rag.cli.console import FAILED, PARTIAL, make_table, note, out, printable, progress, render
from rankvideo_rag.cli.options import AsJson, Device, OutputFile

if TYPE_CHECKING:
    from rich.table import Table

    from rankvideo_rag.training.synthesis.hard_negatives import MiningReport
    from rankvideo_rag.training.synthesis.step_output import SynthesisReport

_LISTED = 10  # failures that are printed; --json and the journal have all of them

app = typer.Typer(
    name="synthesize",
    help="Make training data from videos: captions, then queries, labels and mined pairs. An interrupted step continues when "
    "started again.",
    no_args_is_help=True,
)

Backend = Annotated[str, typer.Option(help="Backend: transformers, vllm, server, recorded, or package.module:function.")]
Model = Annotated[
    str | None, typer.Option(help="Hub name, local path, or an endpoint's address such as http://host:8000/v1#model.")
]
CaptionsFile = Annotated[Path, typer.Option("--captions", help="Output of `synthesize captions`.")]


@app.command("captions")
def captions(
    videos: Annotated[list[Path], typer.Argument(help="Videos, or folders of them.")],
    output: OutputFile,
    backend: Backend,
    model: Model = None,
    archive: Annotated[
        Path | None, typer.Option(help="An archive of these videos: its text is stored beside the captions.")
    ] = None,
    ids: Annotated[Literal["name", "content"], typer.Option(help="Video ids: the file's name, or the archive's id.")] = "name",
    fps: Annotated[float, typer.Option(min=0.01, help="Frames per second that the model is shown.")] = 2.0,
    max_frames: Annotated[int, typer.Option(min=1, help="Most frames that the model is shown.")] = 32,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of a caption.")] = 512,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos at once.")] = 4,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Caption videos with a multimodal model."""
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.schema import FrameBudget
    from rankvideo_rag.training.synthesis.captions import CaptionOptions, caption_videos

    frames = FrameBudget(fps=fps, max_frames=max_frames, min_frames=min(FrameBudget().min_frames, max_frames))
    options = CaptionOptions(ids=ids, frames=frames, max_tokens=max_tokens, batch_size=batch_size)
    vlm = load_vlm(backend, model, device=device)
    with progress("captions") as advance:
        report = caption_videos(vlm, videos, output=output, archive=archive, options=options, progress=advance)
    _finish(report, as_json=as_json)


@app.command("queries")
def queries(
    captions: Annotated[Path, typer.Argument(help="Output of `synthesize captions`.")],
    output: OutputFile,
    backend: Backend,
    model: Model = None,
    per_view: Annotated[int, typer.Option(min=1, help="Questions from each of the five views of a video.")] = 1,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of the questions from one view.")] = 1024,
    batch_size: Annotated[int, typer.Option(min=1, help="Videos at once.")] = 4,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Write questions about captioned videos; also as .tsv and .qrels beside the .jsonl."""
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.training.synthesis.queries import QueryOptions, synthesize_queries
    from rankvideo_rag.training.synthesis.video_texts import read_video_texts

    texts = read_video_texts(captions)
    options = QueryOptions(per_view=per_view, max_tokens=max_tokens, batch_size=batch_size)
    vlm = load_vlm(backend, model, device=device)
    with progress("queries") as advance:
        report = synthesize_queries(vlm, texts, output=output, options=options, progress=advance)
    _finish(report, as_json=as_json)


@app.command("labels")
def labels(
    queries: Annotated[Path, typer.Argument(help="Texts of the queries: id, tab, text.")],
    captions: CaptionsFile,
    first_stage: Annotated[Path, typer.Option(help="JSON, query id -> video id -> score, or a TREC run.")],
    qrels: Annotated[Path, typer.Option(help="TREC qrels, four columns.")],
    output: OutputFile,
    backend: Backend,
    model: Model = None,
    depth: Annotated[int, typer.Option(min=1, help="How many of the first stage's results are judged.")] = 20,
    caption_words: Annotated[int, typer.Option(min=1, help="Words of a caption that the teacher reads.")] = 400,
    asr_words: Annotated[int, typer.Option(min=0, help="Words of the transcript that the teacher reads.")] = 200,
    max_tokens: Annotated[int, typer.Option(min=1, help="Most tokens of reasoning and answer.")] = 1024,
    label_only: Annotated[
        bool, typer.Option("--label-only", help="Ask for no probabilities, for endpoints that return none.")
    ] = False,
    header: Annotated[bool, typer.Option("--header", help="The file of queries begins with a line of column names.")] = False,
    batch_size: Annotated[int, typer.Option(min=1, help="Pairs at once.")] = 8,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Have a text-only teacher reason about pairs of queries and videos from captions, and judge them."""
    from rankvideo_rag.formats.rankvideo import load_run, read_queries
    from rankvideo_rag.formats.trec import read_qrels
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.training.synthesis.labels import LabelInputs, LabelOptions, label_pairs
    from rankvideo_rag.training.synthesis.video_texts import read_video_texts

    texts, videos = read_queries(queries, header=header), read_video_texts(captions)
    inputs = LabelInputs(texts, videos, load_run(first_stage), read_qrels(qrels))
    options = LabelOptions(
        depth=depth,
        caption_words=caption_words,
        asr_words=asr_words,
        max_tokens=max_tokens,
        probabilities=not label_only,
        batch_size=batch_size,
    )
    vlm = load_vlm(backend, model, device=device)
    with progress("labels") as advance:
        report = label_pairs(vlm, inputs, output=output, options=options, progress=advance)
    _finish(report, as_json=as_json)


@app.command("mine")
def mine(
    labels: Annotated[Path, typer.Argument(help="Output of `synthesize labels`.")],
    output: OutputFile,
    neg_threshold: Annotated[float, typer.Option(help="A negative label counts up to this margin, in nats.")] = -6.0,
    pos_threshold: Annotated[float, typer.Option(help="A positive label above this margin is a suspected positive.")] = -8.0,
    top_k: Annotated[int, typer.Option(min=1, help="The first stage must have the positive among its top results.")] = 1000,
    ratio: Annotated[
        float, typer.Option(help="Leave out a positive if a negative's first-stage score is above this multiple of its own.")
    ] = 2.0,
    max_negatives: Annotated[int, typer.Option(min=1, help="Most negatives per query.")] = 3,
    judge_margin: Annotated[
        float | None, typer.Option(help="Drop a negative whose p(yes) exceeds the positive's minus this (0.01).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Mine hard negatives from a teacher's labels, and count what each rule leaves out."""
    from rankvideo_rag.training.synthesis.hard_negatives import MiningOptions, mine_file

    options = MiningOptions(
        neg_threshold=neg_threshold,
        pos_threshold=pos_threshold,
        top_k=top_k,
        ratio=ratio,
        max_negatives=max_negatives,
        judge_margin=judge_margin,
    )
    report = mine_file(labels, output=output, options=options)
    render(report._asdict(), lambda: _print_mining(report), as_json=as_json)
    if not report.lines:
        raise typer.Exit(FAILED)


def _finish(report: "SynthesisReport", *, as_json: bool) -> None:
    failures = [{"key": list(failure.key), "reason": failure.reason} for failure in report.failures]
    value: dict[str, Any] = report._asdict() | {"failures": failures, "seconds": round(report.seconds, 3)}
    render(value, lambda: _print(report), as_json=as_json)
    if report.to_retry or not report.lines:
        raise typer.Exit(PARTIAL if report.lines else FAILED)


def _print(report: "SynthesisReport") -> None:
    out.print(_counts(report.step, report.counts))
    counts = f"{report.items} items, {report.resumed} of them done before"
    out.print(f"{counts}; {report.lines} lines in {printable(report.output)}", soft_wrap=True)
    for failure in report.failures[:_LISTED]:
        out.print(f"  {printable(' '.join(failure.key))}: {printable(failure.reason)}", soft_wrap=True)
    if len(report.failures) > _LISTED:
        more = len(report.failures) - _LISTED
        out.print(f"  ... and {more} more: see {printable(report.output)}.journal", soft_wrap=True)
    if report.to_retry:
        note(f"{report.to_retry} items failed: the same command tries them again")


def _print_mining(report: "MiningReport") -> None:
    out.print(_counts("queries", report.queries))
    out.print(_counts("pairs", report.pairs))
    if report.without_ratio:
        note(f"{report.without_ratio} positives could not be checked against --ratio: their first-stage scores are unknown")
    out.print(f"{report.lines} lines in {printable(report.output)}", soft_wrap=True)


def _counts(name: str, counts: Mapping[str, int]) -> "Table":
    return make_table((name, "number"), ((outcome, str(number)) for outcome, number in counts.items()))
