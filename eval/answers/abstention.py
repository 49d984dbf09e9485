"""Does it say that the archive does not answer when, and only when, that is so?

    AbstainP    share of the answers that abstain whose question the archive does not answer
    AbstainR    share of the questions that the archive does not answer on which the answer abstains
    AbstainF1   harmonic mean of the two

Counted over all questions at once. An answer that is not there abstains from nothing.
"""

from collections.abc import Sequence

from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue, f1, ratio


def abstention_scores(cases: Sequence[Case]) -> dict[str, MeasureValue]:
    """The three numbers; None where nothing abstains, or every question can be answered."""
    abstained = [case for case in cases if not case.absent and not case.answer.answered]
    rightly = sum(not case.reference.answerable for case in abstained)
    unanswerable = sum(not case.reference.answerable for case in cases)
    precision = ratio(rightly, len(abstained), of="answers that abstain")
    recall = ratio(rightly, unanswerable, of="questions that the archive does not answer")
    return {"AbstainP": precision, "AbstainR": recall, "AbstainF1": f1(precision, recall)}
