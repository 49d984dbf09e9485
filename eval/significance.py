"""Is a difference between two systems more than chance? Paired, over the queries that both were measured on.

The randomisation test and the bootstrap, which agree with the t-test and need no normal distribution (Smucker, Allan and
Carterette, CIKM 2007), and Holm's correction where several systems are held against one. Many columns, of measures and systems,
share each draw. Draws are seeded: the same numbers give the same p. Pure: this file knows no runs.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.float64]  # (queries, columns)
ROUNDS = 10_000
SEED = 20_260_202
CONFIDENCE = 0.95
_EXACT_UP_TO = 13  # differences that are not 0: 2**13 signs are fewer than ROUNDS
_CELLS = 4_000_000  # of a draw, held at once: 32 MB


def permutation_p_value(differences: Sequence[float], *, rounds: int = ROUNDS, seed: int = SEED) -> float:
    """How often the mean is at least this far from 0 when every query's sign is a coin's: two-sided.

    Exact where few queries differ, else (1 + as far) / (1 + rounds), which is never 0. Queries without a difference count not.
    """
    moved = np.array([difference for difference in differences if difference != 0], dtype=np.float64)
    if moved.size == 0:
        return 1.0
    seen = abs(moved.sum()) * (1 - 1e-12)  # the same sum in another order may come out a bit less
    if moved.size <= _EXACT_UP_TO:
        return float((np.abs(_signs(moved.size) @ moved) >= seen).mean())
    rng = np.random.default_rng(seed)
    as_far = sum(int((np.abs(_flipped(moved, draws, rng)) >= seen).sum()) for draws in _portions(rounds, moved.size))
    return (1 + as_far) / (1 + rounds)


def bootstrap_means(values: Columns, *, rounds: int = ROUNDS, seed: int = SEED) -> Columns:
    """The means of every column over queries drawn with replacement: (rounds, columns). A draw is the same for all columns."""
    rng = np.random.default_rng(seed)
    queries = len(values)
    found = []
    for draws in _portions(rounds, queries):
        drawn = rng.integers(0, queries, size=(draws, queries)) + queries * np.arange(draws)[:, None]
        times = np.bincount(drawn.ravel(), minlength=draws * queries).reshape(draws, queries)
        found.append(times @ values / queries)
    return np.concatenate(found)


def percentiles(means: Columns, *, confidence: float = CONFIDENCE) -> Columns:
    """The interval that holds so much of the bootstrap's means: (columns, 2), low and high."""
    outside = (1 - confidence) / 2
    return np.quantile(means, [outside, 1 - outside], axis=0).T.astype(np.float64)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of one family of tests, corrected so that the chance of any false finding stays within each (Holm 1979).

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected


def _signs(n: int) -> npt.NDArray[np.float64]:
    """Every way to sign n numbers: (2**n, n) of -1 and 1."""
    bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return (1 - 2 * bits).astype(np.float64)


def _flipped(moved: npt.NDArray[np.float64], draws: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Sums of the differences, each sign drawn: (draws,)."""
    bits = np.unpackbits(rng.integers(0, 256, size=(draws, -(-moved.size // 8)), dtype=np.uint8), axis=1, count=moved.size)
    found: npt.NDArray[np.float64] = moved.sum() - 2.0 * (bits @ moved)
    return found


def _portions(rounds: int, width: int) -> list[int]:
    """The rounds in portions whose draws fit in memory."""
    size = max(1, min(rounds, _CELLS // max(width, 1)))
    return [min(size, rounds - begun) for begun in range(0, rounds, size)]
