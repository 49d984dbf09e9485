"""Objectives over the grades of one query's videos, to compare RankVideo's own with: RankNet, LambdaRank and ListNet.

Margins and grades are (n,); grades are 0 or more, and a higher one is better. Where all videos have one grade (one video, none
relevant, all alike) there is no order to learn: RankNet and LambdaRank are 0 with a gradient of 0 then, ListNet as it says.

Pure functions of tensors, computed in at least 32 bits: they know no model, no trainer and no files. Each raises InputError
for tensors that are not of one and the same length, or empty, and for a grade that is below 0 or nan.
"""

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, softmax, softplus

from rankvideo_rag.errors import InputError
from rankvideo_rag.training.losses import at_least_32_bits, check_one_group


def ranknet(margins: Tensor, grades: Tensor, *, sigma: float = 1.0) -> Tensor:
    """log(1 + exp(-sigma * (better - worse))), averaged over the pairs of videos with different grades.

    Burges et al., ICML 2005; with sigma and certain targets as in Burges, MSR-TR-2010-82, section 2.
    """
    margins, grades = _prepared(margins, grades)
    better = grades[:, None] > grades  # (n, n)
    return _pair_losses(margins, sigma)[better].sum() / better.sum().clamp(min=1)


def lambdarank(margins: Tensor, grades: Tensor, *, sigma: float = 1.0, k: int = 10) -> Tensor:
    """RankNet's losses, each times the change of nDCG@k if the two videos swapped places, summed over the pairs.

    Burges, MSR-TR-2010-82, section 4: the change has no gradient of its own, which makes the gradient of this sum the paper's
    lambdas. The gain is the grade itself, as in trec_eval and so in our nDCG@10; the paper has 2^grade - 1. Places are those of
    the margins, equal ones in the order given. The ideal is that of this group, not of all judged videos.
    """
    if k < 1:
        raise InputError(f"k = {k} looks at no video: nDCG@k needs a k of at least 1")
    margins, grades = _prepared(margins, grades)
    better = grades[:, None] > grades  # (n, n)
    return (_ndcg_changes(margins, grades, k) * _pair_losses(margins, sigma))[better].sum()


def listnet(margins: Tensor, grades: Tensor, *, tau: float = 1.0) -> Tensor:
    """Cross-entropy of softmax(grades) with softmax(margins / tau): who comes first, by the grades and by the margins.

    Cao et al., ICML 2007, section 4.2 (top one probability, exp). Its least value is the entropy of softmax(grades), not 0.
    Videos of one grade are drawn together; a single video has loss 0 and gradient 0.
    """
    margins, grades = _prepared(margins, grades)
    return -(softmax(grades, dim=0) * log_softmax(margins / tau, dim=0)).sum()


def _prepared(margins: Tensor, grades: Tensor) -> tuple[Tensor, Tensor]:
    check_one_group(margins, grades)
    if not (grades >= 0).all():
        raise InputError(f"grades must be 0 or more, got {grades.tolist()}: leave a video without a judgement out of the group")
    precise = at_least_32_bits(margins)
    return precise, grades.to(precise.dtype)


def _pair_losses(margins: Tensor, sigma: float) -> Tensor:
    """(n, n): the loss of the video of a row when it should stand above that of a column."""
    return softplus(-sigma * (margins[:, None] - margins))


def _ndcg_changes(margins: Tensor, grades: Tensor, k: int) -> Tensor:
    """(n, n): by how much nDCG@k changes when two videos swap their places in the ranking by margin."""
    places = margins.argsort(descending=True, stable=True).argsort()
    discounts = _discounts(grades, k)
    ideal = (grades.sort(descending=True).values * discounts).sum()
    found = discounts[places]
    changes = ((grades[:, None] - grades) * (found[:, None] - found)).abs()
    return changes / ideal.clamp(min=torch.finfo(ideal.dtype).tiny)  # 0 / 0 where nothing is relevant


def _discounts(grades: Tensor, k: int) -> Tensor:
    """1 / log2(rank + 1) for as many ranks, from 1, as there are grades; 0 below rank k."""
    ranks = torch.arange(1, len(grades) + 1, dtype=grades.dtype, device=grades.device)
    return (ranks <= k) / torch.log2(ranks + 1)
