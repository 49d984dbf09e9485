"""rankvideo bench fusion, question: what channels and their fusion find, and how fast."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, out, render
from rankvideo_rag.cli.options import SEARCH_SETTINGS, AsJson, setting_options

if TYPE_CHECKING:
    from rankvideo_rag.eval.benchmarks.fusion import FusionBenchmark


@setting_options(*SEARCH_SETTINGS, "text_embedder", "text_embedder_model", "clip_seconds")
def fusion(
    folder: Annotated[Path, typer.Argument(help="Folder with questions.jsonl and transcripts/.")],
    options: dict[str, Any],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder that keeps videos and archive.", show_default="a temporary one"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulated pictures.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure what each channel finds in transcripts and what their fusion finds, and fit the weights of fusion."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.settings import Settings

    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.fusion", "eval")
    with ExitStack() as closing:
        work = output or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        report = benchmarks.benchmark_fusion(folder, work, Settings.load(**options), seed=seed)
    render(report, lambda: _print(report), as_json=as_json)


def question(
    clips: Annotated[int, typer.Option(min=100, help="Clips of the generated archive.")] = 10_000,
    questions: Annotated[int, typer.Option(min=10, help="Questions, asked one after the other.")] = 100,
    seed: Annotated[int, typer.Option(help="Seed of words and vectors.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Time a question to its fused clips in a generated archive with speech and vectors of clips and passages."""
    from rankvideo_rag.eval.benchmarks.question import benchmark_questions

    with tempfile.TemporaryDirectory() as folder:
        report = benchmark_questions(Path(folder) / "archive", clips=clips, questions=questions, seed=seed)
    line = (
        f"{report.clips:,} clips, {report.passages:,} passages: {report.fused_p50_ms:.1f} ms to the fused list, p99 "
        f"{report.fused_p99_ms:.1f} ms; {report.rss_mb:.0f} MB; open {report.open_s:.2f} s"
    )
    render(report, lambda: out.print(line, soft_wrap=True), as_json=as_json)


def _print(report: "FusionBenchmark") -> None:
    depths = next(iter(report.shares.values()))
    rows = ((name, *(f"{share:.3f}" for share in shares.values())) for name, shares in report.shares.items())
    out.print(make_table(("right passage in the first", *map(str, depths)), rows))
    by_weight = ", ".join(f"{weight:g}: {share:.3f}" for weight, share in report.meaning_weights.items())
    out.print(f"first by weight of meaning {by_weight}; fitted on other videos {report.cross_validated:.3f}", soft_wrap=True)
    for channel, cost in report.noise_cost.items():
        out.print(f"random {channel} scores cost {cost:.4f} nDCG@10")
    for modality, share in report.kept.items():
        out.print(f"first by {modality} alone, in the first three when fused: {share:.3f} of {report.trials[modality]}")
