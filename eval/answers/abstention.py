"""Abstention: does the answer say that the archive does not answer, when and only when that is so?

    AbstainP    share of the abstaining answers whose question the archive does not answer
    AbstainR    share of the questions that the archive does not answer on which the answer abstains
    AbstainF1   harmonic mean of the two

They are computed over all questions at once. A missing answer does not abstain.
"""

from collections.abc import Sequence

from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue, Tally, with_f1


def abstention_scores(cases: Sequence[Case]) -> dict[str, MeasureValue]:
    """Return the three scores; None where no answer abstains, or the archive answers every question."""
    abstaining = [case for case in cases if not case.absent and not case.answer.answered]
    correct = sum(not case.reference.answerable for case in abstaining)
    unanswerable = sum(not case.reference.answerable for case in cases)
    precision = Tally(correct, len(abstaining)).ratio("answers that abstain")
    recall = Tally(correct, unanswerable).ratio("questions that the archive does not answer")
    return with_f1("Abstain", precision, recall)
