"""Evidence plans: the clips shown together, and dealt into hands; of the answers they lead to, the one that is best supported.

A plan is a set of clips (plan-guided generation, arXiv 2305.17779, plans with parts of sentences). A clip that misleads
spoils only the plans that hold it. Support is measured from words and margins. This file knows neither LlamaIndex nor models.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import Answer, Citation


class Strength(NamedTuple):
    """How well an answer is supported; greater is better, the first that differs decides."""

    answered: bool
    written: bool  # by the model, and not quoted in its place
    held: float  # share of the statements that hold
    support: float  # by words; 0 where pictures alone bear it out
    margin: float  # mean of the cited clips' margins, in nats; a clip that was not judged counts 0
    claims: int


def deal(evidence: Sequence[Evidence], plans: int) -> list[list[Evidence]]:
    """Up to that many plans: all clips together, then hands as cards are dealt, so that the best clips are in different ones.

    There are never fewer than two hands to deal into, never more than clips, and no plan comes twice.
    """
    hands = min(max(plans - 1, 2), len(evidence))
    dealt = [list(evidence[first::hands]) for first in range(hands)] if hands > 1 else []
    return [list(evidence), *dealt[: plans - 1]]


def strength(answer: Answer, evidence: Sequence[Evidence]) -> Strength:
    """How well the words and margins of the evidence support an answer."""
    written = len(answer.claims) + len(answer.removed_claims)
    holding = [claim for claim in answer.claims if claim.status != "unsupported"]
    margins = [_margin(citation, evidence) for citation in answer.citations]
    return Strength(
        answer.answered,
        answer.reason is None,
        len(holding) / written if written else 0.0,
        answer.support or 0.0,
        sum(margins) / len(margins) if margins else 0.0,
        len(holding),
    )


def best(answers: Sequence[Answer], evidence: Sequence[Evidence]) -> Answer:
    """The best supported answer; of equal ones the first."""
    return max(answers, key=lambda answer: strength(answer, evidence))


def _margin(citation: Citation, evidence: Sequence[Evidence]) -> float:
    clips = (e for e in evidence if e.holds(citation))
    return next((clip.margin for clip in clips if clip.margin is not None), 0.0)
