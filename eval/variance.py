"""How much of a reranker's scores is told by the query alone, by the video alone, and by both added up.

RankVideo (arXiv 2602.02444) explains s(query, video) by the query's mean, the video's mean, and mean_q + mean_v - mean. A
great share of the video means that the reranker scores the video, not the pair. That last formula is the additive fit only
where every query has every video; here it is the least-squares fit, and the formula's share stands beside it.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from rankvideo_rag.schema import Record

_Floats = npt.NDArray[np.float64]
_Ints = npt.NDArray[np.intp]


class VarianceShares(Record):
    """Shares (R squared) of the variance over pairs; all None, with a reason, where there is none to explain."""

    pairs: int
    queries: int
    videos: int
    query: float | None  # by the mean of its query
    video: float | None  # by the mean of its video
    additive: float | None  # by one number a query plus one a video, least squares: at least as much as either
    published_additive: float | None  # by mean_q + mean_v - mean: less, even below 0, where pairs are missing
    query_by_chance: float | None  # what scores without any structure would show: (queries - 1) / (pairs - 1)
    video_by_chance: float | None
    reason: str | None = None


def explain_variance(scores: Mapping[str, Mapping[str, float]]) -> VarianceShares:
    """The shares of query id -> video id -> margin; queries need not share their videos."""
    rows = [(query, video, score) for query, of_query in scores.items() for video, score in of_query.items()]
    queries, videos = _numbered([row[0] for row in rows]), _numbered([row[1] for row in rows])
    counts = {"pairs": len(rows), "queries": len(set(queries.tolist())), "videos": len(set(videos.tolist()))}
    values = np.array([row[2] for row in rows], dtype=np.float64)
    if len(rows) < 2 or np.ptp(values) == 0:
        none = dict.fromkeys(("query", "video", "additive", "published_additive", "query_by_chance", "video_by_chance"))
        return VarianceShares(**counts, **none, reason="fewer than two pairs, or all their scores equal")
    centred = values - values.mean()
    by_query, by_video = _means(centred, queries)[queries], _means(centred, videos)[videos]
    return VarianceShares(
        **counts,
        query=_share(centred, by_query),
        video=_share(centred, by_video),
        additive=_share(centred, _additive(centred, queries, videos)),
        published_additive=_share(centred, by_query + by_video),
        query_by_chance=(counts["queries"] - 1) / (len(rows) - 1),
        video_by_chance=(counts["videos"] - 1) / (len(rows) - 1),
    )


def _numbered(ids: list[str]) -> _Ints:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(one, len(numbers)) for one in ids], dtype=np.intp)


def _sums(values: _Floats, groups: _Ints) -> _Floats:
    return np.bincount(groups, weights=values).astype(np.float64)


def _means(values: _Floats, groups: _Ints) -> _Floats:
    return _sums(values, groups) / np.bincount(groups)


def _share(values: _Floats, fit: _Floats) -> float:
    return float(1 - ((values - fit) ** 2).sum() / (values**2).sum())


def _additive(values: _Floats, queries: _Ints, videos: _Ints) -> _Floats:
    """The least-squares fit of a number for each query and one for each video.

    Given the queries' numbers, each video's is the mean of what is left. Put into the normal equations, that leaves equations
    in the queries alone, which conjugate gradients solve without a matrix of queries by videos.
    """

    def without_videos(left: _Floats) -> _Floats:
        return left - _means(left, videos)[videos]

    def equations(of_queries: _Floats) -> _Floats:
        return _sums(without_videos(of_queries[queries]), queries)

    right = _sums(without_videos(values), queries)
    of_queries = _conjugate_gradients(equations, right, enough=1e-20 * float(values @ values))[queries]
    return of_queries + _means(values - of_queries, videos)[videos]


def _conjugate_gradients(equations: Callable[[_Floats], _Floats], right: _Floats, *, enough: float) -> _Floats:
    """A solution, which need not be the only one, of symmetric and consistent equations, to a squared error of `enough`."""
    solution, rest = np.zeros_like(right), right.copy()
    direction, size = rest.copy(), float(rest @ rest)
    for _ in range(2 * right.size):
        if size <= enough:
            break
        along = equations(direction)
        step = size / float(direction @ along)
        solution += step * direction
        rest -= step * along
        size, before = float(rest @ rest), size
        direction = rest + (size / before) * direction
    return solution
