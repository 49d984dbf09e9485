"""A judge that counts words: for tests, and where no model is at hand. It knows no meaning, order or negation."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.judge import Check, Verdict
from rankvideo_rag.text import content_terms, stem, terms

THRESHOLD = 0.75
_stem = lru_cache(maxsize=100_000)(stem)


class LexicalJudge:
    """`yes` where the text holds at least `threshold` of the claim's terms.

    The terms of a claim are its distinct `text.content_terms`, stemmed; those of the text are all of its `text.terms`, stemmed.
    Of a nugget, half of the threshold is `partial`. Anything less is `no`. A claim without a term has no verdict.
    """

    name = "lexical"

    def __init__(self, threshold: float = THRESHOLD) -> None:
        if not 0 < threshold <= 1:
            raise InputError(f"the threshold {threshold} is no share of terms above 0 and up to 1")
        self._threshold = threshold

    @property
    def version(self) -> str:
        """Of the rule above, and the threshold."""
        return f"1:{self._threshold}"

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """One verdict for each check."""
        for check in checks:
            yield self._verdict(check, _held(check.passage))

    def _verdict(self, check: Check, held: frozenset[str]) -> Verdict:
        asked = set(map(_stem, content_terms(check.claim)))
        if not asked:
            return Verdict(None, "the claim has no words")
        found = len(asked & held) / len(asked)
        if found >= self._threshold:
            return Verdict("yes")
        return Verdict("partial" if check.kind == "nugget" and found >= self._threshold / 2 else "no")


@lru_cache(maxsize=64)  # the same passage comes again and again, soon after
def _held(passage: str) -> frozenset[str]:
    return frozenset(map(_stem, terms(passage)))


def load(model: str | None = None, *, device: str | None = None) -> LexicalJudge:
    """The judge that counts words. It has no model, and runs on the CPU whatever the device."""
    if model is not None:
        raise InputError(f"the lexical judge was given the model {model!r}: it has none to load, leave the model out")
    return LexicalJudge()
