"""Compare the margins that two backends give for the same prompts.

The tokens that the models read are compared first: where they differ, margins differ too.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from rankvideo_rag.models.vlm import VLM, LabelLogprobs, Prompt
from rankvideo_rag.schema import Record

Tokens = Literal["same", "different", "unknown"]


class PairAgreement(Record):
    """One prompt through both backends; a margin is None beside its reason."""

    first: float | None  # logp(yes) - logp(no), in nats
    second: float | None
    difference: float | None = None  # absolute; None where a margin is missing
    first_reason: str | None = None
    second_reason: str | None = None
    same_tokens: bool | None = None  # None where a backend does not report them


class BackendAgreement(Record):
    """Whether two backends agree, and why not.

    They agree when they read the same tokens (as far as they report them), when every pair has a margin from both or from
    neither, and at least one has, when no difference exceeds the tolerance, and when no two pairs whose margins differ by more
    than the tolerance change places.
    """

    first_name: str
    second_name: str
    tolerance: float  # nats
    tokens: Tokens
    pairs: tuple[PairAgreement, ...]
    largest: float | None  # absolute difference; None where no pair has margins from both
    order_identical: bool  # near-ties included
    agree: bool
    reasons: tuple[str, ...]  # why not


def compare_backends(
    first: VLM, second: VLM, prompts: Sequence[Prompt], labels: tuple[str, str], *, tolerance: float
) -> BackendAgreement:
    """Ask both backends for the margins of the labels (yes, no) of every prompt, and compare them."""
    same_tokens = _same_tokens(first, second, prompts)
    answers = first.label_logprobs(prompts, labels), second.label_logprobs(prompts, labels)
    rows = [_pair(one, other, same) for one, other, same in zip(*answers, same_tokens, strict=True)]
    return summarize_agreement(first.name, second.name, rows, tolerance=tolerance)


def summarize_agreement(
    first_name: str, second_name: str, pairs: Sequence[PairAgreement], *, tolerance: float
) -> BackendAgreement:
    """Decide whether two backends agree, from the margins that they gave."""
    largest = max((pair.difference for pair in pairs if pair.difference is not None), default=None)
    reasons = _disagreements(pairs, largest, tolerance)
    return BackendAgreement(
        first_name=first_name,
        second_name=second_name,
        tolerance=tolerance,
        tokens=_tokens({pair.same_tokens for pair in pairs}),
        pairs=tuple(pairs),
        largest=largest,
        order_identical=_count_swapped(pairs, 0.0) == 0,
        agree=not reasons,
        reasons=tuple(reasons),
    )


def _disagreements(pairs: Sequence[PairAgreement], largest: float | None, tolerance: float) -> list[str]:
    reasons = []
    if different := sum(pair.same_tokens is False for pair in pairs):
        reasons.append(f"they read different tokens in {different} pairs")
    if one_sided := sum((pair.first is None) != (pair.second is None) for pair in pairs):
        reasons.append(f"{one_sided} pairs have a margin from one of them only")
    if largest is None:
        reasons.append("no pair has a margin from both")
    elif largest > tolerance:
        reasons.append(f"the largest difference, {largest:.3g}, exceeds the tolerance of {tolerance:g}")
    if swapped := _count_swapped(pairs, tolerance):
        reasons.append(f"{swapped} times two pairs change places that lie further apart than the tolerance")
    return reasons


def _tokens(same: set[bool | None]) -> Tokens:
    if False in same:
        return "different"
    return "same" if same == {True} else "unknown"


def _pair(first: LabelLogprobs, second: LabelLogprobs, same_tokens: bool | None) -> PairAgreement:
    one, other = (None if answer.values is None else answer.values[0] - answer.values[1] for answer in (first, second))
    return PairAgreement(
        first=one,
        second=other,
        difference=None if one is None or other is None else abs(one - other),
        first_reason=first.reason,
        second_reason=second.reason,
        same_tokens=same_tokens,
    )


def _same_tokens(first: VLM, second: VLM, prompts: Sequence[Prompt]) -> list[bool | None]:
    """Compare what the backends read; only some report it: they have `token_ids`, which may still return None."""
    if not (hasattr(first, "token_ids") and hasattr(second, "token_ids")):
        return [None] * len(prompts)
    read = [(first.token_ids(prompt), second.token_ids(prompt)) for prompt in prompts]
    return [None if one is None or other is None else one == other for one, other in read]


def _count_swapped(pairs: Sequence[PairAgreement], apart: float) -> int:
    """Count the pairs of pairs, further apart than that by the first backend, that the second orders otherwise."""
    margins = [(pair.first, pair.second) for pair in pairs if pair.first is not None and pair.second is not None]
    return sum(
        abs(one[0] - other[0]) > apart and (one[0] - other[0]) * (one[1] - other[1]) <= 0
        for one, other in combinations(margins, 2)
    )
