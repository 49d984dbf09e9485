"""How rare the terms of a question are in an archive."""

import math
from typing import NamedTuple

# Passages that are counted in addition to those of the archive, and how many of them hold any term: in an archive of a few
# passages, a term that is there would otherwise weigh next to nothing beside one that is not.
PRIOR_PASSAGES, PRIOR_FREQUENCY = 20, 0.5


class TermStatistics(NamedTuple):
    """In how many passages of an archive terms occur."""

    passages: int  # of the archive, in all channels
    frequencies: dict[str, int]  # term -> passages that hold it

    def idf(self, term: str) -> float:
        """Return the inverse document frequency of a term as BM25 has it, log(1 + (N - n + 0.5) / (n + 0.5)).

        N and n include the prior counts. A term that was not asked for counts as one that no passage of the archive holds.

        >>> round(TermStatistics(100, {"telescope": 1}).idf("telescope"), 2)
        4.1
        """
        found = self.frequencies.get(term, 0) + PRIOR_FREQUENCY
        return math.log(1 + (self.passages + PRIOR_PASSAGES - found + 0.5) / (found + 0.5))
