"""Verify an answer while it is being generated: each claim is released once it is complete and verified.

The released text is always a prefix of the final answer.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.answers import format_claim
from rankvideo_rag.answering.declining import begins_with_decline
from rankvideo_rag.answering.outcome import conclude_error, conclude_verified
from rankvideo_rag.answering.parsing import MAX_CHARACTERS, ParsedClaim, parse_claims, parse_finished_claims
from rankvideo_rag.answering.verification import VerificationContext, VerifiedClaim, verify_claim
from rankvideo_rag.schema import Answer, Claim

_MAY_END_CLAIM = frozenset(".!?。！？؟]}\n")


class FinishedAnswer(NamedTuple):
    """The whole answer, and the part of its text that was not released yet."""

    answer: Answer
    rest: str


class StreamingVerifier:
    """Turns the tokens of a language model into verified text."""

    def __init__(self, context: VerificationContext) -> None:
        self._context = context
        self._written = ""
        self._verified: list[VerifiedClaim] = []
        self._claims: set[Claim] = set()
        self._pending: list[Claim] = []  # rejected: released once another claim is not
        self._released = ""

    @property
    def is_full(self) -> bool:
        """Whether the length limit is reached: further tokens are ignored."""
        return len(self._written) > MAX_CHARACTERS

    def feed(self, token: str) -> str:
        """Add a token and return the text that can be released now, mostly none."""
        self._written += token
        if _MAY_END_CLAIM.isdisjoint(token):
            return ""
        before, claims = len(self._released), parse_finished_claims(self._written)
        if begins_with_decline(claims):
            return ""
        for claim in self._verify(claims):
            if claim and claim not in self._claims:
                self._claims.add(claim)
                self._pending.append(claim)
                if not claim.is_rejected or self._released:
                    self._released = " ".join(filter(None, [self._released, *map(format_claim, self._pending)]))
                    self._pending.clear()
        return self._released[before:]

    def finish(self, error: str | None = None) -> FinishedAnswer:
        """Return the answer, after the last token or an error; then without the claim that was being written."""
        if error is None:
            claims = parse_claims(self._written)
            self._verify(claims)
            answer = conclude_verified(claims, self._verified, self._context)
        else:
            answer = conclude_error(error, self._context, self._verified)
        return FinishedAnswer(answer, answer.text[len(self._released) :])

    def _verify(self, parsed: Sequence[ParsedClaim]) -> list[Claim | None]:
        """Verify the claims that are new among all that were parsed so far."""
        new = [verify_claim(claim, self._context) for claim in parsed[len(self._verified) :]]
        self._verified += new
        return [one.claim for one in new]
