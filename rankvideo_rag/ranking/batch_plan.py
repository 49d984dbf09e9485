"""Select the pairs of queries and videos of a batch, and group them by video."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.rankvideo import VideoQueries
from rankvideo_rag.formats.trec import TrecRun
from rankvideo_rag.ranking.scores import first_stage_order


class CandidatePairs(NamedTuple):
    """The pairs to score, and the order from which reranking starts."""

    order: dict[str, list[str]]  # query -> videos, best first
    wanted: dict[str, list[str]]  # query -> those of them to score


class VideoTask(NamedTuple):
    """All queries to score against one video."""

    video: str
    texts: dict[str, str | None]  # query id -> text; None where there is no text for it


def select_pairs(
    first_stage: TrecRun | None, video_queries: VideoQueries | None, *, depth: int | None = None
) -> CandidatePairs:
    """Return the pairs to score: those of `video_queries`, or else all of the first stage; for each query its top `depth`.

    Without a first stage, videos start in the order of their file. Raises InputError for a pair that is in `video_queries` but
    not in the first stage, since such files do not belong together, and when there is no pair at all.
    """
    if first_stage is None:
        if depth is not None:
            raise InputError("a depth needs an order to count in: give the first stage too (--first-stage)")
        order = _by_query(video_queries or {})
        found = CandidatePairs(order, order)
    else:
        order = first_stage_order(first_stage)
        wanted = {query: videos[:depth] for query, videos in order.items()}
        if video_queries is not None:
            chosen = _check_pairs(video_queries, first_stage)
            wanted = {query: [video for video in videos if (query, video) in chosen] for query, videos in wanted.items()}
        found = CandidatePairs(order, wanted)
    if not any(found.wanted.values()):
        raise InputError("there is no pair to score: give --video2queries, --first-stage or both, with at least one pair")
    return found


def group_by_video(wanted: Mapping[str, Sequence[str]], texts: Mapping[str, str]) -> list[VideoTask]:
    """Group the pairs by video, each with the text of its query."""
    tasks: dict[str, dict[str, str | None]] = defaultdict(dict)
    for query, videos in wanted.items():
        for video in videos:
            tasks[video][query] = texts.get(query)
    return [VideoTask(video, asked) for video, asked in tasks.items()]


def _by_query(video_queries: VideoQueries) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for video, queries in video_queries.items():
        for query in queries:
            found[query].append(video)
    return dict(found)


def _check_pairs(video_queries: VideoQueries, first_stage: TrecRun) -> set[tuple[str, str]]:
    pairs = {(query, video) for video, queries in video_queries.items() for query in queries}
    for query, video in pairs:
        if video not in first_stage.get(query, {}):
            raise InputError(f"query {query!r} and video {video!r} are to be scored, but are not in the first stage")
    return pairs
