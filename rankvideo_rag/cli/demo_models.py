"""rankvideo demo train, eval, ablate: train the tiny models from scratch and evaluate them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, out, print_json, render
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.synthetic.ablations import AblationResult
    from rankvideo_rag.synthetic.evaluation import EvalResult

_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for what is written.")]
_Seed = Annotated[int, typer.Option(help="Seed of weights, clips and questions.")]


def train(
    output: _Output = Path("build/tiny"),
    seed: _Seed = 0,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the full training's clips and steps.")] = 1.0,
    ship: Annotated[bool, typer.Option("--ship", help="Replace the models in the package.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train reranker and embedder from random weights, and evaluate them on other clips."""
    import time

    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.synthetic.evaluation import evaluate_models

    training = import_optional("rankvideo_rag.synthetic.train_tiny", "demo train")
    began = time.monotonic()
    checkpoints = training.TinyTraining(output, seed=seed, share=share).train_all()
    packed = {name: training.pack(getattr(checkpoints, name), output / folder) for name, folder in training.PACKED.items()}
    minutes = (time.monotonic() - began) / 60
    found = evaluate_models(output / "eval", embedder=str(packed["embedder"]), reranker=str(packed["reranker"]))
    for name, folder in packed.items():
        training.write_model_card(folder, name, found, seed=seed, minutes=minutes)
        if ship:
            training.ship(folder)
    if as_json:
        print_json({"seed": seed, "share": share, "minutes": round(minutes, 1), **found.to_json()})
        return
    for kind in ("perception", "reranker", "embedder"):
        _print_curve(output / kind / "curve.jsonl", kind)
    print_evaluation(found)
    out.print(f"trained in {minutes:.1f} minutes, seed {seed}")


def evaluate(
    output: _Output = Path("build/eval"),
    embedder: Annotated[str, typer.Option(help="Folder of an embedder.")] = "bundled:tiny-embedder",
    reranker: Annotated[str, typer.Option(help="Folder of a reranker.")] = "bundled:tiny-reranker",
    clips: Annotated[int, typer.Option(min=15, help="Clips to evaluate on, none of them used in training.")] = 210,
    seed: Annotated[int, typer.Option(help="Seed of these clips.")] = 77,
    as_json: AsJson = False,
) -> None:
    """Evaluate an embedder and a reranker on rendered clips that training has not seen, read back from .mp4 files."""
    from rankvideo_rag.synthetic.evaluation import evaluate_models

    found = evaluate_models(output, embedder=embedder, reranker=reranker, clips=clips, seed=seed)
    render(found.to_json(), lambda: print_evaluation(found), as_json=as_json)


def ablate(
    output: _Output = Path("build/ablations"),
    seed: _Seed = 0,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the full stage 2: clips and steps.")] = 0.5,
    trained: Annotated[
        Path | None,
        typer.Option(help="Output of `demo train`, whose stage 1 and embedder are used; without it they are trained first."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the reranker again with one part of its training left out at a time, and evaluate each.

    An interrupted run continues with the next part.
    """
    from rankvideo_rag.backends import import_optional

    ablations = import_optional("rankvideo_rag.synthetic.ablations", "demo ablate").run_ablations
    results: list[AblationResult] = ablations(output, seed=seed, share=share, trained=trained)
    columns = ("", "nDCG@10", "all visual", "binding and order", "pair accuracy", "minutes")
    rows = (
        (row.name, *map(_figure, (row.ndcg, row.visual, row.binding_and_order, row.pair_accuracy)), f"{row.minutes:.1f}")
        for row in results
    )
    title = "Ablations: the same training without one part"
    render([row.model_dump() for row in results], lambda: out.print(make_table(columns, rows, title=title)), as_json=as_json)


def print_evaluation(found: "EvalResult") -> None:
    """Print measures by stage, nDCG@10 by kind of question, and the accuracy on hard negatives."""
    stages = list(found.stages)
    table = make_table((), title=f"{found.questions} questions about {found.clips} clips that training has not seen")
    table.add_column("", no_wrap=True)
    for stage in stages:
        table.add_column(stage, justify="right", min_width=max(map(len, stage.split())))
    for name in next(iter(found.stages.values())):
        table.add_row(name, *(f"{found.stages[stage][name]:.3f}" for stage in stages))
    table.add_section()
    table.add_row("nDCG@10 of")
    for name, by_stage in found.slices.items():
        table.add_row(f"{found.sizes[name]:3} {name}", *(f"{by_stage[stage]:.3f}" for stage in stages))
    out.print(table)
    if found.pair_accuracy is not None:
        by_attribute = ", ".join(f"{name} {share:.3f}" for name, share in found.by_attribute.items())
        out.print(f"Hard negatives ranked below the relevant clip: {found.pair_accuracy:.3f} ({by_attribute})")
    if found.answers:
        shares = ", ".join(f"{name} {share:.3f}" for name, share in found.answers.items())
        out.print(f"Questions about words, and their keywords, answered by the right quotation: {shares}")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _print_curve(file: Path, name: str) -> None:
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    entries = [entry for entry in entries if "loss" in entry]
    columns = [key for key in entries[0] if key not in ("epoch", "grad_norm", "learning_rate")] if entries else []
    rows = ([f"{entry[column]:.4g}" for column in columns] for entry in entries[:: max(1, len(entries) // 12)])
    out.print(make_table(columns, rows, title=f"{name}: learning curve", left=0))
