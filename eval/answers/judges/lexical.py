"""A judge that counts terms in common, for tests and where no model is available. It ignores meaning, order and negation."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.judge import Check, Judgement
from rankvideo_rag.text import query_terms, text_terms

THRESHOLD = 0.75


class LexicalJudge:
    """Says `yes` where the text holds at least `threshold` of the claim's terms.

    The terms of a claim are its distinct `text.query_terms`; those of the text are all of its `text.text_terms`.
    For a nugget, half of the threshold is `partial`. A claim without terms has no judgement.
    """

    name = "lexical"

    def __init__(self, threshold: float = THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise InputError(f"the threshold {threshold} is not a share of terms: it must be above 0 and at most 1")
        self._threshold = threshold

    @property
    def version(self) -> str:
        """Version of the rule, and the threshold."""
        return f"2:{self._threshold}"

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check."""
        return map(self._judgement, checks)

    def _judgement(self, check: Check) -> Judgement:
        claim_terms = set(query_terms(check.claim))
        if not claim_terms:
            return Judgement(None, "the claim has no words")
        found = len(claim_terms & _passage_terms(check.passage)) / len(claim_terms)
        if found >= self._threshold:
            return Judgement("yes")
        return Judgement("partial" if check.kind == "nugget" and found >= self._threshold / 2 else "no")


@lru_cache(maxsize=64)  # many claims are checked against the same passage
def _passage_terms(passage: str) -> frozenset[str]:
    return frozenset(text_terms(passage))


def load(model: str | None = None, *, device: str | None = None) -> LexicalJudge:
    """Return the judge. It has no model, and runs on the CPU whatever the device."""
    if model is not None:
        raise InputError(f"the lexical judge was given the model {model!r}: it has none to load, leave the model out")
    return LexicalJudge()
