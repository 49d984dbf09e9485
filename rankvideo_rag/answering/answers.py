"""Build an answer from claims, and format claims and citations as text."""

from collections.abc import Sequence

from rankvideo_rag.answering.evidence import sanitize_for_display
from rankvideo_rag.schema import Answer, Citation, Claim, RemovedCitation
from rankvideo_rag.text import timestamp

NOT_ANSWERED = "The archive does not answer this."
SEEN = "Seen in"  # text of a claim that names clips by their frames alone
_STATUS_NOTES = {
    "quoted": "",
    "cited": "",
    "seen": " (seen)",
    "unchecked": " (not checked)",
    "contradicted": " (contradicted)",
    "unsupported": " (not supported)",
}
_STOPS = ".!?…。！？؟"


def build_answer(
    question: str,
    claims: Sequence[Claim],
    *,
    removed_claims: Sequence[Claim] = (),
    removed_citations: Sequence[RemovedCitation] = (),
    reason: str | None = None,
) -> Answer:
    """Return the answer made of these claims; if none is supported, that the archive does not answer."""
    answered = any(not claim.is_rejected for claim in claims)
    shown, removed = (claims, removed_claims) if answered else ((), [*claims, *removed_claims])
    return Answer(
        question=question,
        text=" ".join(map(format_claim, shown)) if answered else NOT_ANSWERED,
        answered=answered,
        citations=tuple(dict.fromkeys(citation for claim in shown for citation in claim.citations)),
        removed_citations=tuple(removed_citations),
        claims=tuple(shown),
        removed_claims=tuple(removed),
        reason=reason,
        support=_mean_support(shown, removed),
    )


def quote_claim(citation: Citation) -> Claim:
    """Return the claim that the citation's quote is said, written or described there."""
    return Claim(text=f"“{sanitize_for_display(citation.quote or '')}”", status="quoted", citations=(citation,), support=1.0)


def seen_claim(citations: Sequence[Citation]) -> Claim:
    """Return the claim that these clips show what the question asks for."""
    return Claim(text=SEEN, status="seen", citations=tuple(citations))


def format_claim(claim: Claim) -> str:
    """Return a claim as text: its citations before its full stop, and a note unless text supports it."""
    citations = [format_citation(citation) for citation in claim.citations]
    if claim.text == SEEN:
        return f"{SEEN} {', '.join(citations)}."
    text = claim.text.rstrip(_STOPS).rstrip()
    return " ".join([f"{text}{_STATUS_NOTES[claim.status]}", *citations]) + claim.text[len(text) :].strip()


def format_citation(citation: Citation) -> str:
    """Return a citation as text.

    >>> format_citation(Citation(video_id="v", path="/v.mp4", title="Ferries", start=65.2, end=70.0))
    '[Ferries @ 01:05]'
    """
    return f"[{citation.title} @ {timestamp(citation.start)}]"


def _mean_support(shown: Sequence[Claim], removed: Sequence[Claim]) -> float | None:
    measured = [claim.support for claim in shown if claim.support is not None]
    return sum(measured) / (len(measured) + len(removed)) if measured else None
