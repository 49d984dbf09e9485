"""Explain the variance of a reranker's scores by the query alone, by the video alone, and by their sum.

RankVideo (arXiv 2602.02444) explains s(query, video) by the query's mean, the video's mean, and mean_q + mean_v - mean. A large
share of the video means that the reranker scores the video, not the pair. The last formula is the additive fit only where every
query has every video; here the fit is by least squares, and the formula's share is given beside it.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rankvideo_rag.backends import import_optional
from rankvideo_rag.schema import Record

sparse = import_optional("scipy.sparse", "significance")
linalg = import_optional("scipy.sparse.linalg", "significance")

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.intp]


class VarianceShares(Record):
    """Shares (R squared) of the variance over pairs; all None, with a reason, where there is none to explain."""

    pairs: int
    queries: int
    videos: int
    query: float | None = None  # by the mean of its query
    video: float | None = None  # by the mean of its video
    additive: float | None = None  # by one number a query plus one a video, least squares: at least as much as either
    published_additive: float | None = None  # by mean_q + mean_v - mean: less, even below 0, where pairs are missing
    query_by_chance: float | None = None  # expected of scores without any structure: (queries - 1) / (pairs - 1)
    video_by_chance: float | None = None
    reason: str | None = None


def explain_variance(scores: Mapping[str, Mapping[str, float]]) -> VarianceShares:
    """Return the shares of query id -> video id -> margin; queries need not share their videos."""
    rows = [(query, video, score) for query, of_query in scores.items() for video, score in of_query.items()]
    queries, videos = _numbered([query for query, _, _ in rows]), _numbered([video for _, video, _ in rows])
    values = np.array([score for _, _, score in rows], dtype=np.float64)
    counts = {"pairs": len(rows), "queries": len(set(queries.tolist())), "videos": len(set(videos.tolist()))}
    if len(rows) < 2 or np.ptp(values) == 0:
        return VarianceShares(**counts, reason="fewer than two pairs, or all their scores equal")
    centred = values - values.mean()
    by_query, by_video = _group_means(centred, queries), _group_means(centred, videos)
    return VarianceShares(
        **counts,
        query=_share(centred, by_query),
        video=_share(centred, by_video),
        additive=_share(centred, _additive_fit(centred, queries, videos)),
        published_additive=_share(centred, by_query + by_video),
        query_by_chance=(counts["queries"] - 1) / (len(rows) - 1),
        video_by_chance=(counts["videos"] - 1) / (len(rows) - 1),
    )


def _numbered(ids: list[str]) -> _Ints:
    numbers = {one: number for number, one in enumerate(dict.fromkeys(ids))}
    return np.array([numbers[one] for one in ids], dtype=np.intp)


def _group_means(values: _Floats, groups: _Ints) -> _Floats:
    """Return the mean of each value's group, one for each value."""
    means: _Floats = np.bincount(groups, weights=values) / np.bincount(groups)
    return means[groups]


def _share(values: _Floats, fit: _Floats) -> float:
    return float(1 - ((values - fit) ** 2).sum() / (values**2).sum())


def _additive_fit(values: _Floats, queries: _Ints, videos: _Ints) -> _Floats:
    """Fit one number for each query plus one for each video, by least squares."""
    columns = np.stack([queries, queries.max() + 1 + videos], axis=1).ravel()
    rows = np.repeat(np.arange(values.size), 2)
    design = sparse.csr_array((np.ones(columns.size), (rows, columns)))
    fit: _Floats = design @ linalg.lsqr(design, values, atol=1e-12, btol=1e-12, iter_lim=10 * values.size)[0]
    return fit
