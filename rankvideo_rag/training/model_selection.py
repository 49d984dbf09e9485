"""Model selection: the best checkpoint is the one that ranks the first stage's candidates best, by nDCG@10.

Yes/no accuracy does not select: in RankVideo's own runs accuracies of .74, .76 and .79 went with nDCG@10 of .52, .54 and .54
(arXiv 2602.02444, appendix D).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.formats.training_data import TrainingExample, read_examples
from rankvideo_rag.formats.trec import Qrels, read_qrels
from rankvideo_rag.training.config import SelectionConfig

MEASURES = ("nDCG@10", "R@10")
"""The first one selects the checkpoint."""


class CandidatePools(NamedTuple):
    """The candidates of each query, and judgements of these and of other documents."""

    candidates: Sequence[TrainingExample]  # of a query: all that the first stage found, in its order
    qrels: Qrels

    def measure(self, score: Callable[[Sequence[TrainingExample]], Sequence[float]], *, batch_size: int) -> dict[str, float]:
        """Return the measures of ranking each pool by these scores, equal ones in the order of the first stage."""
        scores: list[float] = []
        for begin in range(0, len(self.candidates), batch_size):
            scores += score(self.candidates[begin : begin + batch_size])
        rankings: dict[str, list[str]] = {}
        for _, candidate in sorted(zip(scores, self.candidates, strict=True), key=lambda pair: -pair[0]):
            rankings.setdefault(candidate.query_id, []).append(candidate.doc_id)
        return compute_measures(rankings, self.qrels, MEASURES)


def make_pools(candidates: Sequence[TrainingExample], qrels: Qrels | None = None) -> CandidatePools:
    """Return pools with judgements, by default those of the candidates' labels.

    Judged documents that no pool holds count: the first stage missed them. Raises InputError without candidates, and where
    none of the queries has a relevant document.
    """
    if not candidates:
        raise InputError("the pools hold no candidate to select a checkpoint by")
    queries = dict.fromkeys(candidate.query_id for candidate in candidates)
    judged = labels_to_qrels(candidates) if qrels is None else {query: qrels[query] for query in queries if query in qrels}
    if not any(grade >= 1 for grades in judged.values() for grade in grades.values()):
        raise InputError(f"no document is relevant to any of the pools' {len(queries)} queries: give their judgements (qrels)")
    return CandidatePools(candidates, judged)


def labels_to_qrels(examples: Sequence[TrainingExample]) -> Qrels:
    """Return the labels of examples as judgements; a query without a labelled document is absent."""
    qrels: dict[str, dict[str, int]] = {}
    for example in examples:
        if (grade := relevance_grade(example)) is not None:
            qrels.setdefault(example.query_id, {})[example.doc_id] = grade
    return qrels


def relevance_grade(example: TrainingExample) -> int | None:
    """Return the human label of an example, else the teacher's."""
    return example.teacher_label if example.true_label is None else example.true_label


def read_pools(config: SelectionConfig) -> CandidatePools | None:
    """Read the pools that a configuration names; None where it names none."""
    if config.pools is None:
        return None
    qrels = read_qrels(Path(config.qrels)) if config.qrels else None
    return make_pools(list(read_examples(config.pools)), qrels)
