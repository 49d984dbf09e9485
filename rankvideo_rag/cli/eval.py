"""rankvideo eval retrieval: evaluate runs against relevance judgements."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, note, out, print_json, printable, writing
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.eval.retrieval import MeasureEstimate, RetrievalReport
    from rankvideo_rag.formats.trec import TrecRun

app = typer.Typer(name="eval", help="Evaluate runs, answers and rerankers.", no_args_is_help=True)

QrelsFile = Annotated[Path, typer.Option("--qrels", help="TREC qrels (four columns), or MultiVENT 2.0's JSON lines.")]


@app.command("retrieval")
def retrieval(
    run: Annotated[
        list[str],
        typer.Option(
            help="TREC run or JSON {query: {document: score}}, optionally NAME=FILE; further runs are compared with the first."
        ),
    ],
    qrels: QrelsFile,
    measures: Annotated[
        str | None,
        typer.Option(
            help="Names as in ir-measures, separated by spaces; also alpha_nDCG@10, StRecall@10, R(tIoU=0.5)@1, mIoU.",
            show_default="nDCG@10 R@10, with claims also alpha_nDCG@10 StRecall@10",
        ),
    ] = None,
    claims: Annotated[Path | None, typer.Option(help="Qrels by claim: query, claim, document, grade.")] = None,
    slices: Annotated[Path | None, typer.Option(help="Labels of queries: TSV, CSV or JSON lines with query_id.")] = None,
    per_query: Annotated[Path | None, typer.Option(help="JSON lines to write: every query's values and differences.")] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate runs over all judged queries, and test the differences from the first run.

    With --json, one run without slices gives {measure: mean}, anything else the whole report.
    """
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.formats.multivent import load_qrels
    from rankvideo_rag.formats.trec import read_claims

    evaluation = import_optional("rankvideo_rag.eval.retrieval", "eval")
    read_labels = import_optional("rankvideo_rag.eval.slices", "eval").read_query_labels
    judged = load_qrels(qrels)
    found = evaluation.evaluate_runs(
        _runs(run),
        judged.qrels,
        (measures or " ".join(evaluation.DEFAULT_WITH_CLAIMS if claims else evaluation.DEFAULT_MEASURES)).split(),
        claims=read_claims(claims) if claims else None,
        labels=read_labels(slices) if slices else None,
    )
    report: RetrievalReport = found.report
    if per_query:
        _write_rows(per_query, evaluation.per_query_rows(found.values))
    for line in (*judged.notes, *(f"{one.name}: {line}" for one in report.runs for line in one.notes)):
        note(line)
    if not as_json:
        _print_report(report)
    elif len(report.runs) == 1 and not report.slices:
        print_json({name: estimate.mean for name, estimate in report.runs[0].measures.items()})
    else:
        print_json(report.model_dump(mode="json"))


def _runs(given: list[str]) -> "Iterator[tuple[str, TrecRun]]":
    """Yield name and run, reading each run only when the one before it is done. The name precedes '=', or is the file's."""
    from rankvideo_rag.formats.rankvideo import load_run

    for one in given:
        name, equals, path = one.partition("=")
        if not equals or Path(one).exists():
            name, path = Path(one).name.removesuffix(".gz").rpartition(".")[0] or Path(one).name, one
        yield name, load_run(path)


def _write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    from rankvideo_rag.files import replace_file

    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    with writing(path):
        replace_file(path, text.encode())
    note(f"{len(rows)} queries written to {path}")


def _print_report(report: "RetrievalReport") -> None:
    out.print(f"{report.queries} judged queries; {report.confidence:.0%} bootstrap intervals over queries")
    rows = ([printable(name), *(_estimate(run.measures[name]) for run in report.runs)] for name in report.measures)
    out.print(make_table(["", *(printable(run.name) for run in report.runs)], rows))
    for run in report.runs:
        for name, one in run.measures.items():
            if one.worst is not None and one.best is not None and one.worst < one.best:
                note(f"{run.name}: the order of equal scores moves {name} between {one.worst:.4f} and {one.best:.4f}")
    if report.differences:
        _print_differences(report)
    if report.slices:
        _print_slices(report)


def _estimate(estimate: "MeasureEstimate") -> str:
    return rf"{estimate.mean:.4f} \[{estimate.low:.4f}, {estimate.high:.4f}]"


def _print_differences(report: "RetrievalReport") -> None:
    title = f"Differences from {printable(report.runs[0].name)}, permutation test; p corrected by Holm over several runs"
    table = make_table(("", "", "difference", "p", "corrected", "better", "worse", "equal"), title=title, left=2)
    table.columns[2].no_wrap = True
    for one in report.differences:
        change = rf"{one.mean:+.4f} \[{one.low:+.4f}, {one.high:+.4f}]"
        counts = (str(count) for count in (one.better, one.worse, one.equal))
        table.add_row(printable(one.run), printable(one.measure), change, f"{one.p:.4f}", f"{one.p_holm:.4f}", *counts)
    out.print(table)


def _print_slices(report: "RetrievalReport") -> None:
    columns = [(run.name, name) for run in report.runs for name in report.measures]
    titles = [printable(f"{run} {name}" if len(report.runs) > 1 else name) for run, name in columns]
    rows = (
        [
            printable(one.facet),
            printable(one.label),
            str(one.queries),
            *(f"{one.means[run][name]:.4f}" for run, name in columns),
        ]
        for one in report.slices
    )
    out.print(make_table(["", "", "queries", *titles], rows, title="Slices", left=2))
