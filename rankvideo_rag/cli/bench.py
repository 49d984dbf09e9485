"""rankvideo bench: measure speed and memory on this machine, and search and answers on transcripts."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli import bench_answers, bench_claims, bench_fusion, bench_quotes, bench_text_index, bench_text_search
from rankvideo_rag.cli.console import make_table, note, out, render
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from rich.table import Table

    from rankvideo_rag.eval.benchmarks.index import IndexBenchmark
    from rankvideo_rag.eval.benchmarks.rerank import RerankReport
    from rankvideo_rag.eval.benchmarks.search import SearchReport

app = typer.Typer(name="bench", help="Measure speed on this machine, and answers.", no_args_is_help=True)
app.command("answers")(bench_answers.answers)
app.command("text-search")(bench_text_search.text_search)
app.command("text-index")(bench_text_index.text_index)
app.command("fusion")(bench_fusion.fusion)
app.command("question")(bench_fusion.question)
app.command("quotes")(bench_quotes.quotes)
app.command("claims")(bench_claims.claims)


@app.callback()
def _commands() -> None:
    """Measure speed on this machine, and answers."""


@app.command("rerank")
def rerank(
    model: Annotated[
        str | None, typer.Option(help="Hub name or local path of a Qwen3-VL; by default a tiny one with random weights.")
    ] = None,
    device: Device = None,
    questions: Annotated[
        list[int] | None, typer.Option(min=1, help="Questions on one video; may be repeated.", show_default="1, 4, 16, 64")
    ] = None,
    videos: Annotated[int, typer.Option(min=4, help="Videos that one question is scored on.")] = 24,
    repeats: Annotated[int, typer.Option(min=1, help="Each figure is the median of this many runs.")] = 3,
    plot: Annotated[Path, typer.Option(help="PNG to write.")] = Path("rankvideo-bench-rerank.png"),
    as_json: AsJson = False,
) -> None:
    """Time scoring by stage, many questions on one video together and one by one, and decoding beside the model."""
    from rankvideo_rag.backends import import_optional

    # Imported first, so that a missing plot package is reported before minutes are spent.
    draw = import_optional("rankvideo_rag.eval.benchmarks.plot", "bench").draw
    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.rerank", "bench")
    transformers = import_optional("rankvideo_rag.models.vlm.transformers", "transformers")
    with tempfile.TemporaryDirectory() as folder:
        vlm = transformers.load(model or _tiny(Path(folder) / "model"), device=device)
        counts = sorted(set(questions or benchmarks.COUNTS))
        report = benchmarks.benchmark_rerank(vlm, Path(folder) / "videos", counts=counts, videos=videos, repeats=repeats)
    draw(report, plot)
    render(report, lambda: _print(report), as_json=as_json)
    note(f"plot written to {plot}")


@app.command("evaluation")
def evaluation(
    queries: Annotated[int, typer.Option(min=1, help="Queries of a run.")] = 10_000,
    depth: Annotated[int, typer.Option(min=1, help="Results per query.")] = 100,
    runs: Annotated[int, typer.Option(min=1, help="Runs that are compared.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Time the evaluation of runs, and measure its memory."""
    from rankvideo_rag.backends import import_optional

    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.evaluation", "bench")
    with tempfile.TemporaryDirectory() as folder:
        report = benchmarks.benchmark_evaluation(Path(folder), queries=queries, depth=depth, runs=runs)
    line = (
        f"{runs} x {queries} queries with {depth} results, {', '.join(report.measures)}: {report.seconds:.1f} s, "
        f"{report.peak_memory_bytes / 1e6:.0f} MB"
    )
    render(report, lambda: out.print(line), as_json=as_json)


