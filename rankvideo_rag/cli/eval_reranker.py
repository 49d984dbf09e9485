"""rankvideo eval reranker and compare-stages: what reranking changes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import make_table, note, out, print_json
from rankvideo_rag.cli.eval import QrelsFile
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rich.table import Table

    from rankvideo_rag.eval.reranking import RerankerReport, StageComparison, StageMeans

PredDir = Annotated[Path, typer.Option(help="Folder of VIDEO_reranking_MODEL.json files.")]
FirstStage = Annotated[Path, typer.Option(help="First stage: published JSON or TREC run.")]
Depth = Annotated[int, typer.Option(min=1, help="How many of the first stage's results are reranked.")]
Model = Annotated[str | None, typer.Option(help="Whose scores to use, where the folder holds those of several models.")]


def reranker(
    pred_dir: PredDir,
    first_stage: FirstStage,
    qrels: QrelsFile,
    measure: Annotated[str, typer.Option(help="The measure that decides.")] = "nDCG@10",
    depth: Depth = 1000,
    model: Model = None,
    seconds: Annotated[float | None, typer.Option(min=0, help="Seconds that reranking a query took, for the record.")] = None,
    bins: Annotated[int, typer.Option(min=1, help="Bins of the calibration, with equally many pairs each.")] = 10,
    edges: Annotated[str | None, typer.Option(help="Bins by probability instead, such as '0 0.1 0.5 0.9 1'.")] = None,
    as_json: AsJson = False,
) -> None:
    """Report whether reranking helps and at what cost, whether margins are calibrated, and what they depend on."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.formats.multivent import load_qrels
    from rankvideo_rag.formats.rankvideo import load_run, read_scores

    evaluate_reranker = import_optional("rankvideo_rag.eval.reranking", "eval").evaluate_reranker
    judged = load_qrels(qrels)
    found: RerankerReport = evaluate_reranker(
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
        _print_reranker(found)


def compare_stages(
    pred_dir: PredDir,
    first_stage: FirstStage,
    qrels: QrelsFile,
    depth: Depth = 1000,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Print recall and nDCG of the first stage and of the reranked order, over all judged queries.

    The same is computed as RankVideo's published script counts, over queries that have predictions.
    """
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.formats.rankvideo import load_run, read_scores
    from rankvideo_rag.formats.trec import read_qrels

    measure_stages = import_optional("rankvideo_rag.eval.reranking", "eval").compare_stages
    found = measure_stages(read_scores(pred_dir, model=model), load_run(first_stage), read_qrels(qrels), depth=depth)
    if as_json:
        print_json(comparison_to_json(found, depth))
        return
    _print_comparison(found)
    for line in found.notes:
        note(line)


def comparison_to_json(found: "StageComparison", depth: int) -> dict[str, Any]:
    """Return the comparison as `--json` prints it."""
    return {
        **found.ours._asdict(),
        "depth": depth,
        "as_original": found.original._asdict() if found.original else None,
        "differences": list(found.notes),
    }


def _numbers(text: str) -> list[float]:
    from rankvideo_rag.errors import InputError

    try:
        return [float(word) for word in text.split()]
    except ValueError as error:
        raise InputError(f"--edges {text!r}: give probabilities separated by spaces, such as '0 0.1 0.5 0.9 1'") from error


def _print_reranker(found: "RerankerReport") -> None:
    out.print(found.benefit.summary, markup=False)
    calibration, variance = found.calibration, found.variance
    if calibration.error is None:
        note(f"calibration: {calibration.reason}")
    else:
        title = f"Calibration error {calibration.error:.4f} over {calibration.pairs} judged pairs"
        rows = (
            (f"{one.low:.3f} to {one.high:.3f}", str(one.pairs), f"{one.p_yes:.3f}", f"{one.relevant:.3f}")
            for one in calibration.bins
        )
        out.print(make_table(("p_yes", "pairs", "mean p_yes", "share relevant"), rows, title=title, left=0))
    if variance.query is None:
        note(f"variance of the margins: {variance.reason}")
    else:
        out.print(
            f"Of the margins' variance over {variance.pairs} pairs the query alone explains {variance.query:.3f} "
            f"(by chance {variance.query_by_chance:.3f}), the video alone {variance.video:.3f} "
            f"(by chance {variance.video_by_chance:.3f}), both together {variance.additive:.3f}."
        )


def _print_comparison(found: "StageComparison") -> None:
    out.print(f"all judged queries: {found.ours.queries}")
    out.print(_stages_table(found.ours))
    if found.original is None:
        note("no judged query has predictions and a relevant video: the original's count gives no number")
    elif found.original == found.ours:
        out.print("The original's count gives the same numbers.")
    else:
        out.print(f"as the original counts, only queries with predictions and a relevant video: {found.original.queries}")
        out.print(_stages_table(found.original))


def _stages_table(means: "StageMeans") -> "Table":
    rows = (
        (name, f"{before:.4f}", f"{means.reranked[name]:.4f}", f"{means.reranked[name] - before:+.4f}")
        for name, before in means.first_stage.items()
    )
    return make_table(("", "first stage", "reranked", "change"), rows)
