"""Score passages by the terms that they share with a question: the share of the question's information that they hold.

BM25 (Robertson and Zaragoza 2009, section 3.4) divided by what a passage of usual length would score that holds all terms once,
the theoretical maximum of Bruch, Gai and Ingber (TOIS 2023, section 4.2). A term that no passage of the archive holds counts in
the divisor, so that one common word of a question about something else scores little. A term counts in part where it is not in
the passage but near it, or elsewhere in the video: what a video is about is often said only once.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.storage.passages import IndexedPassage
from rankvideo_rag.storage.term_statistics import TermStatistics
from rankvideo_rag.text import joined_terms, query_terms

K1, B = 1.2, 0.75  # saturation and length normalisation, the usual values
USUAL_TOKENS = 40  # of a passage
NEAR_SECONDS = 15.0
NEAR_CREDIT = 0.3  # of a term that is not in the passage but in one that starts so near
VIDEO_CREDIT = 0.15  # of one that is elsewhere in the video


class QuestionTerms(NamedTuple):
    """The terms of a question with their weights."""

    idf: dict[str, float]  # phrase of the full-text index -> inverse document frequency
    joined: dict[str, tuple[str, str]]  # two neighbouring terms written as one word

    @classmethod
    def of(cls, question: str, statistics: Callable[[Iterable[str]], TermStatistics]) -> Self:
        """Return the terms of a question, weighted by their statistics in an archive."""
        terms = query_terms(question)
        found = statistics(terms)
        return cls({term: found.idf(term) for term in terms}, joined_terms(question))

    def strengths(self, text: str) -> NDArray[np.float64]:
        """Return BM25's saturated frequency of each term, less than K1 + 1, in a text as the full-text index stores it."""
        padded = f" {text} ".replace(" ", "  ")  # neighbours do not share a space, so that repetitions are counted
        counts = {term: padded.count(f" {term.replace(' ', '  ')} ") for term in self.idf}
        for word, pair in self.joined.items():
            for term in set(pair) & counts.keys():
                counts[term] += padded.count(f" {word} ")
        found = np.array(list(counts.values()), dtype=np.float64)
        return found * (K1 + 1) / (found + K1 * (1 - B + B * (text.count(" ") + 1) / USUAL_TOKENS))

    def score(self, passages: Mapping[int, IndexedPassage]) -> dict[int, float]:
        """Return the scores, from 0 to 1, of passages that were found together.

        >>> terms = QuestionTerms({"dog": 3.0, "person": 1.0}, {})
        >>> dog = IndexedPassage("one", 1, "speech", 0.0, "dog" + 39 * " x")
        >>> far = IndexedPassage("one", 2, "speech", 600.0, "person" + 39 * " x")
        >>> terms.score({1: dog, 2: far, 3: far._replace(video_id="two")})
        {1: 0.7875, 2: 0.3625, 3: 0.25}
        """
        weights = np.array(list(self.idf.values()))
        if not weights.sum():
            return dict.fromkeys(passages, 0.0)
        scores: dict[int, float] = {}
        for _, group in groupby(sorted(passages, key=lambda n: passages[n].video_id), key=lambda n: passages[n].video_id):
            numbers = list(group)
            strengths = np.array([self.strengths(passages[number].tokens) for number in numbers])
            starts = np.array([passages[number].start for number in numbers])
            values = _with_context(strengths, starts) @ weights / weights.sum()
            scores |= {number: round(min(1.0, float(value)), 4) for number, value in zip(numbers, values, strict=True)}
        return scores


def _with_context(strengths: NDArray[np.float64], starts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the strengths (passages of a video, terms), raised where a term is near or anywhere in the video."""
    order = np.argsort(starts, kind="stable")
    first = np.searchsorted(starts[order], starts - NEAR_SECONDS, side="left")
    last = np.searchsorted(starts[order], starts + NEAR_SECONDS, side="right")
    near = np.array([strengths[order[i:j]].max(axis=0) for i, j in zip(first, last, strict=True)])
    anywhere = np.minimum(strengths.max(axis=0), 1.0)
    raised: NDArray[np.float64] = np.maximum.reduce(
        [strengths, NEAR_CREDIT * near, np.broadcast_to(VIDEO_CREDIT * anywhere, strengths.shape)]
    )
    return raised
