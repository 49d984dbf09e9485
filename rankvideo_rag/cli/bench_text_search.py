"""rankvideo bench text-search: where BM25 and text embedders rank the right moment of transcripts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, out, render
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from rankvideo_rag.eval.benchmarks.text_search import TextSearchFigures


def text_search(
    questions: Annotated[Path, typer.Argument(help="File of questions, in the format of `bench answers`.")],
    transcripts: Annotated[Path, typer.Argument(help="Folder of subtitle files.")],
    embedder: Annotated[
        list[str] | None,
        typer.Option(help="BACKEND:MODEL of a text embedder; may be repeated.", show_default="static:bundled:static-en"),
    ] = None,
    passages: Annotated[bool, typer.Option("--passages", help="Rank passages as archives store them.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Rank windows of three cues, and clips by their best window, by BM25 and by text embedders."""
    from rankvideo_rag.eval.benchmarks import text_search as benchmark
    from rankvideo_rag.eval.benchmarks.answer_rule import read_questions
    from rankvideo_rag.models.text_embedders import load_text_embedder

    asked = [question for question in read_questions(questions) if question.answerable]
    windows = benchmark.read_windows(transcripts, passages=passages)
    figures = [benchmark.benchmark_bm25(asked, windows)]
    for name in embedder or ["static:bundled:static-en"]:
        backend, _, model = name.partition(":")
        loaded = load_text_embedder(backend, model or None, device=device)
        figures.append(benchmark.benchmark_text_embedder(name, loaded, asked, windows))
    as_dicts = [found.model_dump(mode="json") for found in figures]
    render(as_dicts, lambda: _print(figures, len(asked), len(windows)), as_json=as_json)


def _print(figures: "list[TextSearchFigures]", questions: int, windows: int) -> None:
    depths = "/".join(map(str, figures[0].windows))
    columns = ("", f"windows in {depths}", f"clips in {depths}", "MRR of clips", "cosine of unrelated texts")
    out.print(f"{questions} questions, {windows} windows")
    out.print(make_table(columns, map(_row, figures)))


def _row(of: "TextSearchFigures") -> tuple[str, ...]:
    windows, clips = (" ".join(f"{share:.3f}" for share in shares.values()) for shares in (of.windows, of.clips))
    unrelated = "-" if of.unrelated_mean is None else f"{of.unrelated_mean:.3f} ± {of.unrelated_std:.3f}"
    return of.name, windows, clips, f"{of.mrr:.3f}", unrelated
