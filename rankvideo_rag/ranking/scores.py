"""Turn a model's replies into scores, and scores into rankings.

A pair without a usable margin has a status and a reason, never a neutral number.
"""

import math
import time
from collections.abc import Mapping, Sequence

from rankvideo_rag.errors import ModelError
from rankvideo_rag.formats.trec import TrecRun
from rankvideo_rag.models.vlm import VLM, LabelLogprobs, Prompt
from rankvideo_rag.ranking.relevance import sigmoid
from rankvideo_rag.schema import Score

TIMED_OUT = Score(status="failed", reason="timeout: the time allowed for ranking was over before this clip's turn came")
_ROUNDING = 0.01  # nats by which the log of a probability near 1 may exceed 0


def score_prompts(
    vlm: VLM, prompts: Sequence[Prompt], labels: tuple[str, str], *, deadline: float | None = None
) -> list[Score]:
    """Score each prompt, in the order given, in as few calls as succeed.

    A call that fails, or that does not return one reply for each prompt, is repeated for each half: a prompt that breaks the
    model, or too many at once, does not cost other prompts their scores. Only a prompt that fails alone is `failed`. No call
    begins after `deadline`, a moment of `time.monotonic()`.
    """
    if not prompts:
        return []
    if deadline_passed(deadline):
        return [TIMED_OUT] * len(prompts)
    try:
        replies = vlm.label_logprobs(prompts, labels)
        if len(replies) != len(prompts):
            raise ModelError(f"{vlm.name} gave {len(replies)} replies for {len(prompts)} prompts")
    except ModelError as error:
        if len(prompts) == 1:
            return [Score(status="failed", reason=f"model: {error}")]
        half = len(prompts) // 2
        return [
            score for part in (prompts[:half], prompts[half:]) for score in score_prompts(vlm, part, labels, deadline=deadline)
        ]
    return [score_from_logprobs(reply) for reply in replies]


def score_from_logprobs(reply: LabelLogprobs) -> Score:
    """Return the margin of the log-probabilities of (yes, no), in nats; a Score without a margin where they cannot be used.

    >>> round(score_from_logprobs(LabelLogprobs((math.log(0.35), math.log(0.10)))).p_yes, 6)  # = 0.35 / 0.45
    0.777778
    """
    if reply.values is None:
        return Score(status="abstained" if reply.abstained else "failed", reason=reply.reason or "no log-probabilities")
    if fault := _find_fault(reply.values):
        return Score(status="failed", reason=fault)
    yes, no = map(float, reply.values)
    return score_from_margin(yes - no).model_copy(update={"logprob_yes": yes, "logprob_no": no})


def score_from_margin(margin: float) -> Score:
    """Return the score of a finite margin in nats, with its p_yes."""
    return Score(margin=float(margin), p_yes=sigmoid(margin))


def deadline_passed(deadline: float | None) -> bool:
    """Return whether this moment of `time.monotonic()` has passed; None never does."""
    return deadline is not None and time.monotonic() >= deadline


def explain_unscored(scores: Sequence[Score]) -> Score:
    """Return one of several scores without a margin that stands for all: a failed one if there is one."""
    return next((score for score in scores if score.status == "failed"), scores[0])


def rank_by_margin(scores: Sequence[Score]) -> list[int]:
    """Return positions by margin, best first; those without a margin come last; ties keep the order given."""
    return rank_by_score([score.margin for score in scores])


def rank_by_score(scores: Sequence[float | None]) -> list[int]:
    """Return positions by score, best first; those without one come last; ties keep the order given.

    >>> rank_by_score([0.2, None, 0.9, 0.2])
    [2, 0, 3, 1]
    """
    return sorted(range(len(scores)), key=lambda place: (scores[place] is None, -(scores[place] or 0.0)))


def first_stage_order(run: TrecRun) -> dict[str, list[str]]:
    """Return each query's videos by score, best first, equal scores in order of id.

    This is how RankVideo's evaluation orders them; trec_eval breaks ties by descending id (see `formats.trec`).
    """
    return {query: sorted(scores, key=lambda video: (-scores[video], video)) for query, scores in run.items()}


def rerank_by_margin(first_stage: Sequence[str], margins: Mapping[str, float | None], *, depth: int | None = None) -> list[str]:
    """Sort the first `depth` videos by margin; ties, and those without a margin, which come last, keep their order.

    >>> rerank_by_margin(["a", "b", "c", "d"], {"a": None, "b": -1.0, "c": 2.0, "d": 9.0}, depth=3)
    ['c', 'b', 'a', 'd']
    """
    block = list(first_stage[:depth])
    order = rank_by_margin([Score(margin=margins.get(video)) for video in block])
    return [*(block[i] for i in order), *first_stage[len(block) :]]


def _find_fault(values: tuple[float, ...]) -> str | None:
    if len(values) != 2:
        return f"log-probabilities {values}: one of yes and one of no are needed"
    if not math.isfinite(values[0] - values[1]):
        return f"log-probabilities {values} give no finite margin"
    if max(values) > _ROUNDING:
        return f"log-probabilities {values}: the logarithm of a probability is never above 0"
    return None
