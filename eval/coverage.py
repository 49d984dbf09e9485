"""How many of a query's claims the first documents hold, and how early: alpha-nDCG and subtopic recall.

A claim is a subtopic of TREC's diversity tasks; for video RAG it is a claim of the reference, held by the videos that support
it (arXiv 2603.08819: such measures go with how much of the reference an answer covers). As in TREC's ndeval, a claim that no
document holds is left out. Pure: this file reads no files.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

_Held = npt.NDArray[np.bool_]  # (claims,): which of them a document holds


def coverage_of(ranking: Sequence[str], claims: Mapping[str, frozenset[str]], *, k: int, alpha: float | None = None) -> float:
    """alpha-nDCG@k of a ranking where alpha is given, else its StRecall@k. `claims`: claim -> documents that hold it.

    A query of which no document holds a claim counts 0.
    """
    held = _held(claims)
    if not held:
        return 0.0
    first = [held.get(document) for document in ranking[:k]]
    if alpha is None:
        return _share_covered([row for row in first if row is not None])
    return _discounted(first, alpha) / _discounted(_ideal(held, k, alpha), alpha)


def _held(claims: Mapping[str, frozenset[str]]) -> dict[str, _Held]:
    """Document -> which of the claims it holds, in descending order of documents."""
    kept = [documents for documents in claims.values() if documents]
    everyone = sorted(frozenset().union(*kept), reverse=True)
    return {document: np.array([document in documents for documents in kept]) for document in everyone}


def _share_covered(rows: Sequence[_Held]) -> float:
    return float(np.logical_or.reduce(rows).mean()) if rows else 0.0


def _discounted(rows: Iterable[_Held | None], alpha: float) -> float:
    """Sum over ranks of what is gained there: each claim counts (1 - alpha) ** (times it was seen before) / log2(rank + 1)."""
    novelty, gained = None, 0.0
    for rank, row in enumerate(rows, start=1):
        if row is None:
            continue
        novelty = np.ones(row.size) if novelty is None else novelty
        gained += float(novelty[row].sum()) / math.log2(rank + 1)
        novelty[row] *= 1 - alpha
    return gained


def _ideal(held: Mapping[str, _Held], k: int, alpha: float) -> list[_Held]:
    """The greedy ideal order (the best one is NP-hard): at each rank what gains most, equal ones by descending id, as ndeval.

    Where 1 - alpha is no exact binary fraction, ndeval lets rounding errors choose between equal ones; here they stay equal.
    """
    rows = np.stack(list(held.values()))  # (documents, claims), documents in descending order
    novelty, left, order = np.ones(rows.shape[1]), np.ones(len(rows), dtype=bool), []
    for _ in range(min(k, len(rows))):
        best = int(np.argmax(np.where(left, np.round(rows @ novelty, 12), -1.0)))
        left[best] = False
        order.append(rows[best])
        novelty[rows[best]] *= 1 - alpha
    return order
