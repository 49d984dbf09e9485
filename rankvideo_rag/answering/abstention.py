"""When the archive does not answer: a threshold on RankVideo's margins, from labelled questions, beside support by words.

The default threshold is 0, the model's own yes or no, and knows nothing of how often it is wrong. `calibrate_margin` gives one
that does, as `ranking.reasoning.calibrate_band` does for pairs. This file knows neither LlamaIndex nor models.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractive import is_relevant, is_supported
from rankvideo_rag.errors import InputError


class Calibration(NamedTuple):
    """A threshold on the best margin of a question's clips, and what it does on the questions it was taken from."""

    min_margin: float | None  # in nats; None where no threshold is good enough
    wrongly_answered: float | None  # share of the questions at or above it that the archive does not answer
    answered: float | None  # share of the questions that it answers, that are at or above it


def is_unanswerable(question: str, shown: Sequence[Evidence], *, min_margin: float) -> bool:
    """Whether every clip was judged, none reached the threshold, and no words hold half of what is asked.

    A clip that could not be judged leaves the question open.
    """
    judged = all(evidence.margin is not None for evidence in shown)
    return judged and not any(is_relevant(e, min_margin) for e in shown) and not is_supported(question, shown)


def calibrate_margin(margins: Sequence[float], answerable: Sequence[bool], *, max_error: float = 0.05) -> Calibration:
    """The least threshold at which, of these questions, at most a share of `max_error` of those answered has no answer.

    Args:
        margins: of each question the best margin among its clips.
        answerable: of each question whether the archive answers it.

    The share is that of this sample: with few questions it promises little beyond them.

    >>> calibrate_margin([-4.0, -1.0, 0.5, 1.5, 3.0], [False, True, False, True, True], max_error=0.25)
    Calibration(min_margin=-1.0, wrongly_answered=0.25, answered=1.0)
    """
    if len(margins) != len(answerable):
        raise InputError(f"{len(margins)} margins and {len(answerable)} labels: one label for each margin is needed")
    if not 0 <= max_error < 1:
        raise InputError(f"max_error = {max_error}: a share from 0 up to, but not including, 1 is needed")
    for bound in sorted(set(margins)):
        beyond = [label for margin, label in zip(margins, answerable, strict=True) if margin >= bound]
        if (wrong := beyond.count(False)) <= max_error * len(beyond):
            return Calibration(bound, wrong / len(beyond), sum(beyond) / sum(answerable) if any(answerable) else None)
    return Calibration(None, None, None)
