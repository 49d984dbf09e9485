"""Decide that the archive does not answer a question, by a threshold on RankVideo's margins and by matching text.

The default threshold is 0, the model's own decision. `calibrate_margin` derives one from labelled questions.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractor import DEFAULT_EXTRACTOR, Extractor
from rankvideo_rag.errors import InputError

UNLIKELY = 0.1  # probability of an answer below which a language model is not asked


class MarginThreshold(NamedTuple):
    """A threshold on the best margin of a question's clips, and its effect on the questions that it was derived from."""

    min_margin: float | None  # in nats; None if no threshold is good enough
    wrongly_answered: float | None  # share of the questions at or above it that the archive does not answer
    answered: float | None  # share of the answerable questions that are at or above it


def is_unanswerable(
    question: str, evidence: Sequence[Evidence], *, min_margin: float, extractor: Extractor = DEFAULT_EXTRACTOR
) -> bool:
    """Return whether every clip was scored below the threshold and no sentence is likely to answer.

    A clip that could not be scored leaves the question open.
    """
    if not all(piece.is_irrelevant(min_margin) for piece in evidence):
        return False
    quotes = extractor.find_quotes(question, evidence)
    return all(quote.probability < UNLIKELY for part in quotes for quote in part)


def calibrate_margin(margins: Sequence[float], answerable: Sequence[bool], *, max_error: float = 0.05) -> MarginThreshold:
    """Return the lowest threshold at which at most a share of `max_error` of the answered questions is unanswerable.

    Args:
        margins: the best margin among the clips of each question.
        answerable: whether the archive answers each question.
        max_error: of this sample; with few questions it says little about others.

    Raises InputError if the lengths differ, or `max_error` is not in [0, 1).

    >>> calibrate_margin([-4.0, -1.0, 0.5, 1.5, 3.0], [False, True, False, True, True], max_error=0.25)
    MarginThreshold(min_margin=-1.0, wrongly_answered=0.25, answered=1.0)
    """
    if len(margins) != len(answerable):
        raise InputError(f"{len(margins)} margins and {len(answerable)} labels: each margin needs one label")
    if not 0 <= max_error < 1:
        raise InputError(f"max_error = {max_error}: it must be at least 0 and less than 1")
    for bound in sorted(set(margins)):
        at_or_above = [label for margin, label in zip(margins, answerable, strict=True) if margin >= bound]
        if (wrong := at_or_above.count(False)) <= max_error * len(at_or_above):
            answered = sum(at_or_above) / sum(answerable) if any(answerable) else None
            return MarginThreshold(bound, wrong / len(at_or_above), answered)
    return MarginThreshold(None, None, None)
