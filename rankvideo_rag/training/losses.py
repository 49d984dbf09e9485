"""Losses for rerankers (over the margins of one query's videos) and for embedders (over query-document similarities).

Margins are logp(yes) - logp(no) where the answer begins, in nats. All losses are scalars, computed in at least 32 bits. All
raise InputError for tensors of the wrong or of different shapes, or empty ones.
"""

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, softmax, softplus

from rankvideo_rag.errors import InputError

NEGATIVE_TARGET, NEGATIVE_WEIGHT = 0.10, 0.5  # of the pointwise loss; positives have 1 and 1

# --- RankVideo's loss of stage two (arXiv 2602.02444) -----------------------------------------------------------------


def ranking_loss(
    margins: Tensor,  # (groups, videos of a group) floating point
    labels: Tensor,  # (groups, videos of a group), relevant from 1
    teacher_probabilities: Tensor,  # (groups, videos of a group) the teacher's p(yes); below 0: unknown
    *,
    tau_pair: float = 10.0,
    tau_teacher: float = 5.0,
    tau_pointwise: float = 1.0,
    lambda_teacher: float = 5.0,
    lambda_pointwise: float = 0.5,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return pair + lambda_teacher * teacher + lambda_pointwise * pointwise, and these three parts.

    The defaults are the paper's; its code has lambda_pointwise 1. The pairwise part is averaged over the groups that have a
    relevant video, the others over all videos of the batch.
    """
    parts = {
        "pair": infonce(margins, labels >= 1, tau=tau_pair),
        "teacher": teacher_distillation(margins.flatten(), teacher_probabilities.flatten(), tau=tau_teacher),
        "pointwise": weighted_pointwise(margins.flatten(), labels.flatten(), tau=tau_pointwise),
    }
    return parts["pair"] + lambda_teacher * parts["teacher"] + lambda_pointwise * parts["pointwise"], parts


def teacher_distillation(margins: Tensor, teacher_probabilities: Tensor, *, tau: float = 5.0) -> Tensor:
    """Binary cross-entropy of margins / tau with the teacher's p(yes), over the videos that have one; 0 if none has.

    A probability below 0 means that there is none; one above 1 counts as 1. Raises InputError for NaN.
    """
    _check_vectors(margins, teacher_probabilities)
    if teacher_probabilities.isnan().any():
        raise InputError("a teacher's probability is NaN: write -1 where the teacher gave none")
    known = teacher_probabilities >= 0
    logits = _at_least_float32(margins)[known] / tau
    targets = teacher_probabilities[known].to(logits.dtype).clamp(max=1.0)
    # The sum over nothing is 0 and has a gradient; the mean would be NaN.
    return binary_cross_entropy_with_logits(logits, targets, reduction="sum") / max(len(logits), 1)


def weighted_pointwise(margins: Tensor, labels: Tensor, *, tau: float = 1.0) -> Tensor:
    """Weighted binary cross-entropy of margins / tau, divided by the number of videos, not by the sum of weights.

    A relevant video has target 1 and weight 1, any other target 0.10 and weight 0.5: negatives are often unjudged positives.
    """
    _check_vectors(margins, labels)
    logits = _at_least_float32(margins) / tau
    relevant = labels >= 1
    targets = torch.where(relevant, 1.0, NEGATIVE_TARGET).to(logits.dtype)
    weights = torch.where(relevant, 1.0, NEGATIVE_WEIGHT).to(logits.dtype)
    return binary_cross_entropy_with_logits(logits, targets, weight=weights)


# --- Alternatives for rerankers: margins and grades (n,) of one query -------------------------------------------------


def bce_yes_no(margins: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of p(yes) = sigmoid(margin), averaged over the videos ("SFT" in Dai et al., arXiv 2510.14824)."""
    _check_vectors(margins, labels)
    logits = _at_least_float32(margins)
    return binary_cross_entropy_with_logits(logits, (labels >= 1).to(logits.dtype))


def ranknet(margins: Tensor, grades: Tensor, *, sigma: float = 1.0) -> Tensor:
    """log(1 + exp(-sigma * (better - worse))), averaged over pairs of videos with different grades; 0 without such a pair.

    Burges et al., ICML 2005; Burges, MSR-TR-2010-82, section 2. Raises InputError for grades below 0 or NaN.
    """
    margins, grades = _check_grades(margins, grades)
    better = grades[:, None] > grades  # (n, n)
    return _pair_losses(margins, sigma)[better].sum() / better.sum().clamp(min=1)


def lambdarank(margins: Tensor, grades: Tensor, *, sigma: float = 1.0, k: int = 10) -> Tensor:
    """RankNet's losses, each times the change of nDCG@k if the two videos swapped ranks, summed over the pairs.

    Burges, MSR-TR-2010-82, section 4: the change has no gradient, so the gradient of this sum is the paper's lambdas. The gain
    is the grade itself, as in trec_eval (the paper has 2^grade - 1). Equal margins rank in the order given; the ideal ranking
    is that of this group. Raises InputError for grades below 0 or NaN, and for k < 1.
    """
    if k < 1:
        raise InputError(f"k = {k}: nDCG@k needs a k of at least 1")
    margins, grades = _check_grades(margins, grades)
    better = grades[:, None] > grades  # (n, n)
    return (_ndcg_changes(margins, grades, k) * _pair_losses(margins, sigma))[better].sum()


def listnet(margins: Tensor, grades: Tensor, *, tau: float = 1.0) -> Tensor:
    """Cross-entropy of softmax(grades) with softmax(margins / tau).

    Cao et al., ICML 2007, section 4.2 (top-one probability). Its minimum is the entropy of softmax(grades), not 0. A single
    video has loss 0. Raises InputError for grades below 0 or NaN.
    """
    margins, grades = _check_grades(margins, grades)
    return -(softmax(grades, dim=0) * log_softmax(margins / tau, dim=0)).sum()


def _pair_losses(margins: Tensor, sigma: float) -> Tensor:
    """Return (n, n) losses for ranking the video of a row above that of a column."""
    return softplus(-sigma * (margins[:, None] - margins))


def _ndcg_changes(margins: Tensor, grades: Tensor, k: int) -> Tensor:
    """Return (n, n) changes of nDCG@k when two videos swap ranks."""
    ranks = torch.arange(1, len(grades) + 1, dtype=grades.dtype, device=grades.device)
    discounts = (ranks <= k) / torch.log2(ranks + 1)
    ideal = (grades.sort(descending=True).values * discounts).sum()
    found = discounts[margins.argsort(descending=True, stable=True).argsort()]
    changes = ((grades[:, None] - grades) * (found[:, None] - found)).abs()
    return changes / ideal.clamp(min=torch.finfo(ideal.dtype).tiny)  # 0 / 0 where nothing is relevant


# --- Losses for embedders: (queries, documents), averaged over the queries to which they apply ------------------------


def infonce(similarity: Tensor, positives: Tensor, *, tau: float = 0.02) -> Tensor:
    """InfoNCE (van den Oord et al., arXiv 1807.03748, equation 4) of similarities, with a bool mask of positives.

    A query's other positives are not in the denominator of any of them. Each query's positives are averaged first, then the
    queries that have one. A query without a negative has loss 0.
    """
    _check_matrices(similarity, positives)
    logits = _at_least_float32(similarity) / tau
    negatives = logits.masked_fill(positives, _lowest(logits)).logsumexp(dim=1, keepdim=True)  # (queries, 1)
    losses = softplus(negatives - logits) * positives
    per_query = losses.sum(dim=1) / positives.sum(dim=1).clamp(min=1)
    return per_query.sum() / positives.any(dim=1).sum().clamp(min=1)


def symmetric_kl(student: Tensor, teacher: Tensor, present: Tensor | None = None, *, tau: float) -> Tensor:
    """(KL(S || T) + KL(T || S)) / 2 of S = softmax(student / tau) and T = softmax(teacher / tau).

    UniME-V2, arXiv 2510.13515, as in its code (`SoftLabelSoftKLContrastiveLoss`, tau 0.02). `present` (bool) is False for a
    document that a query was not given; a query with one document has loss 0. Gradients reach both student and teacher.
    """
    present = torch.ones_like(student, dtype=torch.bool) if present is None else present
    _check_matrices(student, present, teacher)
    log_student, log_teacher = (_log_softmax_of_present(logits, present, tau) for logits in (student, teacher))
    # Both divergences at once: the sum of S log(S / T) + T log(T / S), which is 0 for an absent document.
    parts = (log_student.exp() - log_teacher.exp()) * (log_student - log_teacher)
    return 0.5 * parts.sum() / present.any(dim=1).sum().clamp(min=1)


def _log_softmax_of_present(logits: Tensor, present: Tensor, tau: float) -> Tensor:
    scaled = _at_least_float32(logits) / tau
    return log_softmax(scaled.masked_fill(~present, _lowest(scaled)), dim=1)


def _lowest(logits: Tensor) -> float:
    """Return a stand-in for -inf, with which a row of nothing else would have a gradient of NaN."""
    return torch.finfo(logits.dtype).min


# --- Checks -----------------------------------------------------------------------------------------------------------


def _at_least_float32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _check_vectors(*tensors: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in tensors]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0] == (0,):
        raise InputError(f"one number for each video of a query is needed, in tensors of one length; got shapes {shapes}")


def _check_grades(margins: Tensor, grades: Tensor) -> tuple[Tensor, Tensor]:
    _check_vectors(margins, grades)
    if not (grades >= 0).all():
        raise InputError(f"grades must be 0 or more, got {grades.tolist()}: leave a video without a judgement out of the group")
    precise = _at_least_float32(margins)
    return precise, grades.to(precise.dtype)


def _check_matrices(scores: Tensor, mask: Tensor, *more: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in (scores, mask, *more)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 2 or 0 in shapes[0]:
        raise InputError(f"tensors of one shape (queries, documents) are needed, neither of them 0; got shapes {shapes}")
    if mask.dtype != torch.bool:
        raise InputError(f"the mask of documents must be a bool tensor, got {mask.dtype}: write `labels >= 1`, for example")
