"""MultiVENT 2.0 (arXiv 2410.11619; hltcoe/MultiVENT2.0 on the hub) as it is published: queries, judgements, submissions.

    queries      multivent_2_{train,test}_queries.csv    Query_id,query
    judgements   multivent_2_train_judgments.jsonl       {"query_id": …, "doc_id": …, "relevance": 0 to 3, facets …}
    submission   {query id: {video id: score}}           the first stage's layout, read by published.read_first_stage

The judgements' facets are labels for slices.py. This file knows no measures.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.delimited import delimited_rows
from rankvideo_rag.formats.strict_json import id_of, json_rows, shown, text_of
from rankvideo_rag.formats.text_io import numbered_lines
from rankvideo_rag.formats.trec import Qrels, check_distinct, read_qrels

_CHANNEL = re.compile(r"_(base|speech|ocr|description|specific)_\d+")


class Judgements(NamedTuple):
    """Grades, and what about their file should be known."""

    qrels: Qrels
    notes: tuple[str, ...] = ()


def read_multivent_queries(path: str | Path) -> dict[str, str]:
    """Query id -> text. Raises InputError for an empty text and for an id that comes twice."""
    texts: dict[str, str] = {}
    for place, cells in delimited_rows(path, ["Query_id", "query"]):
        query = id_of(cells["Query_id"], "query id", place)
        if query in texts:
            raise InputError(f"{place}: query {query!r} comes a second time: leave one of the two")
        texts[query] = text_of(cells["query"], f"the text of {query!r}", place)
    return texts


def read_multivent_judgements(path: str | Path) -> Judgements:
    """The grades. The published file has two pairs twice, with the same grade: such lines are counted once, and noted.

    Raises InputError for a pair that has two grades.
    """
    qrels: Qrels = {}
    repeated = 0
    for place, row in json_rows(path, "query_id, doc_id and relevance"):
        query, video = (id_of(row.get(name), name, place) for name in ("query_id", "doc_id"))
        grade = row.get("relevance")
        if not isinstance(grade, int) or isinstance(grade, bool):
            raise InputError(f"{place}: relevance = {shown(grade)} is no whole number")
        earlier = qrels.setdefault(query, {}).setdefault(video, grade)
        if earlier != grade:
            raise InputError(f"{place}: query {query!r} and video {video!r} have the grade {earlier} and now {grade}")
        repeated += 1
    repeated -= sum(len(grades) for grades in qrels.values())
    return Judgements(qrels, (f"{path}: judgements given twice, with the same grade: {repeated}",) if repeated else ())


def read_judgements(path: str | Path) -> Judgements:
    """Judgements in MultiVENT's layout or as TREC qrels, told apart by the first character."""
    first = next((line.text for line in numbered_lines(path)), "")
    return read_multivent_judgements(path) if first.lstrip().startswith("{") else Judgements(read_qrels(path))


def channel_of(query: str) -> str | None:
    """The channel that holds a query's evidence, which its id names: "base", "speech", "ocr", "description", "specific".

    >>> channel_of("internvid_english_sports_pov_base_0")
    'base'
    """
    found = _CHANNEL.search(query)
    return found[1] if found else None


def write_submission(path: str | Path, rankings: Mapping[str, Sequence[str]]) -> None:
    """Write rankings, best video first, as the leaderboard takes them, with scores that count down to 1."""
    for query, videos in rankings.items():
        check_distinct(query, videos)
    scores = {query: {v: len(videos) - i for i, v in enumerate(videos)} for query, videos in rankings.items()}
    Path(path).write_text(json.dumps(scores) + "\n", encoding="utf-8")
