"""Score the text of clips: it is as relevant as its best passage."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rankvideo_rag.errors import ModelError
from rankvideo_rag.ranking.passage_scorer import PassageScorer, TermScorer
from rankvideo_rag.schema import TextSpan

MAX_PASSAGES = 6  # of a clip; of more, those with most of the question's words are scored


class TextScore(NamedTuple):
    """The probability that a clip's text answers a question, or why there is none: "abstained: …", "failed: …"."""

    probability: float | None = None
    passage: str | None = None  # the best one
    reason: str | None = None


NO_TEXT = TextScore(reason="abstained: no_text: nothing is said, written or described in this clip")


def score_texts(scorer: PassageScorer, question: str, texts: Sequence[Sequence[str]]) -> list[TextScore]:
    """Score clips, each given as its passages. Equal passages are scored once."""
    chosen = [_best_by_words(question, passages) for passages in texts]
    distinct = list(dict.fromkeys(passage for passages in chosen for passage in passages))
    try:
        found = dict(zip(distinct, scorer.score(question, distinct), strict=True))
    except ModelError as error:
        return [TextScore(reason=f"failed: model: {error}") if passages else NO_TEXT for passages in chosen]
    return [_best(passages, found) for passages in chosen]


def _best(passages: Sequence[str], probabilities: dict[str, float]) -> TextScore:
    if not passages:
        return NO_TEXT
    best = max(passages, key=probabilities.__getitem__)
    return TextScore(probabilities[best], best)


def _best_by_words(question: str, passages: Sequence[str]) -> Sequence[str]:
    if len(passages) <= MAX_PASSAGES:
        return passages
    scores = TermScorer().score(question, passages)
    ranked = sorted(range(len(passages)), key=lambda place: -scores[place])
    return [passages[place] for place in ranked[:MAX_PASSAGES]]


_SENTENCE_END = re.compile(r"(?<=[.!?。！？؟])\s+")
_MAX_WORDS = 45


def split_passages(spans: Sequence[TextSpan]) -> Iterator[str]:
    """Yield overlapping passages of up to three sentences of one channel."""
    for _, group in groupby(spans, key=lambda span: span.channel):
        sentences = _SENTENCE_END.split(" ".join(span.text for span in group))
        for first in range(len(sentences)):
            last = first + 1
            while last < min(first + 3, len(sentences)) and _count_words(sentences[first : last + 1]) <= _MAX_WORDS:
                last += 1
            yield " ".join(sentences[first:last])
            if last == len(sentences):
                break


def _count_words(sentences: Sequence[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)
