"""Score passages by the terms that they share with a question: the share of the question's information that they hold.

BM25 (Robertson and Zaragoza 2009, section 3.4) divided by what a passage of usual length would score that holds all terms once,
the theoretical maximum of Bruch, Gai and Ingber (TOIS 2023, section 4.2). A term that no passage of the archive holds counts in
the divisor, so that one common word of a question about something else scores little.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

from rankvideo_rag.storage.term_statistics import TermStatistics
from rankvideo_rag.text import joined_terms, query_terms

K1, B = 1.2, 0.75  # saturation and length normalisation, the usual values
USUAL_TOKENS = 40  # of a passage


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

    def score(self, text: str) -> float:
        """Return the score, from 0 to 1, of a text as the full-text index stores it.

        >>> terms = QuestionTerms({"dog": 3.0, "person": 1.0}, {})
        >>> terms.score("dog"), round(terms.score("a person " + 39 * "x "), 2)
        (1.0, 0.24)
        """
        if not (total := sum(self.idf.values())):
            return 0.0
        padded = f" {text} ".replace(" ", "  ")  # neighbours do not share a space, so that repetitions are counted
        counts = {term: padded.count(f" {term.replace(' ', '  ')} ") for term in self.idf}
        for word, pair in self.joined.items():
            for term in set(pair) & counts.keys():
                counts[term] += padded.count(f" {word} ")
        damping = K1 * (1 - B + B * (text.count(" ") + 1) / USUAL_TOKENS)
        return min(1.0, sum(self.idf[term] * n * (K1 + 1) / (n + damping) for term, n in counts.items()) / total)
