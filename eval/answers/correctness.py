"""Is the answer the right one? Against the reference's answer, in the judge's eyes and word by word.

    Correct    1 where the answer bears out the reference's answer, else 0
    AnswerF1   harmonic mean of the shares of terms that the two have in common, repeated terms counted as often as both have
               them (as SQuAD does, arXiv 1606.05250; terms are `text.terms` without English articles)

An answer that says nothing, where there is one to be given, is not correct.
"""

from collections import Counter

from rankvideo_rag.eval.answers.judge import AskJudge, Check
from rankvideo_rag.eval.answers.records import Case
from rankvideo_rag.eval.answers.values import MeasureValue
from rankvideo_rag.text import terms

_ARTICLES = frozenset({"a", "an", "the"})


def correctness_scores(case: Case, ask: AskJudge) -> dict[str, MeasureValue]:
    """The two numbers of an answer; without an answer in the reference there are none."""
    right, given = case.reference.answer, case.answer.text
    if not right:
        return dict.fromkeys(("Correct", "AnswerF1"), MeasureValue(None, "no answer in the reference"))
    if not given:
        return dict.fromkeys(("Correct", "AnswerF1"), MeasureValue(0.0))
    verdict = ask(Check("passage", right, case.reference.question, given))
    correct = MeasureValue(None, "no verdict") if verdict.supported is None else MeasureValue(float(verdict.supported))
    return {"Correct": correct, "AnswerF1": MeasureValue(term_f1(given, right))}


def term_f1(given: str, right: str) -> float:
    """The harmonic mean of the shares of terms in common.

    >>> round(term_f1("It opened in 1971, in Paris.", "in 1971"), 6)  # 2 of 6 and 2 of 2
    0.5
    """
    one, other = (Counter(term for term in terms(text) if term not in _ARTICLES) for text in (given, right))
    common = (one & other).total()
    return 2 * common / (one.total() + other.total()) if common else 0.0
