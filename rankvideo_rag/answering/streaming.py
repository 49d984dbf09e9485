"""An answer told while it is being written: each statement as soon as it is whole and checked, never a word before that.

What was told is always the beginning of the answer in the end. This file knows neither LlamaIndex nor models.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.answers import rendered
from rankvideo_rag.answering.citations import VerificationRules, VerifiedClaim, build_answer, verify_claim
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.parsing import MAX_CHARACTERS, ParsedClaim, finished_claims, parse_claims
from rankvideo_rag.schema import Answer, Claim

_MAY_END_ONE = frozenset(".!?。！？؟]}\n")


class Ending(NamedTuple):
    """The whole answer, and what of it is still to be told."""

    answer: Answer
    rest: str


class Teller:
    """Hears a model write, tells what holds. `shown` is the evidence that it has read, `evidence` all that there is."""

    def __init__(
        self, question: str, shown: Sequence[Evidence], evidence: Sequence[Evidence], rules: VerificationRules
    ) -> None:
        self._question, self._shown, self._evidence, self._rules = question, shown, evidence, rules
        self._written = ""
        self._outcomes: list[VerifiedClaim] = []
        self._claims: set[Claim] = set()
        self._waiting: list[Claim] = []  # marked as unsupported: told once something holds
        self._told = ""

    @property
    def is_full(self) -> bool:
        """Whether nothing more that the model writes will be read."""
        return len(self._written) > MAX_CHARACTERS

    def hear(self, token: str) -> str:
        """What can be told now that the model wrote on; mostly nothing."""
        self._written += token
        if _MAY_END_ONE.isdisjoint(token):
            return ""
        return self._tell(finished_claims(self._written)[len(self._outcomes) :])

    def end(self) -> Ending:
        """The answer, now that the model has written all."""
        for draft in parse_claims(self._written)[len(self._outcomes) :]:
            self._outcomes.append(verify_claim(self._question, draft, self._shown, self._rules))
        answer = build_answer(self._question, self._outcomes, self._evidence, self._rules)
        return Ending(answer, answer.text[len(self._told) :])

    def _tell(self, drafts: Sequence[ParsedClaim]) -> str:
        before = self._told
        for draft in drafts:
            outcome = verify_claim(self._question, draft, self._shown, self._rules)
            self._outcomes.append(outcome)
            if outcome.claim and outcome.claim not in self._claims:
                self._claims.add(outcome.claim)
                self._waiting.append(outcome.claim)
                if outcome.claim.status != "unsupported" or self._told:
                    self._told = " ".join(filter(None, [self._told, *map(rendered, self._waiting)]))
                    self._waiting.clear()
        return self._told[len(before) :]
