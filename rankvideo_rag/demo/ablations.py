"""What each part of the reranker's training is worth: it is left out, and all else is done again for as many steps."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.demo.exam import sit
from rankvideo_rag.demo.network import untrained
from rankvideo_rag.demo.school import School, pack

# Without stage one there are no eyes to freeze: they are trained with the rest.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "all of it": {},
    "without stage 1": {"vision": "trained"},
    "without easy questions": {"easy": 0.0},
    "pointwise only": {"objective": "pointwise"},
    "pairwise only": {"objective": "pairwise"},
    "without a teacher": {"lambda_teacher": 0.0},
}


class Row(NamedTuple):
    """A reranker trained without something, over the same first stage."""

    name: str
    ndcg: float  # at 10, of all questions
    all_seen: float  # of those about what is seen
    bound_and_order: float  # of those that one vector cannot answer
    pair_accuracy: float | None
    minutes: float  # of stage two


def ablations(folder: Path, *, seed: int, share: float) -> list[Row]:
    """Each of ABLATIONS, trained and examined; `share` is that of the full course which every one of them gets."""
    school = School(folder, seed=seed, share=share)
    blank = untrained(folder / "untrained", seed=seed)
    seen = school.perception(blank)
    embedder = str(pack(school.embedder(seen), folder / "tiny-embedder"))
    rows = []
    for name, changes in ABLATIONS.items():
        begun = time.monotonic()
        model = school.reranker(blank if "vision" in changes else seen, name=name.replace(" ", "-"), **changes)
        minutes = (time.monotonic() - begun) / 60
        exam = sit(folder / "exam", embedder=embedder, reranker=str(model))
        slices = {kind: by_stage["reranked"] for kind, by_stage in exam.slices.items()}
        measured = exam.stages["reranked"]["nDCG@10"], slices["all seen"], slices["bound and order"]
        rows.append(Row(name, *measured, exam.pair_accuracy, round(minutes, 1)))
    return rows
