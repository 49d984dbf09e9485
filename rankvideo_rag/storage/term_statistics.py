"""How rare the terms of a question are in an archive."""

import math
from typing import NamedTuple


class TermStatistics(NamedTuple):
    """In how many passages of an archive terms occur."""

    passages: int  # of the archive, in all channels
    frequencies: dict[str, int]  # term -> passages that hold it

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a term as BM25 has it, log(1 + (N - n + 0.5) / (n + 0.5)).

        A term that was not asked for counts as one that no passage holds.

        >>> round(TermStatistics(100, {"telescope": 1}).idf("telescope"), 2)
        4.21
        """
        found = self.frequencies.get(term, 0)
        return math.log(1 + (self.passages - found + 0.5) / (found + 0.5))
