"""Answers as a report looks at them: what was said, from which clips it was made, and whether its quotes stand in their words.

A file of answers is that of answers/reading.py. This file knows no measures.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.io import parse_answer
from rankvideo_rag.eval.answers.records import SystemAnswer
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.strict import read_json_lines


class ReportedAnswer(NamedTuple):
    """An answer, and what it was made from."""

    answer: SystemAnswer
    text: str  # as it was shown
    clips: tuple[Moment, ...]  # that the generator was given, best first; one without times lasts for ever
    seen: frozenset[int]  # positions of the statements that rest on pictures alone
    quotes: int
    quotes_found: int  # of these, that stand in the words of a clip of their video that the generator was given


def read_replies(path: str | Path, *, stems: bool = False) -> dict[str, ReportedAnswer]:
    """Query id -> reply. For `stems` and what it raises see `reading.read_answers`."""
    found: dict[str, ReportedAnswer] = {}
    for place, line in read_json_lines(path, "an answer"):
        reply = _reply(line, parse_answer(line, place=place, stems=stems), stems)
        if reply.answer.query_id in found:
            raise InputError(f"{place}: query {reply.answer.query_id!r} comes a second time: leave one of the two")
        found[reply.answer.query_id] = reply
    return found


def _reply(line: Mapping[str, Any], answer: SystemAnswer, stems: bool) -> ReportedAnswer:
    claims = [claim for claim in line.get("claims", ()) if claim["text"].strip()] if answer.statements else []
    quotes = [one for one in line["citations"] if one.get("quote")]
    return ReportedAnswer(
        answer=answer,
        text=line["answer"],
        clips=tuple(_moment(clip, stems) for clip in line["clips"]),
        seen=frozenset(place for place, claim in enumerate(claims) if claim.get("status") == "seen"),
        quotes=len(quotes),
        quotes_found=sum(_is_said(one, line) for one in quotes),
    )


def _moment(clip: Mapping[str, Any], stems: bool) -> Moment:
    end = math.inf if clip["end"] is None else clip["end"]
    return Moment(Path(clip["path"]).stem if stems else clip["video_id"], clip["start"] or 0.0, end)


def _is_said(citation: Mapping[str, Any], line: Mapping[str, Any]) -> bool:
    texts = [clip["text"] for clip in line["clips"] if clip["video_id"] == citation["video_id"]]
    return any(_plain(citation["quote"]) in _plain(text) for text in texts)


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
