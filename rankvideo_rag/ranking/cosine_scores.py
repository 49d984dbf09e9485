"""Normalise cosines: by how far they stand out from those of everything else in the archive.

Some clip always is the nearest to a question, so a first place means nothing, and neither does the cosine itself, whose range
depends on the model. A cosine counts by its distance from the median, and the whole channel counts by whether more items stand
out than chance gives: among N items, N * P(Z > z) lie z standard deviations beyond it by chance. A channel that knows nothing
of a question adds little, in archives of any size.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

SAMPLE = 2048  # vectors that the distribution of an archive's cosines is estimated from
FULL = 8.0  # standard deviations above the median that score 1
TRUST_FLOOR = 0.3  # of a channel in which nothing stands out: a paraphrase may be near without standing out
TRUST_MIDPOINT = 3.0  # log of the excess over chance at which a channel is half trusted
_QUARTILE = 0.6745  # of the standard normal distribution
_MIN_SCALE = 1e-3  # cosines of float16 vectors differ by as much


class Background(NamedTuple):
    """The distribution of a question's cosines with what does not answer it, taken as normal."""

    location: float
    scale: float
    sample: int  # cosines that it was estimated from

    @classmethod
    def estimate(cls, cosines: NDArray[np.floating]) -> Self:
        """Estimate it from the cosines (n,) of a sample of the archive.

        Median and quartiles, the nearer one: up to a fifth of the items may answer the question, and another part may be far
        from all questions, such as text in a language that the model does not know.
        """
        low, median, high = np.quantile(cosines, (0.25, 0.5, 0.75))
        scale = max(min(median - low, high - median) / _QUARTILE, _MIN_SCALE)
        return cls(float(median), float(scale), len(cosines))

    def deviation(self, cosine: float) -> float:
        """Return by how many standard deviations a cosine exceeds the background.

        Corrected for small samples: a value of Student's t with (sample - 1) / 2 degrees of freedom, as a quartile is less
        precise than a standard deviation, becomes the equally likely normal value (Wallace 1959).
        """
        t, freedom = (cosine - self.location) / self.scale, (self.sample - 1) / 2
        if freedom < 1:
            return 0.0
        normal = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
        return math.copysign(normal, t)


def score_cosines(
    cosines: Mapping[int, float], background: Background, *, among: int, same_kind: bool = False
) -> dict[int, float]:
    """Return scores from 0 to 1 of the items with the greatest cosines, out of `among` items, in the same order.

    With `same_kind`, question and items are both text, so that a cosine of 1, the same text, scores 1. A question and a picture
    never come near 1: there FULL standard deviations score 1.
    """
    deviations = {item: background.deviation(cosine) for item, cosine in cosines.items()}
    trust = TRUST_FLOOR + (1 - TRUST_FLOOR) * _trust(sorted(deviations.values(), reverse=True), among)
    if same_kind:
        span = max(1.0 - background.location, _MIN_SCALE)
        shares = {item: (cosine - background.location) / span for item, cosine in cosines.items()}
    else:
        shares = {item: deviation / FULL for item, deviation in deviations.items()}
    return {item: trust * min(1.0, max(0.0, share)) for item, share in shares.items()}


def _trust(deviations: list[float], among: int) -> float:
    """Return how surely more items stand out than by chance, from 0 to 1."""
    excess = (math.log(rank / among) - _log_tail(z) for rank, z in enumerate(deviations, start=1))
    return 1 / (1 + math.exp(TRUST_MIDPOINT - min(50.0, max(excess, default=0.0))))


def _log_tail(z: float) -> float:
    """Return log P(Z > z) of the standard normal distribution."""
    return math.log(0.5 * math.erfc(z / math.sqrt(2))) if z < 30 else -z * z / 2
