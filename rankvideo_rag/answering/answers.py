"""Claims put together into an answer, citations in words: `[title @ mm:ss]`. This file knows neither LlamaIndex nor models."""

from collections.abc import Sequence

from rankvideo_rag.schema import Answer, Citation, Claim, RemovedCitation
from rankvideo_rag.text import timestamp

NOT_ANSWERED = "The archive does not answer this."
SEEN = "Seen in"  # the claim that names clips by their picture alone
_MARK = {"quoted": "", "cited": "", "seen": " (seen)", "unsupported": " (not supported)"}
_STOPS = ".!?…。！？؟"


def answer_of(
    question: str,
    claims: Sequence[Claim],
    *,
    removed_claims: Sequence[Claim] = (),
    removed_citations: Sequence[RemovedCitation] = (),
    reason: str | None = None,
) -> Answer:
    """The answer made of these claims. Where none of them holds: that the archive does not answer."""
    answered = any(claim.status != "unsupported" for claim in claims)
    shown, aside = (claims, removed_claims) if answered else ((), [*claims, *removed_claims])
    return Answer(
        question=question,
        text=" ".join(map(rendered, shown)) if answered else NOT_ANSWERED,
        answered=answered,
        citations=tuple(dict.fromkeys(citation for claim in shown for citation in claim.citations)),
        removed_citations=tuple(removed_citations),
        claims=tuple(shown),
        removed_claims=tuple(aside),
        reason=reason,
        support=_support(shown, aside),
    )


def rendered(claim: Claim) -> str:
    """A claim as people read it: its citations before the stop that ends it, and a mark where no words bear it out."""
    cited = [in_words(citation) for citation in claim.citations]
    if claim.text == SEEN:
        return f"{SEEN} {', '.join(cited)}."
    text = claim.text.rstrip(_STOPS).rstrip()
    return " ".join([f"{text}{_MARK[claim.status]}", *cited]) + claim.text[len(text) :].strip()


def in_words(citation: Citation) -> str:
    """A citation as people read it.

    >>> in_words(Citation(video_id="v", path="/v.mp4", title="Ferries", start=65.2, end=70.0))
    '[Ferries @ 01:05]'
    """
    return f"[{citation.title} @ {timestamp(citation.start)}]"


def _support(shown: Sequence[Claim], removed: Sequence[Claim]) -> float | None:
    measured = [claim.support for claim in shown if claim.support is not None]
    return sum(measured) / (len(measured) + len(removed)) if measured else None