@app.command("search")
def search(
    n: Annotated[
        list[int] | None, typer.Option("--n", min=100, help="Vectors; may be repeated.", show_default="10000, 100000")
    ] = None,
    dim: Annotated[int, typer.Option(min=8, help="Dimensions.")] = 768,
    questions: Annotated[int, typer.Option(min=100, help="Questions, asked one after the other.")] = 500,
    independent: Annotated[
        bool, typer.Option("--independent", help="Vectors of independent noise instead of clusters: the worst case.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the vectors.")] = 0,
    work: Annotated[
        Path | None, typer.Option(help="Folder for the archive, about 7 kB per vector.", show_default="a temporary one")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Time vector search in a generated archive, and compare its results with exact search."""
    from rankvideo_rag.backends import import_optional

    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.search", "bench")
    for number in n or (10_000, 100_000):
        with tempfile.TemporaryDirectory(dir=work) as folder:
            report = benchmarks.benchmark_search(
                Path(folder) / "archive", n=number, dim=dim, questions=questions, independent=independent, seed=seed
            )
        out.print(report.model_dump_json() if as_json else _search_line(report), soft_wrap=True)


@app.command("index")
def index(
    files: Annotated[int, typer.Option(min=1, help="Generated films, 720p H.264.")] = 3,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each.")] = 60.0,
    key_seconds: Annotated[float, typer.Option(min=0.04, help="Seconds between key frames.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1, help="Each figure is the median of this many runs.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time indexing against a naive baseline and against decoding alone, on the same films and samples."""
    from rankvideo_rag.backends import import_optional

    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.index", "bench")
    with tempfile.TemporaryDirectory() as folder:
        report = benchmarks.benchmark_index(Path(folder), files=files, seconds=seconds, key_seconds=key_seconds, rounds=rounds)
    render(report, lambda: out.print(_index_lines(report), soft_wrap=True), as_json=as_json)


def _index_lines(report: "IndexBenchmark") -> str:
    stages = ", ".join(
        f"{name} {report.media_s / seconds:,.0f}" for name, seconds in report.stages.items() if name != "start" and seconds
    )
    return (
        f"{report.files} films, {report.media_s:g} s of 720p, {report.frames_sampled} frames sampled; medians of "
        f"{report.rounds} (load {report.load_average:.1f})\n"
        f"ours {report.ours_s:.2f} s = {report.media_s / report.ours_s:.0f} s of video per second: "
        f"{report.peers_s / report.ours_s:.1f}x faster than a naive baseline ({report.peers_s:.2f} s), "
        f"{report.lean_s / report.ours_s:.1f}x than one that converts only what it samples ({report.lean_s:.2f} s)\n"
        f"{report.ours_s / report.floor_s:.2f}x the time of decoding every frame ({report.floor_s:.2f} s)\n"
        f"with key frames ({report.key_frames_sampled} sampled) {report.ours_key_s:.2f} s: "
        f"{report.peers_s / report.ours_key_s:.1f}x faster than a naive baseline, "
        f"{report.ours_key_s / report.floor_key_s:.2f}x the time of decoding every key frame ({report.floor_key_s:.2f} s)\n"
        f"seconds of video per second, by stage: {stages}"
    )


def _search_line(report: "SearchReport") -> str:
    index = f"{report.probes} of {report.lists} lists" if report.lists else "flat"
    return (
        f"{report.n:,} {report.vectors} vectors of {report.dim}, {index}: recall@10 {report.recall_at_10:.4f}, @100 "
        f"{report.recall_at_100:.4f}; {report.p50_ms:.1f} ms, p99 {report.p99_ms:.1f} ms; {report.rss_mb:.0f} MB; open "
        f"{report.open_s:.2f} s; build {report.build_s:.1f} s (load {report.load_average:.1f})"
    )


def _tiny(folder: Path) -> str:
    from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

    note("no --model: measured on a tiny Qwen3-VL with random weights; its scores mean nothing")
    return str(tiny_qwen3_vl(folder))


def _print(report: "RerankReport") -> None:
    out.print(f"{report.model}\n{report.device}; {report.frames}; medians of {report.repeats}\n")
    out.print(_questions(report))
    out.print(_stages(report))
    overlap = report.overlap_seconds
    out.print(
        f"{overlap.videos} videos, one question: decode only {overlap.decode_only:.2f} s, "
        f"model only {overlap.model_only:.2f} s, end to end {overlap.end_to_end:.2f} s = {report.overlap:.2f}x the slower one\n"
        f"peak memory {report.peak_memory_bytes / 2**20:.0f} MiB; margins together and alone differ by at most "
        f"{report.largest_margin_difference:.1e}"
    )


def _questions(report: "RerankReport") -> "Table":
    columns = ("questions", "one by one", "together", "pairs/s", "pairs/s together", "speed-up", "with decoding")
    rows = (
        (
            str(count),
            f"{figures.one_by_one:.2f} s",
            f"{figures.together:.2f} s",
            f"{figures.pairs_per_second['one by one']:.1f}",
            f"{figures.pairs_per_second['together']:.1f}",
            f"{report.speedup[count]:.1f}x",
            f"{report.speedup_with_decode[count]:.1f}x",
        )
        for count, figures in report.questions.items()
    )
    return make_table(columns, rows, title="Questions on one video", left=0)


def _stages(report: "RerankReport") -> "Table":
    asked = min(16, max(report.questions))
    columns = ["stage", *(column for way in report.stages for column in (way, "tokens"))]
    rows = []
    for stage in next(iter(report.stages.values())):
        cells = [stages[stage] for stages in report.stages.values()]
        rows.append([stage, *(text for cell in cells for text in (f"{cell.seconds:.3f} s", f"{cell.tokens or ''}"))])
    return make_table(columns, rows, title=f"Stages of {asked} questions on one video")
