"""Test whether the difference between two systems is more than chance, over the queries that both were measured on.

Randomization test and bootstrap, which agree with the t-test without assuming a normal distribution (Smucker, Allan and
Carterette, CIKM 2007), and Holm's correction where several systems are compared with one. Equal inputs give equal results.
"""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import numpy.typing as npt

from rankvideo_rag.backends import import_optional
from rankvideo_rag.schema import Record

stats = import_optional("scipy.stats", "significance")

Columns = npt.NDArray[np.float64]  # (queries, columns)
ROUNDS = 10_000
SEED = 20_260_202
CONFIDENCE = 0.95
_MAX_CELLS = 200_000  # random numbers held at once: 1.6 MB, which fits in a processor cache


class PairedDifference(Record):
    """What changed between two systems, over the same queries."""

    mean: float
    low: float  # bootstrap interval over queries
    high: float
    p: float  # randomization test, two-sided
    better: int  # queries
    worse: int
    equal: int

    @property
    def is_significant(self) -> bool:
        """Whether both the test and the interval show a difference."""
        return self.p <= 1 - CONFIDENCE and not self.low <= 0 <= self.high


def paired_difference(differences: Sequence[float]) -> PairedDifference:
    """Summarize and test the differences of one measure, one for each query."""
    (low, high), *_ = bootstrap_intervals(np.array(differences, dtype=np.float64)[:, None])
    return PairedDifference(
        mean=fmean(differences),
        low=low,
        high=high,
        p=permutation_p_value(differences),
        better=sum(difference > 0 for difference in differences),
        worse=sum(difference < 0 for difference in differences),
        equal=sum(difference == 0 for difference in differences),
    )


def permutation_p_value(differences: Sequence[float], *, rounds: int = ROUNDS) -> float:
    """Return how often the mean is at least this far from 0 when the sign of every difference is drawn: two-sided.

    Exact where at most `rounds` combinations of signs exist, else (1 + as far) / (1 + rounds), which is never 0. Differences of
    0 do not count.
    """
    changed = np.array([difference for difference in differences if difference != 0], dtype=np.float64)
    if changed.size < 2:
        return 1.0  # either sign is as far from 0
    options = {"vectorized": True, "n_resamples": rounds, "batch": _batch(changed.size), "alternative": "greater"}
    if 2**changed.size <= rounds:
        found = stats.permutation_test((changed,), _distance, permutation_type="samples", **options)
    else:  # drawing signs is much faster than the permutations of `permutation_test`
        rng = np.random.default_rng(SEED)
        found = stats.monte_carlo_test(changed, lambda size: rng.choice((-1.0, 1.0), size=size) * changed, _distance, **options)
    return float(found.pvalue)


def bootstrap_intervals(values: Columns, *, rounds: int = ROUNDS) -> Columns:
    """Return the 95 % percentile interval of every column's mean over queries drawn with replacement.

    Shape (columns, 2): low and high. All columns, and all calls with as many queries, share their draws.
    """
    queries = len(values)
    if queries == 1:
        return np.repeat(values.T, 2, axis=1)

    def means(drawn: npt.NDArray[np.intp], axis: int) -> Columns:
        """Return (columns, draws). Counting the draws of each query is faster than gathering their values."""
        rows = drawn.reshape(-1, queries)
        numbered = rows + queries * np.arange(len(rows))[:, None]
        counts = np.bincount(numbered.ravel(), minlength=rows.size).reshape(rows.shape)
        return (counts @ values / queries).T.reshape(-1, *drawn.shape[:-1])

    found = stats.bootstrap(
        (np.arange(queries),),
        means,
        confidence_level=CONFIDENCE,
        n_resamples=rounds,
        batch=_batch(queries),
        method="percentile",
        rng=SEED,
        vectorized=True,
    ).confidence_interval
    return np.stack([found.low, found.high], axis=1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct the p-values of one family of tests so that the chance of any false finding stays within each (Holm 1979).

    >>> [round(p, 4) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for place, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        corrected[i] = largest
    return corrected


def _distance(samples: Columns, axis: int) -> Columns:
    distance: Columns = np.abs(np.sum(samples, axis=axis))
    return distance


def _batch(queries: int) -> int:
    return max(1, _MAX_CELLS // queries)
