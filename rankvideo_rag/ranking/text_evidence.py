"""Score the text of clips: it is as relevant as its best passage."""

from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.errors import ModelError
from rankvideo_rag.ranking.passage_scorer import PassageScorer, TermScorer

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
