"""The order of videos for a query, before and after reranking: pure, from dictionaries to lists."""

from collections.abc import Mapping, Sequence

from rankvideo_rag.formats.trec import TrecRun


def first_stage_order(run: TrecRun) -> dict[str, list[str]]:
    """Videos by score, best first, equal scores in order of id.

    That is how RankVideo's evaluation orders them; trec_eval breaks ties by descending id (trec.rank_documents).
    """
    return {query: sorted(scores, key=lambda video: (-scores[video], video)) for query, scores in run.items()}


def reranked(first_stage: Sequence[str], margins: Mapping[str, float | None], *, depth: int | None = None) -> list[str]:
    """The first `depth` videos by margin, equal ones and those without a margin, which come last, as they stood; then the rest.

    >>> reranked(["a", "b", "c", "d"], {"a": None, "b": -1.0, "c": 2.0, "d": 9.0}, depth=3)
    ['c', 'b', 'a', 'd']
    """
    block = list(first_stage[:depth])
    known = {video: margin for video in block if (margin := margins.get(video)) is not None}
    scored = sorted(known, key=lambda video: -known[video])  # a stable sort: ties stay as they stood
    return [*scored, *(video for video in block if video not in known), *first_stage[len(block) :]]
