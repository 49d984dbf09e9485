"""Choose from a report the margin below which an archive should abstain, the margins in doubt, and a calibration of margins."""

from collections.abc import Sequence

from rankvideo_rag.answering.abstention import calibrate_margin
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.report.folder import ReportInputs
from rankvideo_rag.ranking.reasoning import calibrate_band
from rankvideo_rag.ranking.relevance import Platt, fit_platt
from rankvideo_rag.schema import Record


class CalibratedMargin(Record):
    """A threshold on the best margin of a question's clips, and its effect on the questions that it was chosen on."""

    min_margin: float | None  # nats; None where no margin meets the error limit
    wrongly_answered: float | None  # share of the questions at or above it that the archive does not answer
    answered: float | None  # share of the questions that the archive answers that are at or above it
    questions: int  # with a margin
    unanswerable: int  # of these
    not_scored: int  # questions without a margin, which are not used
    reasoning_low: float | None  # nats: between these two, the sign of a margin is wrong too often; None: no bound
    reasoning_high: float | None
    picture: Platt | None  # turns margins into probabilities; None where the scored pairs do not determine it


def calibrate_min_margin(inputs: ReportInputs, *, max_error: float = 0.05) -> CalibratedMargin:
    """Return the lowest margin at which at most a share of `max_error` of the answered questions has no answer.

    A question has no answer if its reference says so, or if none of its relevant videos is in the archive. Raises InputError
    unless there are questions of both kinds with a margin.
    """
    margins = {query: margin for query in inputs.references if (margin := _best_margin(inputs, query)) is not None}
    answerable = [_is_answerable(inputs, query) for query in margins]
    if len(set(answerable)) < 2:
        lacking = "without" if all(answerable) else "with"
        raise InputError(
            f"of {len(margins)} questions with a margin none is {lacking} an answer in the archive: calibration needs both "
            f'kinds; mark a question that the archive does not answer with "answerable": false'
        )
    labelled = _labelled_margins(inputs)
    band = calibrate_band(*labelled, max_error=max_error)
    threshold = calibrate_margin(list(margins.values()), answerable, max_error=max_error)
    return CalibratedMargin(
        **threshold._asdict(),
        questions=len(margins),
        unanswerable=answerable.count(False),
        not_scored=len(inputs.references) - len(margins),
        reasoning_low=band.low,
        reasoning_high=band.high,
        picture=_fit_picture(*labelled),
    )


def _labelled_margins(inputs: ReportInputs) -> tuple[list[float], list[bool]]:
    """Return the margins of all scored pairs, and whether each is relevant; a pair without a judgement counts as irrelevant."""
    labelled = [
        (score.margin, inputs.qrels.get(query, {}).get(video, 0) >= 1)
        for query, scores in inputs.margins.items()
        for video, score in scores.items()
        if score.margin is not None
    ]
    return [margin for margin, _ in labelled], [label for _, label in labelled]


def _fit_picture(margins: Sequence[float], labels: Sequence[bool]) -> Platt | None:
    try:
        return fit_platt(margins, labels, fitted_on=f"{len(margins)} pairs of the report, {sum(labels)} of them relevant")
    except InputError:  # only one kind of pair, or margins that say nothing
        return None


def _best_margin(inputs: ReportInputs, query: str) -> float | None:
    scores = inputs.margins.get(query, {}).values()
    return max((score.margin for score in scores if score.margin is not None), default=None)


def _is_answerable(inputs: ReportInputs, query: str) -> bool:
    """Whether the reference is answerable and, as far as that is known, one of its videos is in the archive."""
    reference, indexed = inputs.references[query], inputs.indexed
    relevant = {video for video, grade in inputs.qrels.get(query, {}).items() if grade >= 1} | {*reference.videos}
    if not reference.answerable or not relevant or indexed is None:
        return reference.answerable
    return any(video in indexed and indexed[video].clips for video in relevant)
