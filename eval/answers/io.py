"""Read and write answers and references as JSON Lines. Every error names the file and the line.

    answers     the output of `rankvideo ask --json`, one object per line, with a query_id:
                {"query_id", "question", "answer", "citations", "clips", "answered"?, "claims"?: [{"text", "citations", …}]}
    references  {"query_id", "question", "answerable", "answer"?, "claims": [{"text", "vital"?, "videos"?, "spans"?}]}

A claim of an answer cites by position in the citations, from 0; an answer without claims is split into sentences, each with
the `[title @ mm:ss]` that follow it. A claim of a reference names the videos and the spans [video_id, start, end] that support
it.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.records import CitedSpan, Reference, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement, split_statements
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.strict import AnyRecord, JsonLine, as_id, explain_faults, read_json_lines
from rankvideo_rag.schema import Record
from rankvideo_rag.text import clean

ByQuery = TypeVar("ByQuery", Reference, SystemAnswer)


def read_references(path: str | Path) -> dict[str, Reference]:
    """Read query id -> reference. Raises InputError for unknown, missing and invalid fields, and for a repeated id."""
    return read_by_query(path, "a reference", lambda row: validate(Reference, _with_id(row.value, row.place), row.place))


def read_answers(path: str | Path, *, stems: bool = False) -> dict[str, SystemAnswer]:
    """Read query id -> answer. As strict as `read_references` about the fields that are measured; others are ignored.

    Args:
        stems: name videos by their file's name without suffix, as data sets do, instead of by the archive's id.
    """
    return read_by_query(path, "an answer", lambda row: parse_answer(row.value, place=row.place, stems=stems))


def write_references(path: str | Path, references: Iterable[Reference]) -> None:
    """Write references, one per line."""
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{json.dumps(reference.model_dump(mode='json'), ensure_ascii=False)}\n" for reference in references)


def read_by_query(path: str | Path, keys: str, parse: Callable[[JsonLine], ByQuery]) -> dict[str, ByQuery]:
    """Read the lines of a file by their query id. Raises InputError for an id that is repeated."""
    found: dict[str, ByQuery] = {}
    for row in read_json_lines(path, keys):
        parsed = parse(row)
        if parsed.query_id in found:
            raise InputError(f"{row.place}: query {parsed.query_id!r} occurs a second time: remove one of the two")
        found[parsed.query_id] = parsed
    return found


def validate(kind: type[AnyRecord], value: Mapping[str, Any], place: str) -> AnyRecord:
    """Return the value as a record. Raises InputError with `place` and the invalid fields."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{place}: {explain_faults(error, whole='it')}") from error


def parse_answer(value: Mapping[str, Any], *, place: str, stems: bool = False) -> SystemAnswer:
    """Parse the output of `schema.to_json` for an Answer and its hits, with a query_id.

    For `stems` see `read_answers`. Raises InputError that begins with `place`.
    """
    line = validate(_AnswerLine, value, place)
    answered = bool(line.citations) if line.answered is None else line.answered
    statements = tuple(_statements(line, place))
    named: list[_VideoLine] = [*line.clips, *line.citations]
    verbatim = [_is_verbatim(one.quote, one.video_id, line.clips) for one in line.citations if one.quote]
    return SystemAnswer(
        query_id=_with_id(value, place)["query_id"],
        question=line.question,
        answered=answered,
        statements=statements if answered else (),
        citations=tuple(CitedSpan(one.name(stems), one.start, one.end, _text_of(one, line.clips)) for one in line.citations),
        clip_texts=tuple(clip.text for clip in line.clips if clip.text.strip()),
        video_paths={one.name(stems): one.path for one in named},
        display_text=line.answer,
        clips=tuple(clip.moment(stems) for clip in line.clips),
        quotes=len(verbatim),
        verified_quotes=sum(verbatim),
    )


class _Lenient(Record):
    """A record that ignores fields which are not measured."""

    model_config = Record.model_config | {"extra": "ignore"}


class _VideoLine(_Lenient):
    video_id: str
    path: str

    def name(self, stems: bool) -> str:
        return Path(self.path).stem if stems else self.video_id


class _CitationLine(_VideoLine):
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    quote: str | None = None


class _ClipLine(_VideoLine):
    title: str
    start: float | None
    end: float | None
    text: str

    def moment(self, stems: bool) -> Moment:
        return Moment(self.name(stems), self.start or 0.0, math.inf if self.end is None else self.end)


class _ClaimLine(_Lenient):
    text: str
    citations: tuple[int, ...]
    status: str = ""


class _AnswerLine(_Lenient):
    question: str
    answer: str
    answered: bool | None = None
    claims: tuple[_ClaimLine, ...] = ()
    citations: tuple[_CitationLine, ...]
    clips: tuple[_ClipLine, ...]


def _with_id(value: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {**value, "query_id": as_id(value.get("query_id"), "query_id", place)}


def _statements(line: _AnswerLine, place: str) -> list[Statement]:
    if not line.claims:
        titles = {clip.video_id: _displayed_title(clip.title) for clip in line.clips}
        return split_statements(line.answer, [(titles.get(one.video_id), one.start) for one in line.citations])
    for claim in line.claims:
        outside = [position for position in claim.citations if not 0 <= position < len(line.citations)]
        if outside:
            there_are = f"there are {len(line.citations)}, counted from 0"
            raise InputError(f"{place}: the claim {claim.text[:60]!r} cites number {outside[0]} of the citations; {there_are}")
    return [
        Statement(claim.text, tuple(dict.fromkeys(claim.citations)), visual=claim.status == "seen")
        for claim in line.claims
        if claim.text.strip()
    ]


def _displayed_title(title: str) -> str:
    return clean(title.replace("[", "(").replace("]", ")"), max_length=200)


def _text_of(cited: _CitationLine, clips: Sequence[_ClipLine]) -> str:
    """Join the text of all clips that overlap the cited span, each after its title, and the quote where they lack it."""
    around = [clip for clip in clips if clip.text.strip() and _overlaps(clip, cited)]
    passages = [f"{clip.title}\n{clip.text}" for clip in around]
    if cited.quote and not any(cited.quote in clip.text for clip in around):
        passages.append(cited.quote)
    return "\n".join(passages)


def _overlaps(clip: _ClipLine, cited: _CitationLine) -> bool:
    video, start, end = clip.moment(stems=False)
    return video == cited.video_id and cited.start < end and (start < cited.end or start == cited.start)


def _is_verbatim(quote: str, video_id: str, clips: Sequence[_ClipLine]) -> bool:
    return any(_normalize(quote) in _normalize(clip.text) for clip in clips if clip.video_id == video_id)


def _normalize(text: str) -> str:
    return " ".join(text.split()).casefold()
