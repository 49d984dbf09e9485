"""rankvideo bench quotes: fit the weights by which quotes are chosen, and the probability from which they answer."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, out, progress, render
from rankvideo_rag.cli.options import SEARCH_SETTINGS, AsJson, setting_options

if TYPE_CHECKING:
    from rankvideo_rag.eval.benchmarks.quotes import OperatingPoint, QuoteFit


@setting_options(*SEARCH_SETTINGS, "text_embedder", "text_embedder_model", "rerank_depth", "top_n", "clip_seconds")
def quotes(
    folders: Annotated[list[Path], typer.Argument(help="Folders with questions.jsonl and transcripts/.")],
    options: dict[str, Any],
    held_out: Annotated[Path | None, typer.Option("--held-out", help="Another such folder, that nothing is fitted on.")] = None,
    save: Annotated[
        Path | None, typer.Option("--save", help="File of quote models in which the fitted model replaces its kind.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder that keeps videos and archives.", show_default="a temporary one"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fit the weights by which quotes are chosen, and the probability from which they answer, on labelled questions.

    Questions about sentences of the synthetic data set are fitted on as well.
    """
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.eval.benchmarks.answer_rule import read_questions
    from rankvideo_rag.settings import Settings

    benchmarks = import_optional("rankvideo_rag.eval.benchmarks.quotes", "eval")
    labelled_questions = import_optional("rankvideo_rag.synthetic.quote_questions", "eval").labelled_questions
    count = sum(len(read_questions(one / "questions.jsonl")) for one in [*folders, *([held_out] if held_out else [])])
    settings = Settings.load(**options)
    with ExitStack() as closing:
        work = output or Path(closing.enter_context(tempfile.TemporaryDirectory()))
        advance = closing.enter_context(progress("questions", count))
        others = labelled_questions(settings)
        report = benchmarks.fit_quotes(folders, work, settings, held_out=held_out, others=others, on_question=advance)
    if save:
        benchmarks.save_model(save, report.model, settings)
    render(report, lambda: _print(report), as_json=as_json)


def _print(report: "QuoteFit") -> None:
    tables = {
        "fitted on these questions": report.fitted,
        "fitted on other videos": report.cross_validated,
        "held out": report.held_out,
    }
    columns = ("threshold", "right", "wrong", "false abstentions", "false answers")
    for title, points in tables.items():
        if points:
            out.print(make_table((title, *columns[1:]), map(_row, points[:: len(points) // 8])))
    out.print(
        f"threshold {report.model.min_probability:g}, of {report.answerable} questions with an answer and "
        f"{report.not_answerable} without",
        soft_wrap=True,
    )


def _row(point: "OperatingPoint") -> tuple[str, ...]:
    counts = (point.right, point.wrong, point.false_abstentions, point.false_answers)
    return (f"{point.threshold:g}", *map(str, counts))
