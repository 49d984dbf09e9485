"""Which checkpoint is best: the one that orders the first stage's candidates best, by nDCG@10.

Never by how often yes and no are right: in RankVideo's own runs accuracies of .74, .76 and .79 went with nDCG@10 of .52, .54
and .54 (arXiv 2602.02444, appendix D). This file knows scores and judgements, no networks.
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
"""The first one chooses."""


class Pools(NamedTuple):
    """The candidates of each query, and which of them, and of all other documents, are relevant."""

    candidates: Sequence[TrainingExample]  # of a query: all that the first stage found, in its order
    qrels: Qrels

    def measured(self, scores: Callable[[Sequence[TrainingExample]], Sequence[float]], *, batch_size: int) -> dict[str, float]:
        """The measures of ordering each pool by these scores, equal ones in the order of the first stage."""
        found: list[float] = []
        for begin in range(0, len(self.candidates), batch_size):
            found += scores(self.candidates[begin : begin + batch_size])
        rankings: dict[str, list[str]] = {}
        pairs = zip(found, self.candidates, strict=True)
        for _, candidate in sorted(pairs, key=lambda pair: -pair[0]):
            rankings.setdefault(candidate.query_id, []).append(candidate.doc_id)
        return compute_measures(rankings, self.qrels, MEASURES)


def pools_of(candidates: Sequence[TrainingExample], qrels: Qrels | None = None) -> Pools:
    """Pools with judgements, by default those that the candidates bear: people's, else the teacher's.

    Judgements of other queries count for nothing, those of documents that no pool holds do: the first stage missed them.
    """
    if not candidates:
        raise InputError("the pools hold no candidate: there is nothing to choose a checkpoint by")
    queries = dict.fromkeys(candidate.query_id for candidate in candidates)
    judged = labels_of(candidates) if qrels is None else {query: qrels[query] for query in queries if query in qrels}
    if not any(grade >= 1 for grades in judged.values() for grade in grades.values()):
        raise InputError(f"no document is relevant to any of the pools' {len(queries)} queries: give their judgements (qrels)")
    return Pools(candidates, judged)


def labels_of(examples: Sequence[TrainingExample]) -> Qrels:
    """The judgements that examples bear; a query none of whose documents is judged has none."""
    qrels: dict[str, dict[str, int]] = {}
    for example in examples:
        if (grade := grade_of(example)) is not None:
            qrels.setdefault(example.query_id, {})[example.doc_id] = grade
    return qrels


def grade_of(example: TrainingExample) -> int | None:
    """By people's judgement, else by the teacher's."""
    return example.teacher_label if example.true_label is None else example.true_label


def read_pools(config: SelectionConfig) -> Pools | None:
    """The pools that a configuration names; None where it names none."""
    if config.pools is None:
        return None
    qrels = read_qrels(Path(config.qrels)) if config.qrels else None
    return pools_of(list(read_examples(config.pools)), qrels)
