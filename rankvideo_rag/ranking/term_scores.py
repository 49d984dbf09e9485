"""Score passages by the terms that they share with a question: the share of the question's information that they hold.

BM25 (Robertson and Zaragoza 2009, section 3.4) divided by what a passage of usual length would score that holds all terms once,
the theoretical maximum of Bruch, Gai and Ingber (TOIS 2023, section 4.2). A term that no passage of the archive holds counts in
the divisor, so that one common word of a question about something else scores little. A term counts in part where it is not in
the passage but near it, or elsewhere in the video: what a video is about is often said only once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, pairwise
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

    def score(self, passages: Mapping[int, IndexedPassage]) -> dict[int, float]:
        """Return the scores, from 0 to 1, of passages that were found together.

        >>> terms = QuestionTerms({"dog": 3.0, "person": 1.0}, {})
        >>> dog = IndexedPassage("one", 1, "speech", 0.0, "dog" + 39 * " x")
        >>> far = IndexedPassage("one", 2, "speech", 600.0, "person" + 39 * " x")
        >>> terms.score({1: dog, 2: far, 3: far._replace(video_id="two")})
        {1: 0.7875, 2: 0.3625, 3: 0.25}
        """
        weights = np.array(list(self.idf.values()))
        if not passages or not weights.sum():
            return dict.fromkeys(passages, 0.0)
        numbers = sorted(passages, key=lambda number: (passages[number].video_id, passages[number].start))
        ordered = [passages[number] for number in numbers]
        values = _with_context(self._strengths(ordered), ordered) @ weights / weights.sum()
        return {number: round(min(1.0, value), 4) for number, value in zip(numbers, values.tolist(), strict=True)}

    def _strengths(self, passages: Sequence[IndexedPassage]) -> NDArray[np.float64]:
        """Return BM25's saturated frequency of each term (passages, terms), less than K1 + 1."""
        columns = {term: (column,) for column, term in enumerate(self.idf)}
        places = dict(columns)
        for word, pair in self.joined.items():
            places[word] = (*places.get(word, ()), *(columns[term][0] for term in set(pair) & columns.keys()))
        has_phrases = any(" " in term for term in columns)
        counts, lengths = np.zeros((len(passages), len(columns))), np.zeros((len(passages), 1))
        for row, passage in enumerate(passages):
            tokens = passage.tokens.split()
            lengths[row] = len(tokens)
            for phrase in chain(tokens, map(" ".join, pairwise(tokens)) if has_phrases else ()):
                for column in places.get(phrase, ()):
                    counts[row, column] += 1
        return counts * (K1 + 1) / (counts + K1 * (1 - B + B * lengths / USUAL_TOKENS))


def _with_context(strengths: NDArray[np.float64], passages: Sequence[IndexedPassage]) -> NDArray[np.float64]:
    """Return strengths, raised where a term is near or elsewhere in the video, of passages ordered by video and start."""
    videos = {video: number for number, video in enumerate(dict.fromkeys(passage.video_id for passage in passages))}
    video = np.array([videos[passage.video_id] for passage in passages])
    starts = np.array([passage.start for passage in passages])
    time = starts + video * (starts.max() + 2 * NEAR_SECONDS)  # of all videos, one after the other
    near = _greatest(strengths, time - NEAR_SECONDS, time + NEAR_SECONDS, time)
    anywhere = np.minimum(_greatest(strengths, video, video, video), 1.0)
    raised: NDArray[np.float64] = np.maximum.reduce([strengths, NEAR_CREDIT * near, VIDEO_CREDIT * anywhere])
    return raised


def _greatest(
    values: NDArray[np.float64], low: NDArray[np.floating], high: NDArray[np.floating], keys: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return for each row the greatest values (n, terms) of the rows whose ascending keys are from its low to its high."""
    bounds = np.stack([np.searchsorted(keys, low, side="left"), np.searchsorted(keys, high, side="right")], axis=1)
    padded = np.vstack([values, np.zeros((1, values.shape[1]))])  # a bound may be the number of rows
    greatest: NDArray[np.float64] = np.maximum.reduceat(padded, bounds.ravel(), axis=0)[::2]
    return greatest
