"""Read and write the files of RankVideo's published scripts (arXiv 2602.02444).

    video -> queries   {video_id: [qid, …]}
    query texts        qid <tab> text
    first stage        {qid: {video_id: score}}
    relevance scores   a file for each video, `{video_id}_reranking_{model}.json`:
                       {video_id: {qid: {"logprob_yes": …, "logprob_no": …, "logit_delta": …, "p_yes": …}}}

A pair that could not be scored is written as nulls with a status and a reason, never as 0.0.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import (
    as_id,
    as_list,
    as_number,
    as_object,
    check_video_id,
    check_word,
    first_repeated,
    is_json,
    read_json,
    read_lines,
)
from rankvideo_rag.formats.trec import TrecRun, read_run
from rankvideo_rag.schema import Score

RelevanceScores = dict[str, dict[str, Score]]  # query id -> video id -> score
VideoQueries = dict[str, list[str]]  # video id -> ids of the queries that it is a candidate for

_HEADER_OF_IDS = frozenset("id qid query_id query-id queryid topic topic_id topicid number".split())
_HEADER_OF_TEXTS = frozenset("text query query_text query-text querytext question title topic".split())
_MARGIN, _OLD_MARGIN = "logit_delta", "logit_delta_yes_minus_no"
_NUMBERS = ("logprob_yes", "logprob_no", _MARGIN, "p_yes")


def read_video_queries(path: str | Path) -> VideoQueries:
    """Read the queries for which each video is to be scored. Ids that are whole numbers are read as their digits."""
    return {
        check_video_id(video, path): _query_ids(queries, f"{path}, {video!r}")
        for video, queries in as_object(read_json(path), "video ids", path).items()
    }


def read_queries(path: str | Path, *, header: bool = False) -> dict[str, str]:
    """Read the text of each query: an id, a tab and the text, which may hold tabs.

    With `header` the first line is skipped. Raises InputError for a first line that looks like a header without it, for a line
    without a tab, an id or a text, and for an id that occurs twice.
    """
    lines = read_lines(path)
    if header:
        next(lines, None)
    texts: dict[str, str] = {}
    for place, line in lines:
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
    """Write query texts, one a line. Raises InputError, before anything is written, for an id that is not one word."""
    lines = [f"{check_word(query, 'query id', path)}\t{' '.join(text.split())}\n" for query, text in texts.items()]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def load_run(path: str | Path) -> TrecRun:
    """Read a run: a TREC run file or published JSON, told apart by the first character."""
    if not is_json(path):
        return read_run(path)
    run: TrecRun = {}
    for query, scores in as_object(read_json(path), "query ids", path).items():
        place = f"{path}, {query!r}"
        run[check_word(query, "query id", path)] = {
            check_word(video, "video id", place): as_number(score, f"the score of {video!r}", place)
            for video, score in as_object(scores, "video ids", place).items()
        }
    return run


def scores_file_name(video: str, model: str) -> str:
    """Return the name of the file with a video's scores by a model, which is a hub name or a path."""
    return f"{check_video_id(video, 'relevance scores')}_reranking_{model_short_name(model)}.json"


def model_short_name(model: str) -> str:
    """Return the last part of a model's hub name or path: 'hltcoe/RankVideo' -> 'RankVideo'."""
    return model.rstrip("/").rpartition("/")[2]


def scores_to_json(video: str, scores: Mapping[str, Score]) -> bytes:
    """Encode one video's scores, query id -> score, as its file holds them."""
    entries = {query: _entry(score) for query, score in scores.items()}
    return (json.dumps({video: entries}, indent=1, allow_nan=False) + "\n").encode()


def read_scores_file(path: str | Path) -> RelevanceScores:
    """Read one video's scores. Raises InputError where the file's name does not begin with the video's id."""
    found: RelevanceScores = {}
    for video, entries in as_object(read_json(path), "video ids", path).items():
        if not Path(path).name.startswith(f"{video}_reranking_"):
            raise InputError(f"{path} holds scores of the video {video!r}: its name must begin with '{video}_reranking_'")
        for query, entry in as_object(entries, "query ids", f"{path}, {video!r}").items():
            place = f"{path}, {video!r}, {query!r}"
            found.setdefault(query, {})[video] = _score(as_object(entry, "numbers", place), place)
    return found


def read_scores(folder: str | Path, *, model: str | None = None) -> RelevanceScores:
    """Read every scores file of a folder, or those of one model.

    Raises InputError when there is none, and for a pair that is scored in two files.
    """
    ending = f"_reranking_{model_short_name(model)}.json" if model else ".json"
    files = sorted(file for file in Path(folder).glob("*_reranking_*.json") if file.name.endswith(ending))
    if not files:
        name = f"…_reranking_{model_short_name(model or 'MODEL')}.json"
        raise InputError(f"no relevance scores in {folder}: looked for files named {name}")
    found: RelevanceScores = {}
    origin: dict[tuple[str, str], str] = {}
    for file in files:
        for query, scores in read_scores_file(file).items():
            for video, score in scores.items():
                earlier = origin.setdefault((query, video), file.name)
                if earlier != file.name:
                    pair = f"query {query!r} and video {video!r}"
                    raise InputError(f"{pair} are scored in {earlier} and in {file.name}: name one model (--model)")
                found.setdefault(query, {})[video] = score
    return found


def _query_ids(value: Any, place: str) -> list[str]:
    ids = [as_id(query, "query id", place) for query in as_list(value, "the query ids", place)]
    if (twice := first_repeated(ids)) is not None:
        raise InputError(f"{place}: query {twice!r} stands in its list twice")
    return ids


def _entry(score: Score) -> dict[str, Any]:
    if score.margin is None:
        return {**dict.fromkeys(_NUMBERS), "status": score.status, "reason": score.reason or "no reason was given"}
    return dict(zip(_NUMBERS, (score.logprob_yes, score.logprob_no, score.margin, score.p_yes), strict=True))


def _score(entry: Mapping[str, Any], place: str) -> Score:
    margin = _margin(entry, place)
    if margin is None:
        status = "abstained" if entry.get("status") == "abstained" else "failed"
        return Score.model_validate({"status": status, "reason": str(entry.get("reason") or "no reason was written")})
    yes, no, p_yes = (_optional_number(entry, name, place) for name in ("logprob_yes", "logprob_no", "p_yes"))
    if margin == 0.0 and p_yes == 0.0:  # the p_yes of a margin of 0 is 0.5
        return Score(status="failed", reason="zeros: the original's mark for a pair that it could not score")
    if p_yes is not None and not 0 <= p_yes <= 1:
        raise InputError(f"{place}: p_yes = {p_yes} is not a probability")
    return Score(margin=margin, p_yes=p_yes, logprob_yes=yes, logprob_no=no)


def _margin(entry: Mapping[str, Any], place: str) -> float | None:
    """Return the margin under its present or its older name."""
    given = {_optional_number(entry, name, place) for name in (_MARGIN, _OLD_MARGIN) if name in entry}
    if not given:
        raise InputError(f"{place} has no {_MARGIN}: it has {', '.join(entry) or 'nothing'}")
    if len(given) > 1:
        raise InputError(f"{place}: {_MARGIN} and {_OLD_MARGIN} differ")
    return given.pop()


def _optional_number(entry: Mapping[str, Any], name: str, place: str) -> float | None:
    return None if entry.get(name) is None else as_number(entry[name], name, place)
