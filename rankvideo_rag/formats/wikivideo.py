"""Read WikiVideo (arXiv 2504.00939; hltcoe/wikivideo on the hub): topics with graded videos, and claims with supporting videos.

    {topic: {"videos": {id: {"anon_scale_id": …, "relevance": 1 to 3}},
             "claims_to_supporting_videos": {claim: {"supporting_videos": [id, …], …}}, …}}

In the evaluation subset of MiRAGE's repository (arXiv 2510.24870), videos of the topics of 2025 have no grade, and some claims
name them by a part of a link.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.dataset import RetrievalDataset
from rankvideo_rag.formats.strict import as_id, as_integer, as_object, as_text, check_word, preview, read_json

_LINK = re.compile(r"watch\?v=([^&]+)(?:&.*)?")
_NO_GRADE = "videos without a grade, taken as grade 1"
_NO_NUMBER = "videos that have no number in MultiVENT 2.0, under their own id"
_LINKED = "supporting videos named as a link (watch?v=…), taken as the video"


def read_wikivideo(path: str | Path, *, multivent_ids: bool = False) -> RetrievalDataset:
    """Read the topics of a file as queries, by their names; a topic's nth claim has the id cn.

    With `multivent_ids`, videos get their ids in MultiVENT 2.0's test part, `anon_scale_id`. Raises InputError for a claim
    whose video is not among the topic's videos.
    """
    found, seen = RetrievalDataset(), Counter[str]()
    for topic, entry in as_object(read_json(path), "topics", path).items():
        place = f"{path}, {topic!r}"
        name = check_word(topic, "topic", path)
        of_topic = as_object(entry, "videos and claims_to_supporting_videos", place)
        videos = {
            video: as_object(about, "relevance", f"{place}, {video!r}")
            for video, about in as_object(of_topic.get("videos"), "videos", place).items()
        }
        ids = {video: _id(video, about, place, seen, multivent_ids) for video, about in videos.items()}
        claims = as_object(of_topic.get("claims_to_supporting_videos"), "claims", place)
        found.queries[name] = topic.replace("_", " ")
        found.qrels[name] = {ids[video]: _grade(about, f"{place}, {video!r}", seen) for video, about in videos.items()}
        found.claim_texts[name] = {f"c{n}": as_text(claim, "a claim", place) for n, claim in enumerate(claims, start=1)}
        found.claims[name] = {
            f"c{n}": frozenset(_supporting(as_object(about, "supporting_videos", place), ids, f"{place}, claim {n}", seen))
            for n, about in enumerate(claims.values(), start=1)
        }
    found.add_counts(path, seen)
    return found


def _id(video: str, about: dict[str, Any], place: str, seen: Counter[str], multivent_ids: bool) -> str:
    if multivent_ids and "anon_scale_id" in about:
        return as_id(about["anon_scale_id"], "anon_scale_id", f"{place}, {video!r}")
    seen.update([_NO_NUMBER] if multivent_ids else [])
    return check_word(video, "video id", place)


def _grade(about: dict[str, Any], place: str, seen: Counter[str]) -> int:
    if "relevance" not in about:
        seen[_NO_GRADE] += 1
        return 1
    return as_integer(about["relevance"], "relevance", place)


def _supporting(about: dict[str, Any], ids: dict[str, str], place: str, seen: Counter[str]) -> list[str]:
    videos = about.get("supporting_videos")
    if not isinstance(videos, list) or not all(isinstance(video, str) for video in videos):
        raise InputError(f"{place}: supporting_videos = {preview(videos)} is not a list of video ids")
    found = []
    for video in videos:
        link = None if video in ids else _LINK.fullmatch(video)
        seen.update([_LINKED] if link else [])
        name = link[1] if link else video
        if name not in ids:
            raise InputError(f"{place}: the supporting video {video!r} is not among the topic's videos")
        found.append(ids[name])
    return found
