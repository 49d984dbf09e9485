"""The margin from which on an archive answers, taken from a report's folder: its margins, and which questions have an answer.

This file reads no files.
"""

from collections.abc import Mapping

from rankvideo_rag.answering.abstention import calibrate_margin
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.report.failure_analysis import IndexedVideo
from rankvideo_rag.eval.report.folder import ReportInputs
from rankvideo_rag.schema import Record


class CalibratedMargin(Record):
    """A least margin, and what it does on the questions that it was taken from."""

    min_margin: float | None  # nats; None where no margin parts those with an answer from those without well enough
    wrongly_answered: float | None  # share of the questions at or above it that the archive does not answer
    answered: float | None  # share of the questions that it answers, that are at or above it
    questions: int  # of which a clip was judged
    unanswerable: int  # of these
    not_judged: int  # questions of which no clip has a margin: nothing is taken from them


def calibrate_min_margin(material: ReportInputs, *, max_error: float = 0.05) -> CalibratedMargin:
    """The least margin at which at most a share of `max_error` of the questions that are answered has no answer.

    A question has none where its reference says so, and where nothing of the videos that it is about is in the archive. Raises
    InputError where no question of either kind has a margin.
    """
    best = {query: margin for query in material.references if (margin := _best(material, query)) is not None}
    answerable = [_is_answerable(material, query) for query in best]
    if len(set(answerable)) < 2:
        lacking = "without" if all(answerable) else "with"
        raise InputError(
            f"of {len(best)} questions with a margin none is {lacking} an answer in the archive: a threshold needs both kinds; "
            f'a question that the archive does not answer says "answerable": false'
        )
    found = calibrate_margin(list(best.values()), answerable, max_error=max_error)
    return CalibratedMargin(
        **found._asdict(),
        questions=len(best),
        unanswerable=answerable.count(False),
        not_judged=len(material.references) - len(best),
    )


def _best(material: ReportInputs, query: str) -> float | None:
    scores = material.margins.get(query, {}).values()
    return max((score.margin for score in scores if score.margin is not None), default=None)


def _is_answerable(material: ReportInputs, query: str) -> bool:
    reference = material.references[query]
    relevant = [video for video, grade in material.qrels.get(query, {}).items() if grade >= 1]
    return reference.answerable and _is_there({*relevant, *reference.videos}, material.indexed)


def _is_there(targets: set[str], indexed: Mapping[str, IndexedVideo] | None) -> bool:
    """Whether something of them is in the archive, as far as that is known."""
    return not targets or indexed is None or any(video in indexed and indexed[video].clips for video in targets)
