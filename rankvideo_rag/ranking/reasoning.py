"""Reasoning on demand (adaptive allocation, arXiv 2602.02444): a written rationale for the pairs whose verdict is in doubt.

The model watches, writes, and its verdict is read again after what it wrote. Knows no files: it is given prompts.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import Field

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.ranking.scores import deadline_passed, score_prompts
from rankvideo_rag.schema import Record, Score
from rankvideo_rag.text import clean

_TAG = "<answer>"


class MarginBand(NamedTuple):
    """Margins that are in doubt: those strictly between these two, in nats. None: no bound on that side."""

    low: float | None
    high: float | None

    def holds(self, margin: float) -> bool:
        """Whether this margin is in doubt."""
        return (self.low is None or margin > self.low) and (self.high is None or margin < self.high)


class Reasoning(Record):
    """Which pairs are reasoned about, and how long.

    The default band is p_yes between 0.12 and 0.88. It is a guess that serves a model of unknown calibration: use
    `calibrate_band` where there are labelled pairs. A spec that reads at `first_token` puts its verdicts before and after a
    rationale on two scales; one that reads `after_answer_tag` has one.
    """

    mode: Literal["never", "auto", "always"] = "never"
    band: MarginBand = MarginBand(-2.0, 2.0)  # counts in auto
    max_tokens: int = Field(256, ge=1)  # of one rationale

    def wants(self, score: Score) -> bool:
        """Whether the pair with this first verdict is to be reasoned about."""
        if self.mode == "never" or score.margin is None:
            return False
        return self.mode == "always" or self.band.holds(score.margin)


NO_REASONING = Reasoning()


def rescore_with_reasoning(
    vlm: VLM,
    prompts: Sequence[Prompt],
    scores: Sequence[Score],
    labels: tuple[str, str],
    *,
    reasoning: Reasoning,
    deadline: float | None = None,
) -> list[Score]:
    """The scores, those in doubt replaced by the verdict after a rationale.

    Where no rationale could be had, or no verdict after it, the first verdict stays, with the reason. `deadline` is that of
    `ask`.
    """
    doubtful = [i for i, score in enumerate(scores) if reasoning.wants(score)]
    if deadline_passed(deadline):
        return list(scores)
    written = generate_each(vlm, [prompts[i]._replace(prefill="") for i in doubtful], max_tokens=reasoning.max_tokens)
    reread = [(i, text) for i, text in zip(doubtful, written, strict=True) if isinstance(text, Generation)]
    verdicts = score_prompts(
        vlm, [prompts[i]._replace(prefill=_prefill(text.text)) for i, text in reread], labels, deadline=deadline
    )
    found = list(scores)
    for i, fault in zip(doubtful, written, strict=True):
        if isinstance(fault, ModelError):
            found[i] = scores[i].model_copy(update={"reason": f"no rationale: {fault}"})
    for (i, text), verdict in zip(reread, verdicts, strict=True):
        found[i] = _reasoned(scores[i], verdict, text)
    return found


def reasoned_share(scores: Sequence[Score]) -> float | None:
    """The share of the pairs with a verdict that were reasoned about; None where there is no verdict."""
    judged = [score for score in scores if score.margin is not None]
    return sum(score.rationale is not None for score in judged) / len(judged) if judged else None


def calibrate_band(margins: Sequence[float], relevant: Sequence[bool], *, max_error: float = 0.05) -> MarginBand:
    """The narrowest band outside which, on these labelled pairs, a verdict by the margin's sign is wrong at most that often.

    From 0 outwards on each side: the upper end is the least bound, 0 or a margin above it, such that of the pairs at or
    above it a share of at most `max_error` is irrelevant; the lower end the greatest, 0 or a margin below it, such that of
    the pairs at or below it at most that share is relevant. A side that no bound makes good enough has none.

    >>> calibrate_band([-3, -1, -0.5, 0.5, 1, 3], [False, False, True, False, True, True], max_error=0)
    MarginBand(low=-1, high=1)
    """
    if len(margins) != len(relevant):
        raise InputError(f"{len(margins)} margins and {len(relevant)} labels: one label for each margin is needed")
    if not 0 <= max_error < 1:
        raise InputError(f"max_error = {max_error}: a share from 0 up to, but not including, 1 is needed")
    high = _least_bound(margins, [not label for label in relevant], max_error)
    low = _least_bound([-margin for margin in margins], list(relevant), max_error)
    return MarginBand(None if low is None else -low or 0.0, high)


def _least_bound(margins: Sequence[float], wrong: Sequence[bool], max_error: float) -> float | None:
    for bound in sorted({0.0, *(margin for margin in margins if margin > 0)}):
        beyond = [fault for margin, fault in zip(margins, wrong, strict=True) if margin >= bound]
        if beyond and sum(beyond) <= max_error * len(beyond):
            return bound
    return None


def _rationale(text: str) -> str:
    # What the model decided by itself is cut off: the verdict is read as log-probabilities, not as a word. Words that it
    # copied from the picture must not act as control tokens.
    return clean(text.partition(_TAG)[0])


def _prefill(text: str) -> str:
    rationale = _rationale(text)
    return f"{rationale}\n{_TAG}" if rationale else _TAG


def _reasoned(first: Score, verdict: Score, text: Generation) -> Score:
    wrote = {"rationale": _rationale(text.text), "tokens": text.tokens}
    if verdict.margin is None:
        return first.model_copy(update=wrote | {"reason": f"no verdict after the rationale: {verdict.reason}"})
    return verdict.model_copy(update=wrote)
