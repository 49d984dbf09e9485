"""An answer without a language model: the sentences of the evidence that speak of what is asked, quoted as they stand.

A sentence is quoted when it holds at least half of what the question is about. When no words do, the clips that RankVideo
watched and found relevant are named instead: there the picture is the evidence.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.answering.answers import SEEN, answer_of
from rankvideo_rag.answering.evidence import Evidence, Sentence, sentences
from rankvideo_rag.answering.support import plain, tells
from rankvideo_rag.schema import Answer, Citation, Claim, TextChannel
from rankvideo_rag.text import content_terms, stem, terms

# Words of a question that ask for a kind of evidence: evidence of that kind holds them by being what it is.
_KIND_WORDS = {
    "speech": frozenset({"narrator", "speaker", "speech", "spoken", "voice"}),
    "on_screen": frozenset({"sign", "screen", "board", "written", "writing", "caption"}),
    "description": frozenset[str](),
}
_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟])\s+")
SUPPORT = 0.5  # share of the question's terms that a quoted sentence must hold
STRONG = 0.75  # share from which on a sentence may not be passed over
MOST = 3  # quotes or clips in an answer


class _Quote(NamedTuple):
    support: float
    sentence: Sentence


def extract(question: str, shown: Sequence[Evidence], *, min_margin: float = 0.0, reason: str | None = None) -> Answer:
    """The best supported quotes, or the clips seen to be relevant, or that the archive does not answer this, and why.

    A clip is seen to be relevant where RankVideo gave it at least `min_margin`. `reason` says why a model's words are not
    shown.
    """
    quotes = _quotes(question, shown)
    if quotes:
        return answer_of(question, [_claim(quote.sentence) for quote in quotes], reason=reason)
    seen = [evidence for evidence in shown if is_relevant(evidence, min_margin)][:MOST]
    if seen:
        return answer_of(question, [_seen(seen)], reason=reason)
    return answer_of(question, [], reason=_why_not(shown, min_margin))


def is_supported(question: str, shown: Sequence[Evidence]) -> bool:
    """Whether a sentence of the evidence holds at least half of what is asked."""
    return any(_best(question, evidence).support >= SUPPORT for evidence in shown if evidence.spans)


def is_beside_the_point(question: str, cited: Sequence[Evidence], shown: Sequence[Evidence], *, min_margin: float) -> bool:
    """Whether clips hold no word of what is asked and were not seen to show it, while another clip holds most of it."""
    if any(is_relevant(e, min_margin) or (e.spans and _best(question, e).support > 0) for e in cited):
        return False
    return any(_best(question, evidence).support >= STRONG for evidence in shown if evidence.spans)


def is_relevant(evidence: Evidence, min_margin: float) -> bool:
    """Whether RankVideo watched the clip and gave it at least that margin."""
    return evidence.margin is not None and evidence.margin >= min_margin


def passed_over(question: str, shown: Sequence[Evidence], claims: Sequence[Claim], *, min_margin: float) -> list[Claim]:
    """The evidence that no answer may keep quiet about, as far as these claims do.

    These are the sentences that hold more of what is asked than any other, if that is most of it, one of each clip that was
    not judged irrelevant; and, where nothing that is named bears on the question at all, the clip seen to be most relevant.
    """
    open_to_words = [e for e in shown if e.spans and (e.margin is None or is_relevant(e, min_margin))]
    best = [_best(question, evidence) for evidence in open_to_words]
    most = max((quote.support for quote in best), default=0.0)
    missing = [q.sentence for q in best if q.support == most >= STRONG and not _is_told(q.sentence, claims)]
    if missing:
        return [_claim(sentence) for sentence in missing]
    relevant = [evidence for evidence in shown if is_relevant(evidence, min_margin)]
    named = [e for e in shown if any(e.holds(citation) for claim in claims for citation in claim.citations)]
    if relevant and not any(e in relevant or is_supported(question, [e]) for e in named):
        return [_seen([max(relevant, key=lambda evidence: evidence.margin or 0.0)])]
    return []


def support(question: str, text: str, channel: TextChannel) -> float:
    """The share, from 0 to 1, of the question's terms that a text holds. Two neighbours may be written as one word, and a
    word that asks for a kind of evidence ("sign") is held by evidence of that kind. Of a question of several sentences the
    one counts that is held best, if it has two terms or more.

    >>> support("Where is the clean room?", "one of the largest cleanrooms in the world", "speech")
    1.0
    >>> support("Which number does the platform sign show?", "PLATFORM 12", "on_screen")  # platform and sign of three
    0.6666666666666666
    """
    return max(_support(part, text, channel) for part in _parts(question))


def _support(question: str, text: str, channel: TextChannel) -> float:
    asked = content_terms(question)
    held = {stem(term) for term in terms(text)}
    found = [stem(term) in held or term in _KIND_WORDS[channel] for term in asked]
    for i, (first, second) in enumerate(pairwise(asked)):
        if stem(first + second) in held:
            found[i] = found[i + 1] = True
    return sum(found) / len(asked) if asked else 0.0


def _parts(question: str) -> list[str]:
    """The question, and its sentences."""
    sentences = _SENTENCE_END.split(question)
    return [question, *(part for part in sentences if len(content_terms(part)) > 1)]


def quoted(citation: Citation) -> Claim:
    """The claim that a citation's words are said, written or described there. Links in them are not shown as such."""
    return Claim(text=f"“{plain(citation.quote or '')}”", status="quoted", citations=(citation,), support=1.0)


def _quotes(question: str, shown: Sequence[Evidence]) -> list[_Quote]:
    every = [_Quote(support(question, s.text, s.channel), s) for evidence in shown for s in sentences(evidence)]
    best = max((quote.support for quote in every), default=0.0)
    good = [quote for quote in every if quote.support >= max(SUPPORT, 0.75 * best)]
    ranked = sorted(good, key=lambda quote: -quote.support)  # stable: the better clip first
    distinct = {quote.sentence.text.casefold(): quote for quote in reversed(ranked)}
    return [quote for quote in ranked if distinct[quote.sentence.text.casefold()] is quote][:MOST]


def _best(question: str, evidence: Evidence) -> _Quote:
    every = (_Quote(support(question, s.text, s.channel), s) for s in sentences(evidence))
    return max(every, key=lambda quote: quote.support)


def _is_told(sentence: Sentence, claims: Sequence[Claim]) -> bool:
    return any(
        sentence.evidence.holds(citation)
        and citation.start <= sentence.end
        and citation.end >= sentence.start
        and (citation.quote is not None or tells(claim.text, sentence.text))
        for claim in claims
        for citation in claim.citations
    )


def _claim(sentence: Sentence) -> Claim:
    return quoted(sentence.evidence.cite(sentence.start, sentence.end, sentence.text, sentence.channel))


def _seen(shown: Sequence[Evidence]) -> Claim:
    return Claim(text=SEEN, status="seen", citations=tuple(evidence.cite_what_is_seen() for evidence in shown))


def _why_not(shown: Sequence[Evidence], min_margin: float) -> str:
    if not shown:
        return "no clip was found"
    margins = [evidence.margin for evidence in shown if evidence.margin is not None]
    judged = f"the best margin, {max(margins):+.2f}, is below {min_margin:+.2f}" if margins else "no clip was judged"
    return f"no words of the {len(shown)} clips hold half of what is asked, and {judged}"
