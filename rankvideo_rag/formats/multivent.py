"""Read MultiVENT 2.0 (arXiv 2410.11619; hltcoe/MultiVENT2.0 on the hub) as published, and write its submissions.

    queries      multivent_2_{train,test}_queries.csv    Query_id,query
    judgements   multivent_2_train_judgments.jsonl       {"query_id": …, "doc_id": …, "relevance": 0 to 3, facets …}
    submission   {query id: {video id: score}}           read back by `rankvideo.load_run`

The judgements' facets are labels of queries, which `rankvideo eval retrieval --slices` reads.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import as_id, as_integer, as_text, is_json, read_csv, read_json_lines
from rankvideo_rag.formats.trec import Qrels, check_unique, read_qrels

_CHANNEL = re.compile(r"_(base|speech|ocr|description|specific)_\d+")


class QrelsWithNotes(NamedTuple):
    """Judgements, and notes on their file."""

    qrels: Qrels
    notes: tuple[str, ...] = ()


def read_multivent_queries(path: str | Path) -> dict[str, str]:
    """Read query id -> text. Raises InputError for an empty text and for a repeated id."""
    texts: dict[str, str] = {}
    for place, cells in read_csv(path, ["Query_id", "query"]):
        query = as_id(cells["Query_id"], "query id", place)
        if query in texts:
            raise InputError(f"{place}: query {query!r} comes a second time: leave one of the two")
        texts[query] = as_text(cells["query"], f"the text of {query!r}", place)
    return texts


def read_multivent_qrels(path: str | Path) -> QrelsWithNotes:
    """Read the grades. The published file repeats two pairs with the same grade: they count once, and are noted.

    Raises InputError for a pair that has two grades.
    """
    qrels: Qrels = {}
    repeated = 0
    for place, row in read_json_lines(path, "query_id, doc_id and relevance"):
        query, video = (as_id(row.get(name), name, place) for name in ("query_id", "doc_id"))
        grade = as_integer(row.get("relevance"), "relevance", place)
        grades = qrels.setdefault(query, {})
        repeated += video in grades
        earlier = grades.setdefault(video, grade)
        if earlier != grade:
            raise InputError(f"{place}: query {query!r} and video {video!r} have the grade {earlier} and now {grade}")
    return QrelsWithNotes(qrels, (f"{path}: judgements given twice, with the same grade: {repeated}",) if repeated else ())


def load_qrels(path: str | Path) -> QrelsWithNotes:
    """Read judgements in MultiVENT's layout or as TREC qrels, told apart by the first character."""
    return read_multivent_qrels(path) if is_json(path) else QrelsWithNotes(read_qrels(path))


def evidence_channel(query: str) -> str | None:
    """Return the channel of a query's evidence, from its id: "base", "speech", "ocr", "description" or "specific".

    >>> evidence_channel("internvid_english_sports_pov_base_0")
    'base'
    """
    found = _CHANNEL.search(query)
    return found[1] if found else None


def write_submission(path: str | Path, rankings: Mapping[str, Sequence[str]]) -> None:
    """Write rankings, best video first, as the leaderboard expects them, with scores that count down to 1."""
    for query, videos in rankings.items():
        check_unique(query, videos)
    scores = {query: {v: len(videos) - i for i, v in enumerate(videos)} for query, videos in rankings.items()}
    Path(path).write_text(json.dumps(scores) + "\n", encoding="utf-8")
