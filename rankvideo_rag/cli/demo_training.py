"""rankvideo demo train | exam | ablate: the tiny models trained from scratch, examined, and what each part of it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, out, print_json
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.synthetic.evaluation import EvalResult

_To = Annotated[Path, typer.Option("--to", help="Folder for what is trained.")]
_Seed = Annotated[int, typer.Option(help="Of weights, clips and lessons.")]
_Share = Annotated[float, typer.Option(min=0.001, max=1, help="Of the full course: clips and steps.")]
_ExamClips = Annotated[int, typer.Option(min=15, help="Clips of the exam, which training has not seen.")]
_ExamSeed = Annotated[int, typer.Option(help="Which world the exam is about.")]


def train(
    to: _To = Path("build/tiny"),
    seed: _Seed = 0,
    share: _Share = 1.0,
    ship: Annotated[bool, typer.Option("--ship", help="Put the models into the package, in place of those there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train reranker and embedder from random weights, show the curves, and examine what came of it."""
    import time

    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.synthetic.evaluation import as_json as exam_as_json
    from rankvideo_rag.synthetic.evaluation import evaluate_models

    school = import_optional("rankvideo_rag.synthetic.train_tiny", "demo train")
    begun = time.monotonic()
    graduates = school.School(to, seed=seed, share=share).all()
    packed = {name: school.pack(getattr(graduates, name), to / folder) for name, folder in school.PACKED.items()}
    minutes = (time.monotonic() - begun) / 60
    exam = evaluate_models(to / "exam", embedder=str(packed["embedder"]), reranker=str(packed["reranker"]))
    for name, folder in packed.items():
        school.write_card(folder, name, exam, seed=seed, minutes=minutes)
        if ship:
            school.ship(folder)
    if as_json:
        print_json({"seed": seed, "share": share, "minutes": round(minutes, 1), **exam_as_json(exam)})
        return
    for kind in ("perception", "reranker", "embedder"):
        _curve(to / kind / "curve.jsonl", kind)
    exam_tables(exam)
    out.print(f"trained in {minutes:.1f} minutes, seed {seed}")


def exam(
    to: _To = Path("build/exam"),
    embedder: Annotated[str, typer.Option(help="Folder of an embedder.")] = "bundled:tiny-embedder",
    reranker: Annotated[str, typer.Option(help="Folder of a reranker.")] = "bundled:tiny-reranker",
    clips: _ExamClips = 210,
    seed: _ExamSeed = 77,
    as_json: AsJson = False,
) -> None:
    """Measure embedder and reranker on clips of the little world that training has not seen, read back from .mp4 files."""
    from rankvideo_rag.synthetic.evaluation import as_json as exam_as_json
    from rankvideo_rag.synthetic.evaluation import evaluate_models

    found = evaluate_models(to, embedder=embedder, reranker=reranker, clips=clips, seed=seed)
    if as_json:
        print_json(exam_as_json(found))
    else:
        exam_tables(found)


def ablate(
    to: _To = Path("build/ablations"),
    seed: _Seed = 0,
    share: Annotated[float, typer.Option(min=0.001, max=1, help="Of the full stage two: clips and steps.")] = 0.5,
    school: Annotated[
        Path | None, typer.Option(help="What `demo train` wrote: its eyes and its embedder serve; else they are trained first.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train the reranker again without one part of its training after the other, for as many steps, and examine each.

    Interrupted, it goes on with the next one.
    """
    from rankvideo_rag.backends import import_optional

    ablations = import_optional("rankvideo_rag.synthetic.ablations", "demo ablate").ablations
    rows = ablations(to, seed=seed, share=share, school=school)
    if as_json:
        print_json([row.model_dump() for row in rows])
        return
    columns = ("", "nDCG@10", "all seen", "bound and order", "pair accuracy", "minutes")
    table = make_table(columns, title="Ablations: the same training without one part")
    for row in rows:
        figures = (row.ndcg, row.all_seen, row.bound_and_order, row.pair_accuracy)
        table.add_row(row.name, *("–" if figure is None else f"{figure:.3f}" for figure in figures), f"{row.minutes:.1f}")
    out.print(table)


def exam_tables(exam: "EvalResult") -> None:
    """What came of an exam, for people."""
    stages = list(exam.stages)
    table = make_table((), title=f"{exam.questions} questions about {exam.clips} clips not used in training")
    table.add_column("", no_wrap=True)
    for stage in stages:
        table.add_column(stage, justify="right", min_width=max(map(len, stage.split())))
    for name in next(iter(exam.stages.values())):
        table.add_row(name, *(f"{exam.stages[stage][name]:.3f}" for stage in stages))
    table.add_section()
    table.add_row("nDCG@10 of")
    for name, by_stage in exam.slices.items():
        table.add_row(f"{exam.sizes[name]:3} {name}", *(f"{by_stage[stage]:.3f}" for stage in stages))
    out.print(table)
    if exam.pair_accuracy is not None:
        by_attribute = ", ".join(f"{name} {share:.3f}" for name, share in exam.by_attribute.items())
        out.print(f"Near misses put below the clip that answers: {exam.pair_accuracy:.3f} ({by_attribute})")


def _curve(file: Path, name: str) -> None:
    import json

    table = make_table((), title=f"{name}: learning curve")
    entries = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    entries = [entry for entry in entries if "loss" in entry]
    columns = [key for key in entries[0] if key not in ("epoch", "grad_norm", "learning_rate")] if entries else []
    for column in columns:
        table.add_column(column, justify="right")
    for entry in entries[:: max(1, len(entries) // 12)]:
        table.add_row(*(f"{entry[column]:.4g}" for column in columns))
    out.print(table)
