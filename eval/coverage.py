"""Measure how many of a query's claims the first documents support, and how early: alpha-nDCG and subtopic recall.

A claim is a subtopic of TREC's diversity tasks; for video RAG it is a claim of the reference answer, supported by videos (arXiv
2603.08819: such measures correlate with how much of the reference an answer covers). As in TREC's ndeval, a claim that no
document supports is left out.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

_Supported = npt.NDArray[np.bool_]  # (claims,): which of them a document supports


def claim_coverage(
    ranking: Sequence[str], claims: Mapping[str, frozenset[str]], *, k: int, alpha: float | None = None
) -> float:
    """Return the alpha-nDCG@k of a ranking if alpha is given, else its StRecall@k. `claims`: claim -> supporting documents.

    A query without a supported claim counts 0.
    """
    supported = _supported_claims([documents for documents in claims.values() if documents])
    if not supported:
        return 0.0
    first = [supported.get(document) for document in ranking[:k]]
    if alpha is not None:
        return _discounted_gain(first, alpha) / _discounted_gain(_ideal_order(list(supported.values()), k, alpha), alpha)
    rows = [row for row in first if row is not None]
    return float(np.logical_or.reduce(rows).mean()) if rows else 0.0


def _supported_claims(claims: Sequence[frozenset[str]]) -> dict[str, _Supported]:
    """Return document -> which of the claims it supports, by descending id."""
    documents = sorted(frozenset().union(*claims), reverse=True)
    return {document: np.array([document in supporting for supporting in claims]) for document in documents}


def _discounted_gain(rows: Iterable[_Supported | None], alpha: float) -> float:
    """Sum the gains over ranks: each claim counts (1 - alpha) ** (times it was seen before) / log2(rank + 1)."""
    novelty, gain = None, 0.0
    for rank, row in enumerate(rows, start=1):
        if row is None:
            continue
        novelty = np.ones(row.size) if novelty is None else novelty
        gain += float(novelty[row].sum()) / math.log2(rank + 1)
        novelty[row] *= 1 - alpha
    return gain


def _ideal_order(documents: Sequence[_Supported], k: int, alpha: float) -> list[_Supported]:
    """Return the greedy ideal order (the best one is NP-hard): at each rank the largest gain, ties by descending id, as ndeval.

    Where 1 - alpha is no exact binary fraction, ndeval lets rounding errors choose between equal gains; here they stay equal.
    """
    rows = np.stack(documents)  # (documents, claims), documents in descending order of id
    novelty, left, order = np.ones(rows.shape[1]), np.ones(len(rows), dtype=bool), []
    for _ in range(min(k, len(rows))):
        best = int(np.argmax(np.where(left, np.round(rows @ novelty, 12), -1.0)))
        left[best] = False
        order.append(rows[best])
        novelty[rows[best]] *= 1 - alpha
    return order
