"""From a model's reply to a Score, and from Scores to an order. Knows no clips, files or windows.

A pair without a usable margin has a status and a reason; it never gets a middling number.
"""

import math
import time
from collections.abc import Sequence

from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.vlm import VLM, LabelLogprobs, Prompt
from rankvideo_rag.schema import Score

TIMED_OUT = Score(status="failed", reason="timeout: the time allowed for ranking was over before this clip's turn came")
_ROUNDING = 0.01  # nats by which the log of a probability near 1 may come out above 0


def score_prompts(
    vlm: VLM, prompts: Sequence[Prompt], labels: tuple[str, str], *, deadline: float | None = None
) -> list[Score]:
    """A score for each prompt, in the order given, from as few calls as go well.

    A call that fails, or whose replies are not one for each prompt, is made again for each half: a prompt that breaks the
    model, or too many at once, costs no other its score. Only what fails alone is `failed`. No call begins after `deadline`,
    a moment of `time.monotonic()`.
    """
    if not prompts:
        return []
    if deadline_passed(deadline):
        return [TIMED_OUT] * len(prompts)
    try:
        replies = vlm.label_logprobs(prompts, labels)
        if len(replies) != len(prompts):
            raise ModelError(f"{vlm.name} gave {len(replies)} verdicts for {len(prompts)} prompts")
    except ModelError as error:
        if len(prompts) == 1:
            return [Score(status="failed", reason=f"model: {error}")]
        half = len(prompts) // 2
        return [
            found for part in (prompts[:half], prompts[half:]) for found in score_prompts(vlm, part, labels, deadline=deadline)
        ]
    return [score_from_logprobs(reply) for reply in replies]


def score_from_logprobs(reply: LabelLogprobs) -> Score:
    """The margin of log-probabilities of (yes, no), in nats; a Score without a margin where they cannot be used.

    >>> round(score_from_logprobs(LabelLogprobs((math.log(0.35), math.log(0.10)))).p_yes, 6)  # = 0.35 / 0.45
    0.777778
    """
    if reply.values is None:
        return Score(status="abstained" if reply.abstained else "failed", reason=reply.reason or "no log-probabilities")
    fault = _fault(reply.values)
    if fault:
        return Score(status="failed", reason=fault)
    yes, no = map(float, reply.values)
    return score_from_margin(yes - no).model_copy(update={"logprob_yes": yes, "logprob_no": no})


def score_from_margin(margin: float) -> Score:
    """The score of a finite margin, with its p_yes."""
    # exp of a positive number would overflow beyond 709.
    p_yes = 1.0 / (1.0 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1.0 + math.exp(margin))
    return Score(margin=float(margin), p_yes=p_yes)


def deadline_passed(deadline: float | None) -> bool:
    """Whether this moment of `time.monotonic()` has passed; None never does."""
    return deadline is not None and time.monotonic() >= deadline


def explain_unscored(scores: Sequence[Score]) -> Score:
    """What is to be said of several scores of which none has a margin: failed where one of them failed."""
    return next((score for score in scores if score.status == "failed"), scores[0])


def rank_by_margin(scores: Sequence[Score], *, keep_below: float | None = None) -> list[int]:
    """Positions by margin, best first; those without a margin last; ties and the unscored keep the order given.

    Where no margin reaches `keep_below` the order given stays: the picture answers nothing here, but words may.
    """
    if keep_below is not None and all(score.margin is None or score.margin < keep_below for score in scores):
        return list(range(len(scores)))
    return sorted(range(len(scores)), key=lambda i: (scores[i].margin is None, -(scores[i].margin or 0.0)))


def _fault(values: tuple[float, ...]) -> str | None:
    if len(values) != 2:
        return f"log-probabilities {values}: one of yes and one of no are needed"
    if not math.isfinite(values[0] - values[1]):
        return f"log-probabilities {values} give no finite margin"
    if max(values) > _ROUNDING:
        return f"log-probabilities {values}: a logarithm of a probability is never above 0"
    return None
