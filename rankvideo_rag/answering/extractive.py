"""Answer without a language model: quote the sentences that answer, else name the clips that show what is asked for."""

import math
from collections.abc import Sequence

from rankvideo_rag.answering.answers import build_answer, quote_claim, seen_claim
from rankvideo_rag.answering.claim_check import restates
from rankvideo_rag.answering.coverage import question_coverage
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.extractor import DEFAULT_EXTRACTOR, Extractor, Quote
from rankvideo_rag.schema import Answer, Claim

MAX_QUOTES = 3  # quotes or clips in an answer
NEAR_AS_GOOD = 0.7  # log odds: a further quote is shown if it is at most this much worse than the best (half as likely)


def quote_evidence(
    question: str,
    evidence: Sequence[Evidence],
    *,
    min_margin: float = 0.0,
    extractor: Extractor = DEFAULT_EXTRACTOR,
    reason: str | None = None,
) -> Answer:
    """Return the quotes that answer, else the clips that show what is asked for, else that the archive does not answer.

    A clip shows it if RankVideo scored it at `min_margin` or higher. `reason` says why no claims of a model are shown.
    """
    if quotes := find_answers(question, evidence, extractor):
        return build_answer(question, [quote_claim(quote.cite()) for quote in quotes], reason=reason)
    relevant = [piece for piece in evidence if piece.is_relevant(min_margin)][:MAX_QUOTES]
    if relevant:
        return build_answer(question, [seen_claim([piece.cite_frames() for piece in relevant])], reason=reason)
    return build_answer(question, [], reason=_why_not_answered(question, evidence, extractor, min_margin))


def find_answers(question: str, evidence: Sequence[Evidence], extractor: Extractor = DEFAULT_EXTRACTOR) -> list[Quote]:
    """Return the quotes that answer: the best for each part of the question, and others near as good."""
    answers: list[Quote] = []
    for quotes in extractor.answer_parts(question, evidence):
        good = [quote for quote in quotes if quote.score >= quotes[0].score - NEAR_AS_GOOD]
        answers += [quote for quote in good if not any(quote.overlaps(other) for other in answers)]
    return answers[:MAX_QUOTES]


def is_off_topic(
    question: str,
    cited: Sequence[Evidence],
    evidence: Sequence[Evidence],
    *,
    min_margin: float,
    extractor: Extractor = DEFAULT_EXTRACTOR,
) -> bool:
    """Return whether the cited clips are not relevant and share no term with the question, while another clip answers."""
    if any(piece.is_relevant(min_margin) or _shares_a_term(question, piece) for piece in cited):
        return False
    return bool(find_answers(question, evidence, extractor))


def find_omitted_evidence(
    question: str,
    evidence: Sequence[Evidence],
    claims: Sequence[Claim],
    *,
    min_margin: float,
    extractor: Extractor = DEFAULT_EXTRACTOR,
) -> list[Claim]:
    """Return claims for the strong evidence that these claims omit.

    These are the quotes that answer, of clips that were not scored as irrelevant; and, if no cited clip relates to the
    question, the most relevant clip.
    """
    candidates = [piece for piece in evidence if not piece.is_irrelevant(min_margin)]
    quotes = [quote for part in extractor.answer_parts(question, candidates) for quote in part]
    missing = [quote_claim(quote.cite()) for quote in quotes if not _is_covered(quote, claims)]
    return missing or _missing_clip(question, evidence, claims, min_margin)


def _missing_clip(question: str, evidence: Sequence[Evidence], claims: Sequence[Claim], min_margin: float) -> list[Claim]:
    cited = [e for e in evidence if any(e.contains(citation) for claim in claims for citation in claim.citations)]
    if any(piece.is_relevant(min_margin) or _shares_a_term(question, piece) for piece in cited):
        return []
    best = max(evidence, key=lambda piece: -math.inf if piece.margin is None else piece.margin)
    return [seen_claim([best.cite_frames()])] if best.is_relevant(min_margin) else []


def _shares_a_term(question: str, evidence: Evidence) -> bool:
    return any(question_coverage(question, span.text, span.channel) > 0 for span in evidence.spans)


def _is_covered(quote: Quote, claims: Sequence[Claim]) -> bool:
    return any(
        quote.evidence.video_id == citation.video_id
        and citation.start <= quote.end
        and citation.end >= quote.start
        and (citation.quote is not None or restates(claim.text, quote.text))
        for claim in claims
        for citation in claim.citations
    )


def _why_not_answered(question: str, evidence: Sequence[Evidence], extractor: Extractor, min_margin: float) -> str:
    if not evidence:
        return "no clip was found"
    best = max((q.probability for quotes in extractor.find_quotes(question, evidence) for q in quotes), default=0.0)
    text = (
        f"no sentence of the {len(evidence)} clips answers with a probability of {extractor.threshold:.2f} "
        f"(the best: {best:.2f})"
    )
    margins = [piece.margin for piece in evidence if piece.margin is not None]
    scored = f"the best margin, {max(margins):+.2f}, is below {min_margin:+.2f}" if margins else "no clip was scored"
    return f"{text}, and {scored}"
