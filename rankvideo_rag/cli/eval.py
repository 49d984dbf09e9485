"""rankvideo eval: what retrieval and reranking are worth, measured against judgements."""

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rankvideo_rag.eval.reranking import RerankerReport
    from rankvideo_rag.eval.retrieval import MeasureEstimate, RetrievalReport
    from rankvideo_rag.formats.trec import TrecRun

app = typer.Typer(name="eval", help="Measure runs, answers and rerankers against judgements.", no_args_is_help=True)

_Qrels = Annotated[Path, typer.Option(help="TREC judgements, four columns, or MultiVENT 2.0's JSON lines.", show_default=False)]


@app.command("retrieval")
def retrieval(
    run: Annotated[
        list[str],
        typer.Option(
            help="TREC run or JSON {query: {document: score}}, perhaps NAME=FILE; several are held against the first.",
            show_default=False,
        ),
    ],
    qrels: _Qrels,
    measures: Annotated[
        str | None,
        typer.Option(
            help="Names as in ir-measures, parted by spaces; also alpha_nDCG@10, StRecall@10, R(tIoU=0.5)@1, mIoU.",
            show_default="nDCG@10 R@10, with claims alpha_nDCG@10 StRecall@10 too",
        ),
    ] = None,
    claims: Annotated[
        Path | None, typer.Option(help="TREC judgements by claim: query, claim, document, grade.", show_default=False)
    ] = None,
    slices: Annotated[
        Path | None, typer.Option(help="Labels of queries: TSV, CSV or JSON lines with query_id.", show_default=False)
    ] = None,
    per_query: Annotated[
        Path | None, typer.Option(help="JSON lines to write: every query's values and differences.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure runs, every judged query counted; of several, test the others against the first.

    With --json one run without slices gives {measure: mean}, anything else the whole report.
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
    if per_query:
        _write_rows(per_query, evaluation.per_query_rows(found.values))
    for line in (*judged.notes, *(f"{one.name}: {line}" for one in found.report.runs for line in one.notes)):
        note(line)
    if not as_json:
        _print_report(found.report)
    elif len(found.report.runs) == 1 and not found.report.slices:
        print_json({name: figure.mean for name, figure in found.report.runs[0].measures.items()})
    else:
        print_json(found.report.model_dump(mode="json"))


@app.command("reranker")
def reranker(
    pred_dir: Annotated[Path, typer.Option(help="Folder of VIDEO_reranking_MODEL.json files.", show_default=False)],
    first_stage: Annotated[Path, typer.Option(help="First stage: published JSON or TREC run.", show_default=False)],
    qrels: _Qrels,
    measure: Annotated[str, typer.Option(help="What decides.")] = "nDCG@10",
    depth: Annotated[int, typer.Option(min=1, help="How many of the first stage are reranked.")] = 1000,
    model: Annotated[
        str | None, typer.Option(help="Whose verdicts, where the folder has several models'.", show_default=False)
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="What reranking a query took, for the record.", show_default=False)
    ] = None,
    bins: Annotated[int, typer.Option(min=1, help="Bins of the calibration, of equally many pairs.")] = 10,
    edges: Annotated[
        str | None, typer.Option(help="Bins by probability instead, such as '0 0.1 0.5 0.9 1'.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether reranking helps this corpus and at what cost, whether margins are calibrated, and what they depend on."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.formats.multivent import load_qrels
    from rankvideo_rag.formats.rankvideo import load_run, read_scores

    evaluate_reranker = import_optional("rankvideo_rag.eval.reranking", "eval").evaluate_reranker
    judged = load_qrels(qrels)
    found = evaluate_reranker(
        read_scores(pred_dir, model=model),
        load_run(first_stage),
        judged.qrels,
        measure=measure,
        depth=depth,
        bins=bins,
        edges=_numbers(edges) if edges else None,
        seconds_per_query=seconds,
    )
    for line in (*judged.notes, *found.notes):
        note(line)
    if as_json:
        print_json(found.model_dump(mode="json") | {"summary": found.benefit.summary})
    else:
        _print_diagnosis(found)


def _runs(given: list[str]) -> "Iterator[tuple[str, TrecRun]]":
    """The runs, each read when the one before it is measured. A name is what stands before '=', or the file's."""
    from rankvideo_rag.formats.rankvideo import load_run

    for one in given:
        name, equals, path = one.partition("=")
        if not equals or Path(one).exists():
            name, path = Path(one).name.removesuffix(".gz").rpartition(".")[0] or Path(one).name, one
        yield name, load_run(path)


def _numbers(text: str) -> list[float]:
    from rankvideo_rag.errors import InputError

    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise InputError(f"--edges {text!r}: give probabilities parted by spaces, such as '0 0.1 0.5 0.9 1'") from error


@contextmanager
def writing(path: Path) -> "Iterator[None]":
    """What cannot be written is the caller's mistake: a folder that is not there, a disk that is full."""
    from rankvideo_rag.errors import InputError

    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def _write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    from rankvideo_rag.files import replace_file

    text = "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)
    with writing(path):
        replace_file(path, text.encode())
    note(f"{len(rows)} queries written to {path}")


def _print_report(report: "RetrievalReport") -> None:
    out.print(f"{report.queries} judged queries; intervals of {report.confidence:.0%} by bootstrap over queries")
    table = plain_table()
    table.add_column("")
    for run in report.runs:
        table.add_column(shown(run.name), justify="right")
    for name in report.measures:
        table.add_row(shown(name), *(_figure(run.measures[name]) for run in report.runs))
    out.print(table)
    _print_ties(report)
    if report.differences:
        _print_differences(report)
    if report.slices:
        _print_slices(report)


def _figure(figure: "MeasureEstimate") -> str:
    return rf"{figure.mean:.4f} \[{figure.low:.4f}, {figure.high:.4f}]"


def _print_ties(report: "RetrievalReport") -> None:
    for run in report.runs:
        for name, one in run.measures.items():
            if one.worst is not None and one.best is not None and one.worst < one.best:
                note(f"{run.name}: the order of equal scores moves {name} between {one.worst:.4f} and {one.best:.4f}")


def _print_differences(report: "RetrievalReport") -> None:
    table = plain_table(f"Against {shown(report.runs[0].name)}, by randomisation; p corrected by Holm for several runs")
    for column in ("", "", "difference", "p", "corrected", "better", "worse", "equal"):
        table.add_column(column, justify="right" if column else "left", no_wrap=column == "difference")
    for one in report.differences:
        change = rf"{one.mean:+.4f} \[{one.low:+.4f}, {one.high:+.4f}]"
        counts = (str(count) for count in (one.better, one.worse, one.equal))
        table.add_row(shown(one.run), shown(one.measure), change, f"{one.p:.4f}", f"{one.p_holm:.4f}", *counts)
    out.print(table)


def _print_slices(report: "RetrievalReport") -> None:
    table = plain_table("Slices")
    for column in ("", "", "queries"):
        table.add_column(column, justify="right" if column else "left")
    for run in report.runs:
        for name in report.measures:
            table.add_column(shown(f"{run.name} {name}" if len(report.runs) > 1 else name), justify="right")
    for one in report.slices:
        means = (f"{one.means[run.name][name]:.4f}" for run in report.runs for name in report.measures)
        table.add_row(shown(one.facet), shown(one.label), str(one.queries), *means)
    out.print(table)


def _print_diagnosis(found: "RerankerReport") -> None:
    out.print(found.benefit.summary, markup=False)
    calibration, variance = found.calibration, found.variance
    if calibration.error is None:
        note(f"calibration: {calibration.reason}")
    else:
        table = plain_table(f"Calibration error {calibration.error:.4f} over {calibration.pairs} judged pairs")
        for column in ("p_yes", "pairs", "mean p_yes", "share relevant"):
            table.add_column(column, justify="right")
        for one in calibration.bins:
            table.add_row(f"{one.low:.3f} to {one.high:.3f}", str(one.pairs), f"{one.p_yes:.3f}", f"{one.relevant:.3f}")
        out.print(table)
    if variance.query is None:
        note(f"variance of the margins: {variance.reason}")
    else:
        out.print(
            f"Of the margins' variance over {variance.pairs} pairs the query alone tells {variance.query:.3f} "
            f"(by chance {variance.query_by_chance:.3f}), the video alone {variance.video:.3f} "
            f"(by chance {variance.video_by_chance:.3f}), both added up {variance.additive:.3f}."
        )
