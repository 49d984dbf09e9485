"""What a generator wrote becomes an answer that holds: each statement checked, kept, replaced by its quote, marked or removed.

A statement holds when a citation of it holds and the words it cites bear it out, or, where a model was shown pictures, when it
rests on one of these: then it is marked as seen. This file knows neither LlamaIndex nor models.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from rankvideo_rag.answering.answers import answer_of
from rankvideo_rag.answering.checks import Checked, as_stored, check
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractive import extract, is_beside_the_point, passed_over, quoted
from rankvideo_rag.answering.parsing import ParsedClaim, parse_claims
from rankvideo_rag.answering.support import plain, repeats, support, words_bear
from rankvideo_rag.schema import Answer, Claim, RemovedCitation

QUOTED_INSTEAD = "nothing that the language model wrote holds: the archive's words, or what was seen, are given instead"

MAX_STATEMENT = 1_000  # characters


class VerificationRules(NamedTuple):
    """What a statement is held to."""

    unsupported: Literal["drop", "mark"] = "drop"  # what becomes of a statement that nothing bears out
    min_margin: float = 0.0  # from which on RankVideo is taken to have seen what is asked
    pictured: frozenset[int] = frozenset()  # numbers of the clips of which the generator was shown pictures
    instructions: str = ""  # what the generator was told and nobody else may read
    at_hand: tuple[Evidence, ...] = ()  # all clips, where the generator was shown some of them only


STRICT = VerificationRules()


class VerifiedClaim(NamedTuple):
    """What became of one statement."""

    claim: Claim | None  # as it is shown
    removed: Claim | None  # as it was written, if it is not shown
    citations: tuple[RemovedCitation, ...] = ()  # of it, that do not hold


def verify_answer(question: str, written: str, shown: Sequence[Evidence], rules: VerificationRules = STRICT) -> Answer:
    """The answer that a generator wrote, checked, with citations in words instead of numbers: `[title @ mm:ss]`.

    >>> from rankvideo_rag.schema import TextSpan
    >>> said = TextSpan(channel="speech", text="It leaves at nine.", start=1.0, end=3.0, source="subtitles")
    >>> verify_answer("When?", "At nine [1]. At noon [1].", [Evidence(1, "v", "/v.mp4", "Ferries", 0.0, 9.0, (said,))]).text
    'At nine [Ferries @ 00:00].'
    """
    outcomes = [verify_claim(question, draft, shown, rules) for draft in parse_claims(written)]
    return build_answer(question, outcomes, shown, rules)


def verify_claim(question: str, draft: ParsedClaim, shown: Sequence[Evidence], rules: VerificationRules) -> VerifiedClaim:
    """One statement, checked. Where only its quote holds, the quote is shown in its place."""
    checked = check(draft, {evidence.number: evidence for evidence in shown})
    text = plain(as_stored(draft.text, checked.quoted))
    if repeats(text, rules.instructions, checked.cited, question):
        withheld = Claim(text="(withheld)", status="unsupported", reason="it repeats what the model was told, and no evidence")
        return VerifiedClaim(None, withheld, checked.removed)
    fault = _fault(question, text, checked, shown, rules)
    if fault is None:
        return VerifiedClaim(_held(question, text, checked), None, checked.removed)
    unsupported = Claim(text=text[:MAX_STATEMENT], status="unsupported", citations=checked.citations, reason=fault)
    if rules.unsupported == "mark":
        return VerifiedClaim(unsupported, None, checked.removed)
    if checked.quoted and not checked.false_quote:
        instead = quoted(next(citation for citation in checked.citations if citation.quote))
        return VerifiedClaim(
            instead, unsupported.model_copy(update={"reason": f"{fault}; its quote is shown"}), checked.removed
        )
    return VerifiedClaim(None, unsupported, checked.removed)


def build_answer(
    question: str, outcomes: Sequence[VerifiedClaim], shown: Sequence[Evidence], rules: VerificationRules
) -> Answer:
    """The answer made of checked statements and of the evidence that they pass over.

    Where none of them holds the evidence answers by itself, or the archive does not: no model decides that.
    """
    claims = list(dict.fromkeys(outcome.claim for outcome in outcomes if outcome.claim))
    removed = [outcome.removed for outcome in outcomes if outcome.removed]
    citations = [citation for outcome in outcomes for citation in outcome.citations]
    if not any(claim.status != "unsupported" for claim in claims):
        instead = extract(question, shown, min_margin=rules.min_margin, reason=QUOTED_INSTEAD)
        return instead.model_copy(update={"removed_claims": (*claims, *removed), "removed_citations": tuple(citations)})
    return answer_of(
        question,
        [*claims, *passed_over(question, shown, claims, min_margin=rules.min_margin)],
        removed_claims=removed,
        removed_citations=citations,
    )


def _fault(question: str, text: str, checked: Checked, shown: Sequence[Evidence], rules: VerificationRules) -> str | None:
    if len(text) > MAX_STATEMENT:
        return f"it is longer than {MAX_STATEMENT} characters"
    if not checked.cited:
        return "none of its citations holds" if checked.removed else "it cites nothing"
    if checked.false_quote:
        return "it quotes words that are not those of the clips it cites"
    known = rules.at_hand or shown
    if not checked.quoted and is_beside_the_point(question, checked.cited, known, min_margin=rules.min_margin):
        return "the clips it cites are not about the question, and others are"
    if words_bear(text, question, checked.cited) or _is_seen(checked, rules):
        return None
    return "the words of the clips it cites do not say so"


def _is_seen(checked: Checked, rules: VerificationRules) -> bool:
    return any(
        evidence.number in rules.pictured and (evidence.margin is None or evidence.margin >= rules.min_margin)
        for evidence in checked.cited
    )


def _held(question: str, text: str, checked: Checked) -> Claim:
    if not words_bear(text, question, checked.cited):
        seen = tuple(citation.model_copy(update={"channel": "visual"}) for citation in checked.citations)
        return Claim(text=text, status="seen", citations=seen)
    status: Literal["quoted", "cited"] = "quoted" if checked.quoted else "cited"
    return Claim(text=text, status=status, citations=checked.citations, support=support(text, checked.cited))
