"""rankvideo bench answers: ask questions about transcripts and score the answers."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, note, out, printable, progress, render
from rankvideo_rag.cli.options import LLM_SETTINGS, SEARCH_SETTINGS, AsJson, Llm, LlmUrl, load_llm, setting_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rankvideo_rag.eval.benchmarks.answers import AnswerBenchmark, Counts

_COLUMNS = ("right", "wrong", "false abstentions", "false answers")


@setting_options(
    *LLM_SETTINGS,
    *SEARCH_SETTINGS,
    "text_embedder",
    "text_embedder_model",
    "rerank_depth",
    "top_n",
    "min_margin",
    "min_probability",
    "clip_seconds",
)
def answers(
    folder: Annotated[Path, typer.Argument(help="Folder with questions.jsonl and transcripts/.")],
    options: dict[str, Any],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder that keeps videos, archive and answers.jsonl.", show_default="a temporary one"
        ),
    ] = None,
    failures: Annotated[bool, typer.Option("--failures", help="Print each question whose answer is not right.")] = False,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    as_json: AsJson = False,
) -> None:
    """Index transcripts, ask questions about them, and count right and wrong answers and abstentions."""
    from rankvideo_rag.eval.benchmarks.answer_rule import read_questions
    from rankvideo_rag.eval.benchmarks.answers import benchmark_answers
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    writer = load_llm(llm, llm_url, settings)
    with ExitStack() as closing:
        work = output or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        work.mkdir(parents=True, exist_ok=True)
        advance = closing.enter_context(progress("questions", len(read_questions(folder / "questions.jsonl"))))
        report = benchmark_answers(
            folder, work, settings, synthesizer=lambda archive: archive.as_synthesizer(writer), on_question=advance
        )
    render(report, lambda: _print(report, failures=failures), as_json=as_json)
    if output and not as_json:
        note(f"answers written to {output / 'answers.jsonl'}")


def _print(report: "AnswerBenchmark", *, failures: bool) -> None:
    kinds = {"answerable": report.answerable, "not answerable": report.not_answerable}
    for title, groups in (("all", kinds), ("kind", report.kinds), ("language", report.languages)):
        out.print(make_table((title, "n", *_COLUMNS), map(_row, groups, groups.values())))
    out.print(_ranks("right clip retrieved", report.retrieved))
    if report.passages:
        out.print(_ranks("right passage retrieved", report.passages))
    out.print(_ranks("right clip after reranking", report.reranked))
    for one in report.questions if failures else ():
        if one.outcome != "right":
            out.print(f"\n{one.id} {one.kind} [bold]{one.outcome}[/] {printable(one.question)}", soft_wrap=True)
            out.print(f"  {printable(one.answer)}", soft_wrap=True)
            out.print(
                f"  ranks {one.retrieved_rank}, {one.passage_rank}, {one.reranked_rank}; {printable('; '.join(one.faults))}"
            )


def _row(name: str, counts: "Counts") -> tuple[str, ...]:
    figures = (counts.questions, counts.right, counts.wrong, counts.false_abstentions, counts.false_answers)
    return (printable(name), *map(str, figures))


def _ranks(name: str, shares: "Mapping[int, float]") -> str:
    return f"{name}: " + ", ".join(f"{share:.2f} in the first {depth}" for depth, share in shares.items())
