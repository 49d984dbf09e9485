"""Verify the claims of a language model against the evidence: each is kept, replaced by its quote, marked or removed.

A claim needs a valid citation. It is kept if the cited text supports it, or if the text decides nothing; then its status is
"seen" where the model was given frames of a relevant clip that it cites, else "unchecked". A claim that the text contradicts is
rejected, whatever the frames show.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from rankvideo_rag.answering.answers import build_answer, quote_claim
from rankvideo_rag.answering.claim_check import Verdict, check_claim
from rankvideo_rag.answering.clauses import REACH, has_content
from rankvideo_rag.answering.coverage import STRONG_COVERAGE, question_coverage
from rankvideo_rag.answering.evidence import Evidence, sanitize_for_display
from rankvideo_rag.answering.extractive import find_omitted_evidence, is_off_topic, quote_evidence
from rankvideo_rag.answering.matching import (
    QuoteMatch,
    find_quote,
    leaks_instructions,
)
from rankvideo_rag.answering.options import AnswerOptions
from rankvideo_rag.answering.parsing import CitationMarker, ParsedClaim
from rankvideo_rag.models.nli import NliModel
from rankvideo_rag.schema import Answer, Citation, Claim, RemovedCitation
from rankvideo_rag.text import clean, split_words, timed_sentences, timestamp

QUOTED_INSTEAD = "no claim of the language model is supported: the archive is quoted instead"
MAX_CLAIM = 1_000  # characters
# Written times are whole seconds, rounded down: a second at either end is no error.
_TOLERANCE = 1.0
_NO_PROSE = "it contains a link, a tag or a turn of a conversation, and no text supports it"
_DENIED = "a clip that is more about the question says otherwise"
_TURN = re.compile(r"\b(?:user|assistant|system)\s*:", re.IGNORECASE)
_QUOTED = re.compile(r"“[^“”]*”")  # as `_with_stored_quotes` writes them
_QUOTATION_MARKS = (("“", "”"), ('"', '"'), ("«", "»"), ("„", "“"), ("„", "”"), ("「", "」"))


@dataclass(frozen=True)
class VerificationContext:
    """What claims are verified against."""

    question: str
    shown: Sequence[Evidence]  # in the prompt
    retrieved: Sequence[Evidence]  # all evidence, of which the prompt may hold a part
    options: AnswerOptions = field(default_factory=AnswerOptions)
    clips_with_frames: frozenset[int] = frozenset()  # numbers of the clips of which the prompt contained frames
    instructions: str = ""  # of the prompt: answers must not repeat them
    nli: NliModel | None = None  # decides what rules leave open


class VerifiedClaim(NamedTuple):
    """The outcome for one claim."""

    claim: Claim | None  # as it is shown
    removed: Claim | None  # as it was written, if it is not shown
    removed_citations: tuple[RemovedCitation, ...] = ()


class _CheckedCitations(NamedTuple):
    cited: tuple[Evidence, ...]  # with a valid citation
    citations: tuple[Citation, ...]
    removed: tuple[RemovedCitation, ...]
    quotes: dict[str, QuoteMatch]  # quotes of the claim that occur in the cited clips
    has_false_quote: bool


def verify_claim(parsed: ParsedClaim, context: VerificationContext) -> VerifiedClaim:
    """Verify one claim. If only its quote is valid, the quote replaces it."""
    checked = _check_citations(parsed, {evidence.number: evidence for evidence in context.shown})
    written = _with_stored_quotes(parsed.text, checked.quotes)
    text = sanitize_for_display(written)
    if leaks_instructions(text, context.instructions, checked.cited, context.question):
        withheld = Claim(text="(withheld)", status="unsupported", reason="it repeats the instructions of the prompt")
        return VerifiedClaim(None, withheld, checked.removed)
    claim = _judge(text, checked, context)
    if claim.status == "unchecked" and (text != clean(written) or _TURN.search(text)):
        claim = claim.model_copy(update={"status": "unsupported", "reason": _NO_PROSE})
    if not claim.is_rejected or context.options.unsupported == "mark":
        return VerifiedClaim(claim, None, checked.removed)
    if checked.quotes and not checked.has_false_quote:
        quote = quote_claim(next(citation for citation in checked.citations if citation.quote))
        return VerifiedClaim(quote, claim.model_copy(update={"reason": f"{claim.reason}; its quote is shown"}), checked.removed)
    return VerifiedClaim(None, claim, checked.removed)


def combine_claims(verified: Sequence[VerifiedClaim], context: VerificationContext) -> Answer:
    """Return the answer made of verified claims, and of strong evidence that they omit.

    If all claims are rejected, the evidence is quoted, or the archive does not answer: no model decides that.

    >>> from rankvideo_rag.answering.parsing import parse_claims
    >>> from rankvideo_rag.schema import TextSpan
    >>> said = TextSpan(channel="speech", text="It leaves at nine.", start=1.0, end=3.0, source="subtitles")
    >>> evidence = [Evidence(1, "v", "/v.mp4", "Ferries", 0.0, 9.0, (said,))]
    >>> context = VerificationContext("When?", evidence, evidence)
    >>> claims = [verify_claim(claim, context) for claim in parse_claims("At nine [1]. At noon [1].")]
    >>> combine_claims(claims, context).text
    'At nine [Ferries @ 00:00].'
    """
    claims = list(dict.fromkeys(one.claim for one in verified if one.claim))
    removed = [one.removed for one in verified if one.removed]
    removed_citations = [citation for one in verified for citation in one.removed_citations]
    question, min_margin = context.question, context.options.min_margin
    if all(claim.is_rejected for claim in claims):
        quoted = quote_evidence(
            question, context.retrieved, min_margin=min_margin, extractor=context.options.extractor, reason=QUOTED_INSTEAD
        )
        found = {"removed_claims": (*claims, *removed), "removed_citations": tuple(removed_citations), "llm_status": "rejected"}
        return quoted.model_copy(update=found)
    omitted = find_omitted_evidence(
        question, context.retrieved, claims, min_margin=min_margin, extractor=context.options.extractor
    )
    answer = build_answer(question, [*claims, *omitted], removed_claims=removed, removed_citations=removed_citations)
    return answer.model_copy(update={"llm_status": "answered"})


def _judge(text: str, checked: _CheckedCitations, context: VerificationContext) -> Claim:
    """Return a claim with its status."""
    if fault := _find_fault(text, checked, context):
        return Claim(text=text[:MAX_CLAIM], status="unsupported", citations=checked.citations, reason=fault)
    verdict = _check_text(text, checked.cited, context)
    claim = Claim(text=text, status="cited", citations=checked.citations, support=verdict.coverage, reason=verdict.reason)
    if verdict.decision != "contradicted" and _is_denied(text, checked.cited, context):
        return claim.model_copy(update={"status": "contradicted", "reason": _DENIED})
    if verdict.decision == "contradicted":
        return claim.model_copy(update={"status": "contradicted"})
    if checked.quotes and (verdict.decision == "supported" or _is_only_quoted(text)):
        return claim.model_copy(update={"status": "quoted", "reason": None})
    if verdict.decision == "supported":
        return claim
    if _is_seen(checked.cited, context):
        frames = tuple(citation.model_copy(update={"channel": "visual"}) for citation in checked.citations)
        return Claim(text=text, status="seen", citations=frames)
    return claim.model_copy(update={"status": "unchecked" if verdict.is_related else "unsupported"})


def _find_fault(text: str, checked: _CheckedCitations, context: VerificationContext) -> str | None:
    """Return why a claim is not even compared with the text of its clips; None if it is."""
    if len(text) > MAX_CLAIM:
        return f"it is longer than {MAX_CLAIM} characters"
    if not checked.cited:
        return "none of its citations is valid" if checked.removed else "it cites nothing"
    if checked.has_false_quote:
        return "it contains a quote that is not in the clips it cites"
    min_margin, extractor = context.options.min_margin, context.options.extractor
    if not checked.quotes and is_off_topic(
        context.question, checked.cited, context.retrieved, min_margin=min_margin, extractor=extractor
    ):
        return "the clips it cites are not about the question, and others are"
    return None


def _check_text(text: str, cited: Sequence[Evidence], context: VerificationContext) -> Verdict:
    """Compare a claim with the text of the clips it cites. It is contradicted if one clip supports it and another does not."""
    text = _without_times(text, cited)
    together = _check_clips(text, cited, context)
    if together.decision == "supported" and len(cited) > 1:
        alone = {_check_clips(text, [piece], context).decision for piece in cited}
        if alone >= {"supported", "contradicted"}:
            return together._replace(decision="contradicted", reason="the clips it cites disagree")
    return together


def _check_clips(text: str, cited: Sequence[Evidence], context: VerificationContext) -> Verdict:
    """Check a claim by rules, and what they leave open by the NLI model. Blank sentences keep the clips apart."""
    sentences = [sentence for piece in cited for sentence in (*_sentences(piece), *[""] * REACH)]
    verdict = check_claim(text, context.question, sentences, [piece.title for piece in cited])
    if context.nli is None or not verdict.is_open:
        return verdict
    (inference,) = context.nli.infer([(" ".join(filter(None, sentences)), text)])
    if inference.relation == "entailment":
        return verdict._replace(decision="supported", reason=None)
    if inference.relation == "contradiction":
        return verdict._replace(decision="contradicted", reason="the NLI model says that the evidence contradicts it")
    return verdict


def _is_denied(text: str, cited: Sequence[Evidence], context: VerificationContext) -> bool:
    """Return whether a claim is contradicted by a clip that is about the question, more than those that it cites."""
    covered = max(_question_coverage(context.question, piece) for piece in cited)
    others = (piece for piece in context.retrieved if piece not in cited)
    return any(
        _question_coverage(context.question, piece) > max(covered, STRONG_COVERAGE - 1e-9)
        and _check_clips(text, [piece], context).decision == "contradicted"
        for piece in others
    )


def _question_coverage(question: str, evidence: Evidence) -> float:
    sentences = timed_sentences(evidence.spans)
    return max((question_coverage(question, one.text, one.channel) for one in sentences), default=0.0)


def _sentences(evidence: Evidence) -> list[str]:
    return [sentence.text for sentence in timed_sentences(evidence.spans)]


def _without_times(text: str, cited: Sequence[Evidence]) -> str:
    """Remove times of the evidence from a claim: the prompt contains them, so they need no support."""
    ranges = [(e.start, e.end) for e in cited] + [(span.start, span.end) for e in cited for span in e.spans]
    times = {timestamp(time) for start_end in ranges for time in start_end}
    for time in sorted(times, key=len, reverse=True):
        text = text.replace(time, " ")
    return text


def _is_only_quoted(text: str) -> bool:
    """Return whether a claim says nothing beside its quotes: "They say: “at nine”"."""
    return not has_content(_QUOTED.sub(" ", text))


def _is_seen(cited: Sequence[Evidence], context: VerificationContext) -> bool:
    seen = (piece for piece in cited if piece.number in context.clips_with_frames)
    return any(not piece.is_irrelevant(context.options.min_margin) for piece in seen)


def _check_citations(parsed: ParsedClaim, shown: Mapping[int, Evidence]) -> _CheckedCitations:
    """Check the number, times and quotes of each citation. A quote gives its citation the time of the quoted words."""
    valid, removed = [], []
    for marker in dict.fromkeys(parsed.markers):
        if fault := _find_citation_fault(marker, shown):
            removed.append(RemovedCitation(marker=f"[{sanitize_for_display(marker.marker[1:-1])}]", reason=fault))
        else:
            valid.append(marker)
    matches = {marker.number: _match_quotes(parsed, shown[marker.number]) for marker in valid}
    citations = [c for marker in valid for c in _cite(marker, shown[marker.number], matches[marker.number])]
    matched = {quote: match for found in matches.values() for quote, match in found.items()}
    return _CheckedCitations(
        cited=tuple(shown[number] for number in matches),
        citations=tuple(dict.fromkeys(citations)),
        removed=tuple(removed),
        quotes=matched,
        has_false_quote=any(quote not in matched for quote in _quotes_to_check(parsed, shown)),
    )


def _quotes_to_check(parsed: ParsedClaim, shown: Mapping[int, Evidence]) -> list[str]:
    """Return the quotes that are not titles of clips: a title in quotation marks is a name."""
    titles = [split_words(shown[marker.number].title) for marker in parsed.markers if marker.number in shown]
    return [quote for quote in parsed.quotes if split_words(quote) not in titles]


def _find_citation_fault(marker: CitationMarker, shown: Mapping[int, Evidence]) -> str | None:
    if marker.number not in shown:
        return f"no clip {marker.number} was shown"
    evidence = shown[marker.number]
    for time in (marker.start, marker.end):
        if time is not None and not evidence.extent.start - _TOLERANCE <= time <= evidence.extent.end + _TOLERANCE:
            span = f"{timestamp(evidence.start)}-{timestamp(evidence.end)}"
            return f"{timestamp(time)} lies outside clip {evidence.number}, which is {span}"
    if marker.start is not None and marker.end is not None and marker.end < marker.start:
        return f"it ends at {timestamp(marker.end)}, before it begins"
    return None


def _match_quotes(parsed: ParsedClaim, evidence: Evidence) -> dict[str, QuoteMatch]:
    return {quote: match for quote in parsed.quotes if (match := find_quote(quote, evidence))}


def _cite(marker: CitationMarker, evidence: Evidence, matches: Mapping[str, QuoteMatch]) -> list[Citation]:
    if matches:
        return [evidence.cite((m.start, m.end), quote=m.text, channel=m.channel) for m in matches.values()]
    start = evidence.start if marker.start is None else marker.start
    end = evidence.end if marker.end is None else marker.end
    return [evidence.cite((min(max(start, evidence.start), evidence.end), min(max(end, evidence.start), evidence.end)))]


def _with_stored_quotes(text: str, quotes: Mapping[str, QuoteMatch]) -> str:
    """Replace the quotes of a claim by the stored text that they match."""
    for quote, match in quotes.items():
        for left, right in _QUOTATION_MARKS:
            text = text.replace(f"{left}{quote}{right}", f"“{match.text.rstrip('.')}”")
    return text
