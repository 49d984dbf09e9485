"""Ablations of the reranker's training: one part is left out at a time, everything else stays the same."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.resumable_jsonl import ResumableJsonl
from rankvideo_rag.schema import Record
from rankvideo_rag.synthetic.evaluation import evaluate_models
from rankvideo_rag.synthetic.network import write_untrained_model
from rankvideo_rag.synthetic.train_tiny import PACKED, TinyTraining, pack

# Without stage one the vision encoder is untrained, so it is trained with the rest.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "all of it": {},
    "without stage 1": {"vision": "trained"},
    "without easy questions": {"easy": 0.0},
    "pointwise only": {"objective": "pointwise"},
    "pairwise only": {"objective": "pairwise"},
    "without a teacher": {"lambda_teacher": 0.0},
}


class AblationResult(Record):
    """Measures of a reranker trained without one part, on the same first stage."""

    name: str
    seed: int
    share: float  # of the full stage two
    ndcg: float  # nDCG@10 of all questions
    visual: float  # of visual questions
    binding_and_order: float  # of those that one vector cannot answer
    pair_accuracy: float | None
    minutes: float  # of stage two


def run_ablations(folder: Path, *, seed: int, share: float, trained: Path | None = None) -> list[AblationResult]:
    """Train and evaluate a reranker for each of ABLATIONS, with `share` of the full stage two.

    Stage one and the embedder are those that `rankvideo demo train` wrote to `trained`; without it they are trained first.
    Results of an earlier, interrupted call are kept. Raises InputError for a folder without a finished training.
    """
    embedder = (trained or folder) / PACKED["embedder"]
    if trained is None and not embedder.exists():
        full = TinyTraining(folder, seed=seed)
        pack(full.embedder(full.perception(write_untrained_model(folder / "untrained", seed=seed))), embedder)
    perception = (trained or folder) / "perception" / "model"
    if not (perception.exists() and embedder.exists()):
        raise InputError(f"{trained} holds no finished training: rankvideo demo train --output {trained}")
    untrained, training = write_untrained_model(folder / "untrained", seed=seed), TinyTraining(folder, seed=seed, share=share)
    with ResumableJsonl(folder / "rows.jsonl", TypeAdapter(AblationResult)) as file:
        results = {row.name: row for row in file.lines if (row.seed, row.share) == (seed, share)}
        for name, changes in ABLATIONS.items():
            if name not in results:
                began = time.monotonic()
                start = untrained if "vision" in changes else perception
                model = training.reranker(start, name=name.replace(" ", "-"), **{"resume": True, **changes})
                minutes = round((time.monotonic() - began) / 60, 1)
                figures = _evaluate(folder / "eval", embedder, model)
                results[name] = AblationResult(name=name, seed=seed, share=share, minutes=minutes, **figures)
                file.append(results[name])
    return [results[name] for name in ABLATIONS]


def _evaluate(folder: Path, embedder: Path, reranker: Path) -> dict[str, Any]:
    found = evaluate_models(folder, embedder=str(embedder), reranker=str(reranker))
    return {
        "ndcg": found.stages["reranked"]["nDCG@10"],
        "visual": found.slices["all visual"]["reranked"],
        "binding_and_order": found.slices["binding and order"]["reranked"],
        "pair_accuracy": found.pair_accuracy,
    }
