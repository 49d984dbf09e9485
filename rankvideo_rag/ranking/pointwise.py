"""RankVideo's pointwise verdict (arXiv 2602.02444, section 3): score = logp(yes) - logp(no) for one question and one clip.

A clip that cannot be judged has no margin, a status and a reason; it never gets a middling number.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.media import Frames, Limits, read_frames
from rankvideo_rag.schema import Score
from rankvideo_rag.vlm import VLM, LabelLogprobs, Prompt
from rankvideo_rag.vlm.prompts import PromptSpec


class Footage(NamedTuple):
    """A span of a file, to be watched; None stands for its beginning or end."""

    path: str
    start: float | None = None  # seconds
    end: float | None = None


def judge(
    vlm: VLM,
    spec: PromptSpec,
    question: str,
    clips: Sequence[Footage],
    *,
    batch_size: int = 4,
    limits: Limits = Limits(),
) -> list[Score]:
    """A score for each clip, in the order given. Equal clips are watched once; at most `batch_size` are held in memory."""
    distinct = list(dict.fromkeys(clips))
    scores: dict[Footage, Score] = {}
    for i in range(0, len(distinct), batch_size):
        batch = distinct[i : i + batch_size]
        scores |= zip(batch, _judge_batch(vlm, spec, question, batch, limits), strict=True)
    return [scores[clip] for clip in clips]


def _judge_batch(vlm: VLM, spec: PromptSpec, question: str, clips: Sequence[Footage], limits: Limits) -> list[Score]:
    watched = [_watch(spec, clip, limits) for clip in clips]
    prompts = [spec.prompt(question, frames) for frames in watched if isinstance(frames, Frames)]
    verdicts = iter(_ask(vlm, spec, prompts))
    return [next(verdicts) if isinstance(frames, Frames) else frames for frames in watched]


def _watch(spec: PromptSpec, clip: Footage, limits: Limits) -> Frames | Score:
    try:
        return read_frames(clip.path, clip.start, clip.end, **spec.frames.model_dump(), limits=limits)
    except MediaError as error:
        # A recording without a picture is no fault: there is nothing to watch.
        status = "abstained" if error.code == "no_video" else "failed"
        return Score.model_validate({"status": status, "reason": f"{error.code}: {error}"})


def _ask(vlm: VLM, spec: PromptSpec, prompts: Sequence[Prompt]) -> list[Score]:
    if not prompts:
        return []
    try:
        replies = vlm.label_logprobs(prompts, spec.labels)
    except ModelError as error:
        return [Score(status="failed", reason=f"model: {error}")] * len(prompts)
    if len(replies) != len(prompts):
        raise ModelError(f"{vlm.name} gave {len(replies)} verdicts for {len(prompts)} clips")
    return [score(reply) for reply in replies]


def score(reply: LabelLogprobs) -> Score:
    """The margin of log-probabilities of (yes, no), in nats; a Score without a margin where they are missing or not finite.

    >>> round(score(LabelLogprobs((math.log(0.35), math.log(0.10)))).p_yes, 6)  # = 0.35 / 0.45
    0.777778
    """
    if reply.values is None:
        return Score(status="abstained" if reply.abstained else "failed", reason=reply.reason or "no log-probabilities")
    margin = reply.values[0] - reply.values[1]
    if not math.isfinite(margin):
        return Score(status="failed", reason=f"log-probabilities {reply.values} give no finite margin")
    return Score(margin=margin, p_yes=_sigmoid(margin))


def _sigmoid(x: float) -> float:
    # exp of a positive number would overflow beyond 709.
    return 1.0 / (1.0 + math.exp(-x)) if x >= 0 else math.exp(x) / (1.0 + math.exp(x))


def order(scores: Sequence[Score]) -> list[int]:
    """Positions by margin, best first; those without a margin last; ties and the unscored keep the order given."""
    return sorted(range(len(scores)), key=lambda i: (scores[i].margin is None, -(scores[i].margin or 0.0)))
