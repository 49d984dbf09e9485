"""rankvideo evaluate: what reranking changed, measured."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankvideo_rag.cli.console import note, out, plain_table, print_json
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.eval.reranking import RerankingComparison, StageMeans


def evaluate(
    pred_dir: Annotated[Path, typer.Option(help="Folder of VIDEO_reranking_MODEL.json files.", show_default=False)],
    first_stage: Annotated[Path, typer.Option(help="First stage: published JSON or TREC run.", show_default=False)],
    qrels: Annotated[Path, typer.Option(help="TREC judgements, four columns.", show_default=False)],
    depth: Annotated[int, typer.Option(min=1, help="How many of the first stage are reranked.")] = 1000,
    model: Annotated[
        str | None, typer.Option(help="Whose verdicts, where the folder has several models'.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure recall and nDCG of a first stage and of its reranking, every judged query counted."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.formats.rankvideo import load_run, read_scores
    from rankvideo_rag.formats.trec import read_qrels

    compare_reranking = import_optional("rankvideo_rag.eval.reranking", "evaluate").compare_reranking
    found = compare_reranking(read_scores(pred_dir, model=model), load_run(first_stage), read_qrels(qrels), depth=depth)
    if as_json:
        print_json(as_contract(found, depth))
        return
    _print(found)
    for line in found.notes:
        note(line)


def as_contract(found: "RerankingComparison", depth: int) -> dict[str, Any]:
    """The comparison as `--json` prints it."""
    return {
        **found.ours._asdict(),
        "depth": depth,
        "as_original": found.original._asdict() if found.original else None,
        "differences": list(found.notes),
    }


def _print(found: "RerankingComparison") -> None:
    out.print(f"all judged queries: {found.ours.queries}")
    out.print(_table(found.ours))
    if found.original is None:
        note("no judged query has predictions and a relevant video: the original's way of counting gives no number")
    elif found.original == found.ours:
        out.print("The original's way of counting gives the same numbers.")
    else:
        out.print(f"the original's way of counting, those with predictions and a relevant video only: {found.original.queries}")
        out.print(_table(found.original))


def _table(stages: "StageMeans") -> Any:
    table = plain_table()
    for column in ("", "first stage", "reranked", "change"):
        table.add_column(column, justify="right" if column else "left")
    for name, before in stages.first_stage.items():
        after = stages.reranked[name]
        table.add_row(name, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
    return table
