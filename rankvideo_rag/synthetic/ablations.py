"""What each part of the reranker's training is worth: it is left out, and all else is done again for as many steps."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Record
from rankvideo_rag.synthetic.evaluation import evaluate_models
from rankvideo_rag.synthetic.network import write_untrained_model
from rankvideo_rag.synthetic.train_tiny import PACKED, TinyTraining, pack

# Without stage one there are no eyes to freeze: they are trained with the rest.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "all of it": {},
    "without stage 1": {"vision": "trained"},
    "without easy questions": {"easy": 0.0},
    "pointwise only": {"objective": "pointwise"},
    "pairwise only": {"objective": "pairwise"},
    "without a teacher": {"lambda_teacher": 0.0},
}


class AblationResult(Record):
    """A reranker trained without something, over the same first stage."""

    name: str
    seed: int
    share: float  # of the full course of stage two
    ndcg: float  # at 10, of all questions
    all_seen: float  # of those about what is seen
    bound_and_order: float  # of those that one vector cannot answer
    pair_accuracy: float | None
    minutes: float  # of stage two


def ablations(folder: Path, *, seed: int, share: float, school: Path | None = None) -> list[AblationResult]:
    """Each of ABLATIONS, trained and examined; `share` is that of the full stage two which every one of them gets.

    Eyes and first stage are those of the full course: of what `rankvideo demo train` wrote to `school`, else made first. Rows
    that an earlier call wrote to the folder are not made again. Raises InputError for a school that was not finished.
    """
    embedder = (school or folder) / PACKED["embedder"]
    if school is None and not embedder.exists():
        full = TinyTraining(folder, seed=seed)
        pack(full.embedder(full.perception(write_untrained_model(folder / "untrained", seed=seed))), embedder)
    seen = (school or folder) / "perception" / "model"
    if not (seen.exists() and embedder.exists()):
        raise InputError(f"{school} holds no finished training: rankvideo demo train --output {school}")
    blank, short = write_untrained_model(folder / "untrained", seed=seed), TinyTraining(folder, seed=seed, share=share)
    rows = {row.name: row for row in _written(folder) if (row.seed, row.share) == (seed, share)}
    for name, changes in ABLATIONS.items():
        if name not in rows:
            begun = time.monotonic()
            begin_with = blank if "vision" in changes else seen
            model = short.reranker(begin_with, name=name.replace(" ", "-"), **{"resume": True, **changes})
            rows[name] = _examined(name, folder, embedder, model, seed=seed, share=share, seconds=time.monotonic() - begun)
            with (folder / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(f"{rows[name].model_dump_json()}\n")
    return [rows[name] for name in ABLATIONS]


def _written(folder: Path) -> list[AblationResult]:
    file = folder / "rows.jsonl"
    return (
        [AblationResult.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if file.exists()
        else []
    )


def _examined(
    name: str, folder: Path, embedder: Path, model: Path, *, seed: int, share: float, seconds: float
) -> AblationResult:
    exam = evaluate_models(folder / "exam", embedder=str(embedder), reranker=str(model))
    slices = {kind: by_stage["reranked"] for kind, by_stage in exam.slices.items()}
    return AblationResult(
        name=name,
        seed=seed,
        share=share,
        ndcg=exam.stages["reranked"]["nDCG@10"],
        all_seen=slices["all seen"],
        bound_and_order=slices["bound and order"],
        pair_accuracy=exam.pair_accuracy,
        minutes=round(seconds / 60, 1),
    )
