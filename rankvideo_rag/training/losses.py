"""RankVideo's objective for stage two (arXiv 2602.02444): a ranking, a teacher's and a pointwise loss over one query's videos.

Margins are logp(yes) - logp(no) at the place where the answer begins, in nats. Pure functions of tensors: they know no model,
no trainer and no files.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from rankvideo_rag.errors import InputError

# The paper and its code differ in one weight. `ranking_loss` has the paper's: `ranking_loss(…, **REPOSITORY)` has the code's.
REPOSITORY: Mapping[str, float] = MappingProxyType({"lambda_pointwise": 1.0})

NEGATIVE_TARGET, NEGATIVE_WEIGHT = 0.10, 0.5  # of the pointwise loss; positives have 1 and 1


def ranking_loss(
    margins: Tensor,  # (n,) floating point
    labels: Tensor,  # (n,) relevant from 1
    teacher_probabilities: Tensor,  # (n,) the teacher's p(yes); below 0 where there is none
    *,
    tau_pair: float = 10.0,
    tau_teacher: float = 5.0,
    tau_pointwise: float = 1.0,
    lambda_teacher: float = 5.0,
    lambda_pointwise: float = 0.5,
) -> Tensor:
    """The loss of one query's group of videos, a scalar: pair + lambda_teacher * teacher + lambda_pointwise * pointwise.

    A group without a relevant video, or with nothing else, has no order to learn: its loss is the plain binary cross-entropy
    of margins and labels, as in the published code; teacher and temperatures play no part then.

    Computed in at least 32 bits. Raises InputError for tensors that are not of one and the same length, or empty.
    """
    check_one_group(margins, labels, teacher_probabilities)
    relevant = labels >= 1
    if relevant.all() or not relevant.any():
        return bce_yes_no(margins, labels)
    pair = pairwise_softmax(margins, labels, tau=tau_pair)
    teacher = teacher_distillation(margins, teacher_probabilities, tau=tau_teacher)
    pointwise = weighted_pointwise(margins, labels, tau=tau_pointwise)
    return pair + lambda_teacher * teacher + lambda_pointwise * pointwise


def pairwise_softmax(margins: Tensor, labels: Tensor, *, tau: float = 10.0) -> Tensor:
    """-log of the share that a softmax over the group gives each relevant video, averaged over these.

    Raises InputError for a group without a relevant video. Without any other, one relevant video has loss 0 and gradient 0,
    and several are drawn together.
    """
    check_one_group(margins, labels)
    relevant = labels >= 1
    if not relevant.any():
        raise InputError(
            f"none of the {len(labels)} videos is relevant: the softmax loss needs one (ranking_loss does without)"
        )
    return -log_softmax(at_least_32_bits(margins) / tau, dim=0)[relevant].mean()


def teacher_distillation(margins: Tensor, teacher_probabilities: Tensor, *, tau: float = 5.0) -> Tensor:
    """Binary cross-entropy of margins / tau with the teacher's p(yes), over the videos that have one; 0 if none has.

    A probability below 0 means that there is none; one above 1 counts as 1. Raises InputError for one that is nan.
    """
    check_one_group(margins, teacher_probabilities)
    if teacher_probabilities.isnan().any():
        raise InputError("a teacher's probability is nan: write -1 where the teacher said nothing")
    known = teacher_probabilities >= 0
    logits = at_least_32_bits(margins)[known] / tau
    targets = teacher_probabilities[known].to(logits.dtype).clamp(max=1.0)
    # The sum over nothing is 0 and has a gradient; the mean would be nan.
    return binary_cross_entropy_with_logits(logits, targets, reduction="sum") / max(len(logits), 1)


def weighted_pointwise(margins: Tensor, labels: Tensor, *, tau: float = 1.0) -> Tensor:
    """Weighted binary cross-entropy of margins / tau, divided by the number of videos, not by the sum of weights.

    A relevant video has target 1 and weight 1, any other target 0.10 and weight 0.5: negatives are often unjudged positives.
    """
    check_one_group(margins, labels)
    logits = at_least_32_bits(margins) / tau
    relevant = labels >= 1
    targets = torch.where(relevant, 1.0, NEGATIVE_TARGET).to(logits.dtype)
    weights = torch.where(relevant, 1.0, NEGATIVE_WEIGHT).to(logits.dtype)
    return binary_cross_entropy_with_logits(logits, targets, weight=weights)


def bce_yes_no(margins: Tensor, labels: Tensor) -> Tensor:
    """-log p(yes) of a relevant video, -log p(no) of any other, averaged over the group; p(yes) = sigmoid(margin).

    Each video is judged alone ("SFT" in Dai et al., arXiv 2510.14824, over the two labels instead of the whole vocabulary), so
    that a group of one video, or of one label, is like any other.
    """
    check_one_group(margins, labels)
    logits = at_least_32_bits(margins)
    return binary_cross_entropy_with_logits(logits, (labels >= 1).to(logits.dtype))


def at_least_32_bits(tensor: Tensor) -> Tensor:
    """Half precision made float32; float32 and float64 as they are."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def check_one_group(*tensors: Tensor) -> None:
    """Raise InputError unless all tensors are (n,), of one n above 0."""
    shapes = [tuple(tensor.shape) for tensor in tensors]
    if len(set(shapes)) > 1 or len(shapes[0]) != 1 or shapes[0] == (0,):
        raise InputError(f"one number for each video of a query is needed, in tensors of one length; got shapes {shapes}")
