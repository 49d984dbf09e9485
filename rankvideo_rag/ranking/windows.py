"""How a long clip is divided into windows, and how their scores become one: arithmetic on seconds and margins.

Nothing here watches; `long_clips` does.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from rankvideo_rag.ranking.scores import explain_unscored, score_from_margin
from rankvideo_rag.schema import Record, Score

_LEAST_FRAMES = 2  # of a coarse look


class Span(NamedTuple):
    """A part of a file."""

    start: float  # seconds
    end: float


class Windowing(Record):
    """How a long clip is divided, how many windows are looked at closely, and how their margins become one.

    Where there are more than `max_windows`, all are first looked at coarsely, with as few frames that this look costs no
    more frames than the close one: at most 2 * max_windows * (frames of the spec) for a question and a clip. Where two frames
    a window would be too many for that, neighbours are looked at together.
    """

    seconds: float | None = Field(None, gt=0)  # length of a window; None: the whole clip at once
    overlap: float = Field(0.0, ge=0)  # seconds shared by neighbours
    max_windows: int | None = Field(None, ge=1)  # looked at closely, per question; None: all
    aggregate: Literal["max", "noisy-or", "top-mean"] = "max"
    top: int = Field(3, ge=1)  # windows that top-mean takes the mean of

    @model_validator(mode="after")
    def _overlap_is_shorter(self) -> Self:
        if self.seconds is not None and self.overlap >= self.seconds:
            raise ValueError(f"overlap ({self.overlap} s) must be less than seconds ({self.seconds} s)")
        return self


NO_WINDOWS = Windowing()


def plan_windows(start: float, end: float, windows: Windowing) -> list[Span]:
    """Windows of equal length that cover [start, end) seconds; the last is moved back to end with it.

    >>> [tuple(span) for span in plan_windows(0, 75, Windowing(seconds=30))]
    [(0, 30), (30, 60), (45, 75)]
    """
    if windows.seconds is None or end - start <= windows.seconds:
        return [Span(start, end)]
    step = windows.seconds - windows.overlap
    count = 1 + math.ceil((end - start - windows.seconds) / step - 1e-9)  # 0.1 + 0.2 s is no window more than 0.3 s
    starts = [start + i * step for i in range(count - 1)] + [end - windows.seconds]
    return [Span(round(first, 3), round(first + windows.seconds, 3)) for first in starts]


class CoarsePlan(NamedTuple):
    """A coarse look at a clip."""

    frames: int  # of each part
    parts: dict[Span, list[Span]]  # part that is looked at -> the windows in it


def plan_coarse_pass(spans: Sequence[Span], *, budget: int, most_frames: int) -> CoarsePlan:
    """Windows looked at with as many frames each as `budget` frames allow; neighbours together where that is too few."""
    together = math.ceil(len(spans) / max(budget // _LEAST_FRAMES, 1))
    groups = [list(spans[i : i + together]) for i in range(0, len(spans), together)]
    frames = budget // len(groups) // 2 * 2  # a video model takes frames by twos
    parts = {Span(group[0].start, group[-1].end): group for group in groups}
    return CoarsePlan(min(max(frames, _LEAST_FRAMES), most_frames), parts)


def combine_windows(scores: Mapping[Span, Score], windows: Windowing) -> Score:
    """One score from those of a clip's windows; start and end, and the rationale, are those of the window with the best margin.

    Windows without a margin are left out, and said in `reason`; where none has one, there is none.
    """
    judged = {span: score for span, score in scores.items() if score.margin is not None}
    left_out = [score for span, score in scores.items() if span not in judged]
    tokens = sum(score.tokens for score in scores.values())
    if not judged:
        return explain_unscored(left_out).model_copy(update={"tokens": tokens})
    best = max(judged, key=lambda span: (judged[span].margin, -span.start))
    margin = _AGGREGATES[windows.aggregate]([score.margin for score in judged.values() if score.margin is not None], windows)
    whole = judged[best] if windows.aggregate == "max" else score_from_margin(margin)
    reason = f"{len(left_out)} of {len(scores)} windows not judged, first: {left_out[0].reason}" if left_out else None
    return whole.model_copy(
        update={
            "start": best.start,
            "end": best.end,
            "rationale": judged[best].rationale,
            "tokens": tokens,
            "reason": reason or judged[best].reason,
        }
    )


def noisy_or(margins: Sequence[float]) -> float:
    """The log-odds that at least one of independent yes-or-no events happens, from the log-odds of each.

    >>> round(noisy_or([0.0, 0.0]), 6)  # 1 - 1/2 * 1/2 = 3/4, odds of 3
    1.098612
    """
    none_happens = sum(_softplus(margin) for margin in margins)  # -log of the probability
    if none_happens < 1e-9:  # the odds are then their sum, and expm1 might underflow
        most = max(margins)
        return most + math.log(sum(math.exp(margin - most) for margin in margins))
    return none_happens + math.log(-math.expm1(-none_happens))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _top_mean(margins: Sequence[float], top: int) -> float:
    best = sorted(margins, reverse=True)[:top]
    return sum(best) / len(best)


_AGGREGATES: dict[str, Callable[[Sequence[float], Windowing], float]] = {
    "max": lambda margins, windows: max(margins),
    "noisy-or": lambda margins, windows: noisy_or(margins),
    "top-mean": lambda margins, windows: _top_mean(margins, windows.top),
}
