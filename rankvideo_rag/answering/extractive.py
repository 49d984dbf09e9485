"""Answer without a language model: quote the sentences of the evidence that match the question.

A sentence is quoted if it contains at least half of the question's terms. If none does, the clips that RankVideo found
relevant are named instead.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.answering.answers import build_answer, quote_claim, seen_claim
from rankvideo_rag.answering.claim_check import restates
from rankvideo_rag.answering.evidence import Evidence, Sentence, split_sentences
from rankvideo_rag.schema import Answer, Claim, TextChannel
from rankvideo_rag.text import content_tokens, found_terms, stem
from rankvideo_rag.text import split_sentences as split_text

# Words of a question that ask for a kind of evidence: text of that channel matches them by what it is.
_CHANNEL_WORDS = {
    "speech": frozenset(map(stem, ("narrator", "speaker", "speech", "spoken", "voice"))),
    "on_screen": frozenset(map(stem, ("sign", "screen", "board", "written", "writing", "caption"))),
    "description": frozenset[str](),
}
MIN_COVERAGE = 0.5  # share of the question's terms that a quoted sentence must contain
STRONG_COVERAGE = 0.75  # share from which an answer must not omit a sentence
MAX_QUOTES = 3  # quotes or clips in an answer


class _Quote(NamedTuple):
    coverage: float
    sentence: Sentence


def quote_evidence(
    question: str, evidence: Sequence[Evidence], *, min_margin: float = 0.0, reason: str | None = None
) -> Answer:
    """Return the best matching quotes, else the relevant clips, else that the archive does not answer.

    A clip is relevant if RankVideo scored it at `min_margin` or higher. `reason` says why no claims of a model are shown.
    """
    quotes = _best_quotes(question, evidence)
    if quotes:
        return build_answer(question, [_quote_claim(quote.sentence) for quote in quotes], reason=reason)
    relevant = [piece for piece in evidence if piece.is_relevant(min_margin)][:MAX_QUOTES]
    if relevant:
        return build_answer(question, [seen_claim([piece.cite_frames() for piece in relevant])], reason=reason)
    return build_answer(question, [], reason=_why_not_answered(evidence, min_margin))


def has_matching_sentence(question: str, evidence: Sequence[Evidence]) -> bool:
    """Return whether a sentence of the evidence contains at least half of the question's terms."""
    return any(_best_quote(question, piece).coverage >= MIN_COVERAGE for piece in evidence if piece.spans)


def is_off_topic(question: str, cited: Sequence[Evidence], evidence: Sequence[Evidence], *, min_margin: float) -> bool:
    """Return whether the cited clips are not relevant and match no term of the question, while another clip matches most."""
    if any(e.is_relevant(min_margin) or (e.spans and _best_quote(question, e).coverage > 0) for e in cited):
        return False
    return any(_best_quote(question, piece).coverage >= STRONG_COVERAGE for piece in evidence if piece.spans)


def find_omitted_evidence(
    question: str, evidence: Sequence[Evidence], claims: Sequence[Claim], *, min_margin: float
) -> list[Claim]:
    """Return claims for the strong evidence that these claims omit.

    These are the best matching sentences, if they contain most of the question's terms, one of each clip that was not scored as
    irrelevant; and, if no cited clip relates to the question, the most relevant clip.
    """
    quotes = [_best_quote(question, e) for e in evidence if e.spans and not e.is_irrelevant(min_margin)]
    best = max((quote.coverage for quote in quotes), default=0.0)
    strong = [quote.sentence for quote in quotes if quote.coverage == best >= STRONG_COVERAGE]
    missing = [_quote_claim(sentence) for sentence in strong if not _is_covered(sentence, claims)]
    return missing or _missing_clip(question, evidence, claims, min_margin)


def _missing_clip(question: str, evidence: Sequence[Evidence], claims: Sequence[Claim], min_margin: float) -> list[Claim]:
    cited = [e for e in evidence if any(e.contains(citation) for claim in claims for citation in claim.citations)]
    if any(piece.is_relevant(min_margin) for piece in cited) or has_matching_sentence(question, cited):
        return []
    best = max(evidence, key=lambda piece: -math.inf if piece.margin is None else piece.margin)
    return [seen_claim([best.cite_frames()])] if best.is_relevant(min_margin) else []


def question_coverage(question: str, text: str, channel: TextChannel) -> float:
    """Return the share, from 0 to 1, of the question's terms that a text contains.

    Two adjacent terms may be written as one word, and a word that asks for a kind of evidence ("sign") matches evidence of that
    kind. Of several sentences in a question, the best covered one with two terms or more counts.

    >>> question_coverage("Where is the clean room?", "one of the largest cleanrooms in the world", "speech")
    1.0
    >>> question_coverage("Which number does the platform sign show?", "PLATFORM 12", "on_screen")  # platform, sign of three
    0.6666666666666666
    """
    sentences = [part for part in split_text(question) if len(content_tokens(part)) > 1]
    return max(_coverage(part, text, channel) for part in [question, *sentences])


def _coverage(question: str, text: str, channel: TextChannel) -> float:
    found = [is_found or term in _CHANNEL_WORDS[channel] for term, is_found in found_terms(question, text).items()]
    return sum(found) / len(found) if found else 0.0


def _quotes(question: str, evidence: Evidence) -> list[_Quote]:
    return [_Quote(question_coverage(question, s.text, s.channel), s) for s in split_sentences(evidence)]


def _best_quote(question: str, evidence: Evidence) -> _Quote:
    return max(_quotes(question, evidence), key=lambda quote: quote.coverage)


def _best_quotes(question: str, evidence: Sequence[Evidence]) -> list[_Quote]:
    quotes = [quote for piece in evidence for quote in _quotes(question, piece)]
    best = max((quote.coverage for quote in quotes), default=0.0)
    good = [quote for quote in quotes if quote.coverage >= max(MIN_COVERAGE, 0.75 * best)]
    ranked = sorted(good, key=lambda quote: -quote.coverage)  # stable: the better clip first
    distinct: dict[str, _Quote] = {}
    for quote in ranked:
        distinct.setdefault(quote.sentence.text.casefold(), quote)
    return list(distinct.values())[:MAX_QUOTES]


def _is_covered(sentence: Sentence, claims: Sequence[Claim]) -> bool:
    return any(
        sentence.evidence.contains(citation)
        and citation.start <= sentence.end
        and citation.end >= sentence.start
        and (citation.quote is not None or restates(claim.text, sentence.text))
        for claim in claims
        for citation in claim.citations
    )


def _quote_claim(sentence: Sentence) -> Claim:
    time = (sentence.start, sentence.end)
    return quote_claim(sentence.evidence.cite(time, quote=sentence.text, channel=sentence.channel))


def _why_not_answered(evidence: Sequence[Evidence], min_margin: float) -> str:
    if not evidence:
        return "no clip was found"
    margins = [piece.margin for piece in evidence if piece.margin is not None]
    scored = f"the best margin, {max(margins):+.2f}, is below {min_margin:+.2f}" if margins else "no clip was scored"
    return f"no text of the {len(evidence)} clips contains half of the question's terms, and {scored}"
