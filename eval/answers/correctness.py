"""Correctness against the reference's answer, by the judge and by terms in common.

    Correct    1 where the answer entails the reference's answer, else 0
    AnswerF1   token F1 as in SQuAD (arXiv 1606.05250); tokens are `text.terms` without English articles

An empty answer is not correct. Without an answer in the reference nothing is measured.
"""

from collections import Counter

from rankvideo_rag.eval.answers.judge import AskJudge, Check
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue
from rankvideo_rag.text import split_words

_ARTICLES = frozenset({"a", "an", "the"})


def correctness_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """Return both scores of an answer."""
    expected, given = case.reference.answer, case.answer.text
    if not expected:
        return dict.fromkeys(("Correct", "AnswerF1"), MeasureValue(None, "no answer in the reference"))
    if not given:
        return dict.fromkeys(("Correct", "AnswerF1"), MeasureValue(0.0))
    supported = ask(Check("passage", expected, case.reference.question, given)).supported
    correct = MeasureValue(None, "no judgement") if supported is None else MeasureValue(float(supported))
    return {"Correct": correct, "AnswerF1": MeasureValue(term_f1(given, expected))}


def term_f1(given: str, expected: str) -> float:
    """Return the harmonic mean of the shares of terms in common, each counted as often as both texts have it.

    >>> round(term_f1("It opened in 1971, in Paris.", "in 1971"), 6)  # 2 of 6 and 2 of 2
    0.5
    """
    one, other = (Counter(term for term in split_words(text) if term not in _ARTICLES) for text in (given, expected))
    common = (one & other).total()
    return 2 * common / (one.total() + other.total()) if common else 0.0
