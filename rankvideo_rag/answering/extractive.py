"""An answer without a language model: the sentences of the evidence that speak of what is asked, quoted as they stand.

A sentence is quoted when it holds at least half of what the question is about. When no words do, the clips that RankVideo
watched and found relevant are named instead: there the picture is the evidence.
"""

from itertools import pairwise
from typing import NamedTuple

from rankvideo_rag.answering.citations import answer, in_words
from rankvideo_rag.answering.evidence import Evidence, Sentence, sentences
from rankvideo_rag.schema import Answer, Citation, WordChannel
from rankvideo_rag.text import content_terms, stem, terms

# Words of a question that ask for a kind of evidence: evidence of that kind holds them by being what it is.
_KIND_WORDS = {
    "speech": frozenset({"narrator", "speaker", "speech", "spoken", "voice"}),
    "on_screen": frozenset({"sign", "screen", "board", "written", "writing", "caption"}),
    "description": frozenset[str](),
}
SUPPORT = 0.5  # share of the question's terms that a quoted sentence must hold
MOST = 3  # quotes or clips in an answer


class _Quote(NamedTuple):
    support: float
    sentence: Sentence


def extract(question: str, shown: list[Evidence]) -> Answer:
    """The best supported quotes, or the clips seen to be relevant, or that the archive does not answer this."""
    quotes = _quotes(question, shown)
    if quotes:
        cited = [_cited(quote.sentence) for quote in quotes]
        text = " ".join(f"“{citation.quote}” {in_words(citation)}" for citation in cited)
        return answer(question, text, cited, [])
    seen = [evidence for evidence in shown if evidence.margin is not None and evidence.margin > 0][:MOST]
    cited = [evidence.cite_what_is_seen() for evidence in seen]
    return answer(question, f"Seen in {', '.join(map(in_words, cited))}.", cited, [])


def support(question: str, text: str, channel: WordChannel) -> float:
    """The share, from 0 to 1, of the question's terms that a text holds. Two neighbours may be written as one word, and a
    word that asks for a kind of evidence ("sign") is held by evidence of that kind.

    >>> support("Where is the clean room?", "one of the largest cleanrooms in the world", "speech")
    1.0
    >>> support("Which number does the platform sign show?", "PLATFORM 12", "on_screen")  # platform and sign of three
    0.6666666666666666
    """
    asked = content_terms(question)
    held = {stem(term) for term in terms(text)}
    found = [stem(term) in held or term in _KIND_WORDS[channel] for term in asked]
    for i, (first, second) in enumerate(pairwise(asked)):
        if stem(first + second) in held:
            found[i] = found[i + 1] = True
    return sum(found) / len(asked) if asked else 0.0


def _quotes(question: str, shown: list[Evidence]) -> list[_Quote]:
    every = [_Quote(support(question, s.text, s.channel), s) for evidence in shown for s in sentences(evidence)]
    best = max((quote.support for quote in every), default=0.0)
    good = [quote for quote in every if quote.support >= max(SUPPORT, 0.75 * best)]
    ranked = sorted(good, key=lambda quote: -quote.support)  # stable: the better clip first
    distinct = {quote.sentence.text.casefold(): quote for quote in reversed(ranked)}
    return [quote for quote in ranked if distinct[quote.sentence.text.casefold()] is quote][:MOST]


def _cited(sentence: Sentence) -> Citation:
    return sentence.evidence.cite(sentence.start, sentence.end, sentence.text)
