"""Generate a rationale for pairs whose margin is in doubt, and score them after it (adaptive reasoning, arXiv 2602.02444)."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.ranking.scores import deadline_passed, score_prompts
from rankvideo_rag.schema import Record, Score
from rankvideo_rag.settings import Settings
from rankvideo_rag.text import clean

_TAG = "<answer>"


class MarginBand(NamedTuple):
    """Margins in doubt: those strictly between these two, in nats. None: no bound on that side."""

    low: float | None
    high: float | None

    def contains(self, margin: float) -> bool:
        """Return whether this margin is in doubt."""
        return (self.low is None or margin > self.low) and (self.high is None or margin < self.high)


class Reasoning(Record):
    """For which pairs a rationale is generated, and how long it may be.

    The default band is p_yes between 0.12 and 0.88, a guess for a model of unknown calibration: use `calibrate_band` where
    there are labelled pairs. With a spec that reads at `first_token`, margins before and after a rationale are on two scales;
    with one that reads `after_answer_tag` they are on one.
    """

    mode: Literal["never", "auto", "always"] = "never"
    band: MarginBand = MarginBand(-2.0, 2.0)  # used with auto
    max_tokens: int = Field(256, ge=1)  # of one rationale

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the reasoning that these settings ask for."""
        return cls(mode=settings.reasoning, band=MarginBand(settings.reasoning_low, settings.reasoning_high))

    def applies_to(self, score: Score) -> bool:
        """Return whether the pair with this first score gets a rationale."""
        if self.mode == "never" or score.margin is None:
            return False
        return self.mode == "always" or self.band.contains(score.margin)


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
    """Return the scores, those in doubt replaced by the score after a rationale.

    Where there is no rationale, or no score after it, the first score stays, with the reason. `deadline` is as in
    `score_prompts`.
    """
    doubtful = [i for i, score in enumerate(scores) if reasoning.applies_to(score)]
    if deadline_passed(deadline):
        return list(scores)
    generated = generate_each(vlm, [prompts[i]._replace(prefill="") for i in doubtful], max_tokens=reasoning.max_tokens)
    texts = {i: text for i, text in zip(doubtful, generated, strict=True) if isinstance(text, Generation)}
    reread = [prompts[i]._replace(prefill=_prefill(text.text)) for i, text in texts.items()]
    rescored = dict(zip(texts, score_prompts(vlm, reread, labels, deadline=deadline), strict=True))
    found = list(scores)
    for i, text in zip(doubtful, generated, strict=True):
        if isinstance(text, ModelError):
            found[i] = scores[i].model_copy(update={"reason": f"no rationale: {text}"})
        else:
            found[i] = _with_rationale(scores[i], rescored[i], text)
    return found


def reasoned_share(scores: Sequence[Score]) -> float | None:
    """Return the share of the pairs with a margin that have a rationale; None where no pair has a margin."""
    scored = [score for score in scores if score.margin is not None]
    return sum(score.rationale is not None for score in scored) / len(scored) if scored else None


def calibrate_band(margins: Sequence[float], relevant: Sequence[bool], *, max_error: float = 0.05) -> MarginBand:
    """Return the narrowest band outside which the sign of the margin is wrong at most that often, on labelled pairs.

    From 0 outwards on each side: the upper end is the least bound, 0 or a margin above it, such that of the pairs at or above
    it a share of at most `max_error` is irrelevant; the lower end is the greatest bound, 0 or a margin below it, such that of
    the pairs at or below it at most that share is relevant. A side without such a bound has none. Raises InputError for
    arguments that do not fit together.

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
        beyond = [error for margin, error in zip(margins, wrong, strict=True) if margin >= bound]
        if beyond and sum(beyond) <= max_error * len(beyond):
            return bound
    return None


def _rationale(text: str) -> str:
    # An answer that the model generated itself is cut off: the score is read from log-probabilities, not from text. `clean`
    # keeps text that it copied from the picture from acting as control tokens.
    return clean(text.partition(_TAG)[0])


def _prefill(text: str) -> str:
    rationale = _rationale(text)
    return f"{rationale}\n{_TAG}" if rationale else _TAG


def _with_rationale(first: Score, second: Score, text: Generation) -> Score:
    fields = {"rationale": _rationale(text.text), "tokens": text.tokens}
    if second.margin is None:
        return first.model_copy(update=fields | {"reason": f"no score after the rationale: {second.reason}"})
    return second.model_copy(update=fields)
