"""Answer from several subsets of the evidence and keep the best supported answer.

A misleading clip affects only the subsets that contain it (after plan-guided generation, arXiv 2305.17779, where plans
contain parts of sentences). Support is measured from text and margins.
"""

from collections.abc import Sequence

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import Answer, Citation, LLMStatus

_ORDER: tuple[LLMStatus, ...] = ("unused", "declined", "failed", "rejected", "answered")  # from the worst


def split_evidence(evidence: Sequence[Evidence], count: int) -> list[list[Evidence]]:
    """Return up to `count` subsets: all clips, then disjoint subsets that clips are assigned to in turn.

    There are at least two disjoint subsets, at most one for each clip, and no subset occurs twice.
    """
    parts = min(max(count - 1, 2), len(evidence))
    disjoint = [list(evidence[first::parts]) for first in range(parts)] if parts > 1 else []
    return [list(evidence), *disjoint[: count - 1]]


def measure_strength(answer: Answer, evidence: Sequence[Evidence]) -> tuple[float, ...]:
    """Return how well an answer is supported: greater is better, compared number by number.

    These are: what became of the model's answer, whether the archive answers, the share of supported claims, their
    support by text, the mean margin of the cited clips in nats (0 for a clip without a score), and the number of claims.
    """
    written = len(answer.claims) + len(answer.removed_claims)
    supported = sum(claim.status in ("quoted", "cited", "seen") for claim in answer.claims)
    margins = [_margin(citation, evidence) for citation in answer.citations]
    share = supported / written if written else 0.0
    margin = sum(margins) / len(margins) if margins else 0.0
    return (_ORDER.index(answer.llm_status), answer.answered, share, answer.support or 0.0, margin, supported)


def select_best(answers: Sequence[Answer], evidence: Sequence[Evidence]) -> Answer:
    """Return the best supported answer; of equal ones, the first.

    If the model says that all of the evidence (the first subset) does not answer, only claims from another subset win over it.
    """
    best = max(answers, key=lambda answer: measure_strength(answer, evidence))
    return answers[0] if answers[0].llm_status == "declined" and best.llm_status != "answered" else best


def _margin(citation: Citation, evidence: Sequence[Evidence]) -> float:
    margins = (piece.margin for piece in evidence if piece.contains(citation))
    return next((margin for margin in margins if margin is not None), 0.0)
