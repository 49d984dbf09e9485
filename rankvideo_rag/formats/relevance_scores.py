"""RankVideo's published result: one file a video, `{video_id}_reranking_{model}.json`.

    {video_id: {qid: {"logprob_yes": …, "logprob_no": …, "logit_delta": …, "p_yes": …}}}

A pair that could not be scored is written as nulls beside a status and a reason, never as 0.0. Nothing here orders or measures.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.published import check_video_id
from rankvideo_rag.formats.strict_json import as_number, as_object, read_json
from rankvideo_rag.schema import Score

RelevanceScores = dict[str, dict[str, Score]]  # query id -> video id -> score

_MARGIN, _OLD_MARGIN = "logit_delta", "logit_delta_yes_minus_no"
_NUMBERS = ("logprob_yes", "logprob_no", _MARGIN, "p_yes")


def scores_file_name(video: str, model: str) -> str:
    """The name of the file with a video's verdicts; of the model, a hub name or a path, it bears the last part."""
    return f"{check_video_id(video, 'verdicts')}_reranking_{model_short_name(model)}.json"


def model_short_name(model: str) -> str:
    """The model's name without what stands before it: 'hltcoe/RankVideo' -> 'RankVideo'."""
    return model.rstrip("/").rpartition("/")[2]


def scores_to_json(video: str, scores: Mapping[str, Score]) -> bytes:
    """One video's scores, query id -> score, as its file holds them."""
    entries = {query: _entry(score) for query, score in scores.items()}
    return (json.dumps({video: entries}, indent=1, allow_nan=False) + "\n").encode()


def read_scores_file(path: str | Path) -> RelevanceScores:
    """One file. A video whose id is not the beginning of the file's name is refused: one of the two is wrong."""
    found: RelevanceScores = {}
    for video, entries in as_object(read_json(path), "video ids", path).items():
        if not Path(path).name.startswith(f"{video}_reranking_"):
            raise InputError(f"{path} holds verdicts on the video {video!r}: its name must begin with '{video}_reranking_'")
        for query, entry in as_object(entries, "query ids", f"{path}, {video!r}").items():
            place = f"{path}, {video!r}, {query!r}"
            found.setdefault(query, {})[video] = _score(as_object(entry, "numbers", place), place)
    return found


def read_scores(folder: str | Path, *, model: str | None = None) -> RelevanceScores:
    """Every file of a folder, of one model where that is given.

    Raises InputError when there is none, and for a pair that stands in two files.
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
                    raise InputError(f"{pair} are judged in {earlier} and in {file.name}: name one model (--model)")
                found.setdefault(query, {})[video] = score
    return found


def _entry(score: Score) -> dict[str, Any]:
    if score.margin is None:
        return {**dict.fromkeys(_NUMBERS), "status": score.status, "reason": score.reason or "no reason was given"}
    return dict(zip(_NUMBERS, (score.logprob_yes, score.logprob_no, score.margin, score.p_yes), strict=True))


def _score(entry: Mapping[str, Any], place: str) -> Score:
    margin = _margin(entry, place)
    if margin is None:
        status = "abstained" if entry.get("status") == "abstained" else "failed"
        return Score.model_validate({"status": status, "reason": str(entry.get("reason") or "no reason was written")})
    yes, no, p_yes = (_optional(entry, name, place) for name in ("logprob_yes", "logprob_no", "p_yes"))
    if margin == 0.0 and p_yes == 0.0:  # the p_yes of a margin of 0 is 0.5
        return Score(status="failed", reason="zeros: the original's mark for a pair that it could not score")
    if p_yes is not None and not 0 <= p_yes <= 1:
        raise InputError(f"{place}: p_yes = {p_yes} is no probability")
    return Score(margin=margin, p_yes=p_yes, logprob_yes=yes, logprob_no=no)


def _margin(entry: Mapping[str, Any], place: str) -> float | None:
    """The margin under its present or its older name. Raises InputError where it has neither, or both and they differ."""
    said = {_optional(entry, name, place) for name in (_MARGIN, _OLD_MARGIN) if name in entry}
    if not said:
        raise InputError(f"{place} has no {_MARGIN}: it has {', '.join(entry) or 'nothing'}")
    if len(said) > 1:
        raise InputError(f"{place}: {_MARGIN} and {_OLD_MARGIN} differ")
    return said.pop()


def _optional(entry: Mapping[str, Any], name: str, place: str) -> float | None:
    return None if entry.get(name) is None else as_number(entry[name], name, place)
