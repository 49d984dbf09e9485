"""What RankVideo's published scripts (arXiv 2602.02444) take: read strictly, every fault with its file and line or key.

    video -> queries   {video_id: [qid, …]}
    query texts        qid <tab> text
    first stage        {qid: {video_id: score}}

What they give is in verdicts.py. This file runs no models.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict_json import as_number, as_object, check_word, preview, read_json
from rankvideo_rag.formats.text_io import read_lines
from rankvideo_rag.formats.trec import TrecRun, read_run

VideoQueries = dict[str, list[str]]  # video id -> ids of the queries that it is a candidate for

_HEADER_OF_IDS = frozenset("id qid query_id query-id queryid topic topic_id topicid number".split())
_HEADER_OF_TEXTS = frozenset("text query query_text query-text querytext question title topic".split())


def read_video_queries(path: str | Path) -> VideoQueries:
    """The queries for which each video is to be judged. Whole numbers are taken for ids as they are written."""
    return {
        check_video_id(video, path): _query_ids(queries, f"{path}, {video!r}")
        for video, queries in as_object(read_json(path), "video ids", path).items()
    }


def read_queries(path: str | Path, *, header: bool = False) -> dict[str, str]:
    """The text of each query: what stands before the first tab is the id, all that follows it, tabs too, is the text.

    With `header`, the first line is left out. Without it a first line that names columns is refused, so that it never becomes
    a query; so are a line without a tab, an id or a text, and an id that comes twice.
    """
    lines = read_lines(path)
    if header:
        next(lines, None)
    texts: dict[str, str] = {}
    for number, line in lines:
        place = f"{path}, line {number}"
        query, tab, text = line.partition("\t")
        if not (texts or header) and query.strip().lower() in _HEADER_OF_IDS and text.strip().lower() in _HEADER_OF_TEXTS:
            raise InputError(f"{place} looks like a header ({line!r}): delete it, or say that there is one (--header)")
        if not tab:
            raise InputError(f"{place} has no tab: each line is a query id, a tab and the query's text: {line[:80]!r}")
        check_word(query, "query id", place)
        if not text.strip():
            raise InputError(f"{place}: query {query!r} has no text")
        if query in texts:
            raise InputError(f"{place}: query {query!r} comes a second time: leave one of the two")
        texts[query] = text
    return texts


def write_queries(path: str | Path, texts: Mapping[str, str]) -> None:
    """Write query texts, each on one line. Raises InputError, before anything is written, for an id that is not one word."""
    lines = [f"{check_word(query, 'query id', path)}\t{' '.join(text.split())}\n" for query, text in texts.items()]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def load_run(path: str | Path) -> TrecRun:
    """A first stage: the published JSON, or a TREC run, told apart by the first character."""
    first = next((line.text for line in read_lines(path)), "")
    if not first.lstrip().startswith("{"):
        return read_run(path)
    run: TrecRun = {}
    for query, scores in as_object(read_json(path), "query ids", path).items():
        place = f"{path}, {query!r}"
        run[check_word(query, "query id", path)] = {
            check_word(video, "video id", place): as_number(score, f"the score of {video!r}", place)
            for video, score in as_object(scores, "video ids", place).items()
        }
    return run


def check_video_id(video: str, place: str | Path) -> str:
    """The video's id, if it can be a word of a run and part of a file's name. Raises InputError."""
    check_word(video, "video id", place)
    if any(character in video for character in "/\\\0") or video in (".", ".."):
        raise InputError(f"{place}: the video id {video!r} cannot be part of a file's name")
    return video


def _query_ids(queries: Any, place: str) -> list[str]:
    if not isinstance(queries, list):
        raise InputError(f"{place}: a list of query ids is needed, found {preview(queries)}")
    ids: dict[str, None] = {}
    for query in queries:
        if not isinstance(query, str | int) or isinstance(query, bool):
            raise InputError(f"{place}: a query id is needed, found {preview(query)}")
        if str(query) in ids:
            raise InputError(f"{place}: query {str(query)!r} stands in its list twice")
        ids[check_word(str(query), "query id", place)] = None
    return list(ids)
