"""Make an answer of what a language model did: claims, a decline, nothing, or an error."""

from collections.abc import Sequence

from rankvideo_rag.answering.answers import build_answer
from rankvideo_rag.answering.declining import begins_with_decline, is_decline
from rankvideo_rag.answering.extractive import quote_evidence
from rankvideo_rag.answering.parsing import ParsedClaim
from rankvideo_rag.answering.verification import VerificationContext, VerifiedClaim, combine_claims, verify_claim
from rankvideo_rag.schema import Answer

NO_ANSWER = "the language model says that the evidence does not answer the question"
QUOTED_AFTER_ERROR = "the archive is quoted instead"


def conclude(claims: Sequence[ParsedClaim], context: VerificationContext) -> Answer:
    """Return the answer made of a model's claims: those that can be verified, or that the archive does not answer."""
    return conclude_verified(claims, [verify_claim(claim, context) for claim in claims], context)


def conclude_verified(claims: Sequence[ParsedClaim], verified: Sequence[VerifiedClaim], context: VerificationContext) -> Answer:
    """Like `conclude`, for claims that were verified already.

    An answer that begins with a decline is one, whatever follows; so is one with a decline and no supported claim.
    """
    if not claims:
        return conclude_error("the language model wrote nothing", context)
    answer = None if begins_with_decline(claims) else combine_claims(verified, context)
    if answer and (answer.llm_status == "answered" or not any(map(is_decline, claims))):
        return answer
    others = [one.removed or one.claim for one, claim in zip(verified, claims, strict=True) if not is_decline(claim)]
    removed = [claim.model_copy(update={"status": "unsupported", "reason": NO_ANSWER}) for claim in others if claim]
    declined = build_answer(context.question, [], removed_claims=removed, reason=NO_ANSWER)
    return declined.model_copy(update={"llm_status": "declined"})


def conclude_error(error: str, context: VerificationContext, verified: Sequence[VerifiedClaim] = ()) -> Answer:
    """Return the answer after an error: the claims that a stream was made of until then, else quotes."""
    if any(one.claim and not one.claim.is_rejected for one in verified):
        answer, reason = combine_claims(verified, context), f"{error}; the answer may be incomplete"
    else:
        answer = quote_evidence(
            context.question,
            context.retrieved,
            min_margin=context.options.min_margin,
            extractor=context.options.extractor,
        )
        reason = f"{error}; {QUOTED_AFTER_ERROR if answer.answered else answer.reason}"
    return answer.model_copy(update={"llm_status": "failed", "reason": reason})
