"""Divide long clips into windows, and combine the windows' scores: arithmetic on seconds and margins."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Self

from pydantic import Field, model_validator

from rankvideo_rag.ranking.scores import explain_unscored, score_from_margin
from rankvideo_rag.schema import Record, Score
from rankvideo_rag.settings import Settings, WindowAggregate

_MIN_FRAMES = 2  # of a part of the coarse pass


class Span(NamedTuple):
    """A part of a file."""

    start: float  # seconds
    end: float


class Windowing(Record):
    """How a long clip is divided, how many windows are scored at full detail, and how their margins are combined.

    Where there are more than `max_windows`, a coarse pass scores all of them first, with so few frames that it costs no more
    frames than the pass at full detail: at most 2 * max_windows * (frames of the spec) for a question and a clip. Where two
    frames for each window are too many for that, neighbouring windows are scored together.
    """

    seconds: float | None = Field(None, gt=0)  # length of a window; None: the whole clip at once
    overlap: float = Field(0.0, ge=0)  # seconds shared by neighbours
    max_windows: int | None = Field(None, ge=1)  # scored at full detail, per question; None: all
    aggregate: WindowAggregate = "max"
    top: int = Field(3, ge=1)  # windows that top-mean averages

    @model_validator(mode="after")
    def _overlap_is_shorter(self) -> Self:
        if self.seconds is not None and self.overlap >= self.seconds:
            raise ValueError(f"overlap ({self.overlap} s) must be less than seconds ({self.seconds} s)")
        return self

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Return the windowing that these settings ask for."""
        return cls(
            seconds=settings.window_seconds,
            overlap=settings.window_overlap,
            max_windows=settings.max_windows,
            aggregate=settings.window_aggregate,
            top=settings.window_top,
        )


NO_WINDOWS = Windowing()


def plan_windows(start: float, end: float, windows: Windowing) -> list[Span]:
    """Return windows of equal length that cover [start, end) seconds; the last is moved back to end with it.

    >>> [tuple(span) for span in plan_windows(0, 75, Windowing(seconds=30))]
    [(0.0, 30.0), (30.0, 60.0), (45.0, 75.0)]
    """
    if windows.seconds is None or end - start <= windows.seconds:
        return [Span(start, end)]
    step = windows.seconds - windows.overlap
    count = 1 + math.ceil((end - start - windows.seconds) / step - 1e-9)  # 0.1 + 0.2 s need no window more than 0.3 s
    starts = [start + i * step for i in range(count - 1)] + [end - windows.seconds]
    return [Span(round(first, 3), round(first + windows.seconds, 3)) for first in starts]


class CoarsePlan(NamedTuple):
    """What the coarse pass scores."""

    frames: int  # of each part
    parts: dict[Span, list[Span]]  # part that is scored -> the windows in it


def plan_coarse_pass(spans: Sequence[Span], *, budget: int, max_frames: int) -> CoarsePlan:
    """Share out `budget` frames evenly between windows; neighbouring windows become one part where that is too few."""
    together = math.ceil(len(spans) / max(budget // _MIN_FRAMES, 1))
    groups = [list(spans[i : i + together]) for i in range(0, len(spans), together)]
    frames = budget // len(groups) // 2 * 2  # a video model takes frames in pairs
    parts = {Span(group[0].start, group[-1].end): group for group in groups}
    return CoarsePlan(min(max(frames, _MIN_FRAMES), max_frames), parts)


def combine_windows(scores: Mapping[Span, Score], windows: Windowing) -> Score:
    """Combine the scores of a clip's windows; start, end and rationale are those of the window with the best margin.

    Windows without a margin are left out, and `reason` says so; where none has a margin, neither has the result.
    """
    scored = {span: score for span, score in scores.items() if score.margin is not None}
    left_out = [score for span, score in scores.items() if span not in scored]
    tokens = sum(score.tokens for score in scores.values())
    if not scored:
        return explain_unscored(left_out).model_copy(update={"tokens": tokens})
    best = max(scored, key=lambda span: (scored[span].margin, -span.start))
    margin = _AGGREGATES[windows.aggregate]([score.margin for score in scored.values() if score.margin is not None], windows)
    whole = scored[best] if windows.aggregate == "max" else score_from_margin(margin)
    reason = f"{len(left_out)} of {len(scores)} windows not scored, first: {left_out[0].reason}" if left_out else None
    return whole.model_copy(
        update={
            "start": best.start,
            "end": best.end,
            "rationale": scored[best].rationale,
            "tokens": tokens,
            "reason": reason or scored[best].reason,
        }
    )


def noisy_or(margins: Sequence[float]) -> float:
    """Return the log-odds that at least one of several independent events happens, given the log-odds of each.

    >>> round(noisy_or([0.0, 0.0]), 6)  # 1 - 1/2 * 1/2 = 3/4, odds of 3
    1.098612
    """
    none_happens = sum(max(m, 0.0) + math.log1p(math.exp(-abs(m))) for m in margins)  # -log(probability): sum of softplus
    if none_happens < 1e-9:  # the odds are then their sum, and expm1 might underflow
        largest = max(margins)
        return largest + math.log(sum(math.exp(margin - largest) for margin in margins))
    return none_happens + math.log(-math.expm1(-none_happens))


def _top_mean(margins: Sequence[float], top: int) -> float:
    best = sorted(margins, reverse=True)[:top]
    return sum(best) / len(best)


_AGGREGATES: dict[str, Callable[[Sequence[float], Windowing], float]] = {
    "max": lambda margins, windows: max(margins),
    "noisy-or": lambda margins, windows: noisy_or(margins),
    "top-mean": lambda margins, windows: _top_mean(margins, windows.top),
}
