"""Answers and references in JSON Lines, read strictly: every fault with its file and line.

    answers     what `rankvideo ask --json` prints, an object a line, with a query_id:
                {"query_id", "question", "answer", "citations", "clips", "answered"?, "claims"?: [{"text", "citations"}]}
    references  {"query_id", "question", "answerable", "answer"?, "claims": [{"text", "vital"?, "videos"?, "spans"?}]}

A claim of an answer cites by position in its citations, from 0; where an answer has no claims, its sentences are taken, each
with the `[title @ mm:ss]` that follow it. A claim of a reference names the videos that bear it out, and the spans
[video_id, start, end] in which they do.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.records import CitedSpan, Reference, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement, statements_of
from rankvideo_rag.formats.strict import JsonLine, as_id, read_json_lines
from rankvideo_rag.schema import Record
from rankvideo_rag.text import clean

Read = TypeVar("Read", Reference, SystemAnswer)
Kind = TypeVar("Kind", bound=Record)


def read_references(path: str | Path) -> dict[str, Reference]:
    """Query id -> reference. Raises InputError, with the line, for a field too many or too few, or an id that comes twice."""
    return {reference.query_id: reference for reference in _distinct(read_json_lines(path, "a reference"), _reference)}


def read_answers(path: str | Path, *, stems: bool = False) -> dict[str, SystemAnswer]:
    """Query id -> answer. As strict as `read_references` on the fields that are measured; others are passed over.

    An archive knows videos by their content. With `stems` they go by their file's name without suffix, as data sets name them.
    """
    rows = read_json_lines(path, "an answer")
    return {
        answer.query_id: answer for answer in _distinct(rows, lambda row: parse_answer(row.value, place=row.place, stems=stems))
    }


def write_references(path: str | Path, references: Sequence[Reference]) -> None:
    """Write references, one on each line."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{json.dumps(reference.model_dump(mode='json'), ensure_ascii=False)}\n" for reference in references)


def parse_answer(contract: Mapping[str, Any], *, place: str, stems: bool = False) -> SystemAnswer:
    """An answer from what `schema.to_json` makes of an Answer and its hits, and a query_id.

    For `stems` see `read_answers`. Raises InputError that begins with `place`.
    """
    query_id = as_id(contract.get("query_id"), "query_id", place)
    line = _validated(_AnswerLine, contract, place)
    answered = bool(line.citations) if line.answered is None else line.answered
    cited = tuple(CitedSpan(one.name(stems), one.start, one.end, _words(one, line.clips)) for one in line.citations)
    statements = _statements(line, place)
    places: list[_Place] = [*line.clips, *line.citations]
    files = {one.name(stems): one.path for one in places}
    shown = tuple(clip.text for clip in line.clips if clip.text.strip())
    return SystemAnswer(query_id, line.question, answered, tuple(statements) if answered else (), cited, shown, files)


class _Lenient(Record):
    """What is read of a line that carries more than is measured."""

    model_config = Record.model_config | {"extra": "ignore"}


class _Place(_Lenient):
    video_id: str
    path: str

    def name(self, stems: bool) -> str:
        return Path(self.path).stem if stems else self.video_id


class _CitationLine(_Place):
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    quote: str | None = None


class _ClipLine(_Place):
    title: str
    start: float | None
    end: float | None
    text: str


class _ClaimLine(_Lenient):
    text: str
    citations: tuple[int, ...]


class _AnswerLine(_Lenient):
    question: str
    answer: str
    answered: bool | None = None
    claims: tuple[_ClaimLine, ...] = ()
    citations: tuple[_CitationLine, ...]
    clips: tuple[_ClipLine, ...]


def _distinct(rows: Iterator[JsonLine], read: Callable[[JsonLine], Read]) -> Iterator[Read]:
    seen: set[str] = set()
    for row in rows:
        one = read(row)
        if one.query_id in seen:
            raise InputError(f"{row.place}: query {one.query_id!r} comes a second time: leave one of the two")
        seen.add(one.query_id)
        yield one


def _reference(row: JsonLine) -> Reference:
    return _validated(Reference, row.value | {"query_id": as_id(row.value.get("query_id"), "query_id", row.place)}, row.place)


def _validated(kind: type[Kind], value: Mapping[str, Any], place: str) -> Kind:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise InputError(f"{place}: {faults}") from error


def _statements(line: _AnswerLine, place: str) -> list[Statement]:
    if not line.claims:
        titles = {clip.video_id: _title(clip.title) for clip in line.clips}
        return statements_of(line.answer, [(titles.get(one.video_id), one.start) for one in line.citations])
    for claim in line.claims:
        outside = [position for position in claim.citations if not 0 <= position < len(line.citations)]
        if outside:
            there_are = f"there are {len(line.citations)}, counted from 0"
            raise InputError(f"{place}: the claim {claim.text[:60]!r} cites number {outside[0]} of the citations; {there_are}")
    return [Statement(claim.text, tuple(dict.fromkeys(claim.citations))) for claim in line.claims if claim.text.strip()]


def _title(title: str) -> str:
    """A title as answers show it."""
    return clean(title.replace("[", "(").replace("]", ")"), max_length=200)


def _words(cited: _CitationLine, clips: Sequence[_ClipLine]) -> str:
    """The words of all clips that share some time with what is cited, each after its title; the quote where they lack it."""
    around = [
        clip
        for clip in clips
        if clip.video_id == cited.video_id
        and clip.text.strip()
        and (clip.end is None or cited.start < clip.end)
        and (clip.start is None or clip.start < cited.end or clip.start == cited.start)
    ]
    passages = [f"{clip.title}\n{clip.text}" for clip in around]
    if cited.quote and not any(cited.quote in clip.text for clip in around):
        passages.append(cited.quote)
    return "\n".join(passages)
