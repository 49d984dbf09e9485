"""Objectives over similarities of queries (rows) and documents (columns), to train an embedder: InfoNCE and a teacher's shares.

Pure functions of tensors, computed in at least 32 bits: they know no model, no trainer and no files. Each is averaged over the
queries that have something to say, is 0 with a gradient of 0 where none has, and raises InputError for tensors that are not of
one shape (queries, documents), or empty.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softplus

from rankvideo_rag.errors import InputError
from rankvideo_rag.training.losses import at_least_32_bits


def infonce(
    similarity: Tensor,  # (queries, documents) floating point, cosines or the like
    positives: Tensor,  # (queries, documents) bool
    *,
    tau: float = 0.02,
) -> Tensor:
    """-log of the share that a softmax over a positive and the query's negatives gives the positive.

    van den Oord et al., arXiv 1807.03748, equation 4. A query's other positives are in no denominator: they are never taken for
    negatives. Each query's positives are averaged first, then the queries, so that all that have a positive weigh the same;
    one without a positive counts nothing, one without a negative has loss 0 and gradient 0.
    """
    _check(similarity, positives)
    logits = at_least_32_bits(similarity) / tau
    negatives = logits.masked_fill(positives, _least(logits)).logsumexp(dim=1, keepdim=True)  # (queries, 1)
    losses = softplus(negatives - logits) * positives
    each = losses.sum(dim=1) / positives.sum(dim=1).clamp(min=1)
    return each.sum() / positives.any(dim=1).sum().clamp(min=1)


def symmetric_kl(
    student_logits: Tensor,  # (queries, documents) floating point, such as cosines
    teacher_logits: Tensor,  # (queries, documents) floating point, such as a judge's p(yes)
    present: Tensor | None = None,  # (queries, documents) bool: False where the query was not given that document
    *,
    tau: float,  # of both; UniME-V2 has 0.02
) -> Tensor:
    """(KL(S || T) + KL(T || S)) / 2 of the shares S = softmax(student / tau) and T = softmax(teacher / tau).

    UniME-V2, arXiv 2510.13515, as in its code (`SoftLabelSoftKLContrastiveLoss`). 0 when equal, and the same with student and
    teacher exchanged: a gradient reaches both, so give a teacher that has none. A document that is not present may have any
    score. A query with one document has loss 0 and gradient 0; one with none counts nothing.
    """
    present = torch.ones_like(student_logits, dtype=torch.bool) if present is None else present
    _check(student_logits, present, teacher_logits)
    student, teacher = (_log_shares(logits, present, tau) for logits in (student_logits, teacher_logits))
    # Both divergences at once: sum of S log(S / T) + T log(T / S).
    parts = (student.exp() - teacher.exp()) * (student - teacher)  # 0 for a document that is absent
    return 0.5 * parts.sum() / present.any(dim=1).sum().clamp(min=1)


def _log_shares(logits: Tensor, present: Tensor, tau: float) -> Tensor:
    precise = at_least_32_bits(logits) / tau
    return log_softmax(precise.masked_fill(~present, _least(precise)), dim=1)


def _least(logits: Tensor) -> float:
    """Stands for -inf, with which a row of nothing else would have a gradient of nan."""
    return torch.finfo(logits.dtype).min


def _check(scores: Tensor, mask: Tensor, *more: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in (scores, mask, *more)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise InputError(f"tensors of one shape (queries, documents) are needed, neither of them 0; got shapes {shapes}")
    if mask.dtype != torch.bool:
        raise InputError(f"which documents count is told by a bool tensor, got {mask.dtype}: write `labels >= 1`, for example")
