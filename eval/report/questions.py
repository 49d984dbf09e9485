"""Questions to ask, with what is right to say and the slices that they belong to.

    JSON lines   {"query_id", "question", "answerable"?, "answer"?, "claims"?: [{"text", "vital"?, "videos"?, "spans"?}], …}
                 as references are (answers/reading.py), but what is not said of "answerable" is yes, and any other field that
                 is a text or a list of texts is a label of the query: "language", "channel". The demo's files say
                 "question_id" and "text".
    two columns  id, tab, text: then nothing is known of what is right to say

What else a line holds is passed over. This file knows no archive.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.records import Reference
from rankvideo_rag.eval.slices import QueryLabels
from rankvideo_rag.formats.rankvideo import read_queries
from rankvideo_rag.formats.strict import JsonLine, as_id, as_text, first_line, read_json_lines

_OTHER_NAMES = {"question_id": "query_id", "text": "question"}


class Questions(NamedTuple):
    """What is to be asked."""

    references: dict[str, Reference]  # query id -> the question and what is right to say
    labels: QueryLabels


def read_questions(path: str | Path) -> Questions:
    """The questions of a file. Raises InputError, with the line, for one that cannot be used, and for a file without any."""
    first = first_line(path)
    if not first.lstrip().startswith("{"):
        texts = read_queries(path)
        found = Questions({q: Reference(query_id=q, question=text, answerable=True) for q, text in texts.items()}, {})
    else:
        found = _from_json(path)
    if not found.references:
        raise InputError(f"{path} holds no question")
    return found


def _from_json(path: str | Path) -> Questions:
    found = Questions({}, {})
    for row in read_json_lines(path, "query_id and question"):
        reference = _reference(row)
        if reference.query_id in found.references:
            raise InputError(f"{row.place}: query {reference.query_id!r} comes a second time: leave one of the two")
        found.references[reference.query_id] = reference
        for facet, labels in _labels(row.value).items():
            found.labels.setdefault(facet, {})[reference.query_id] = labels
    return found


def _reference(row: JsonLine) -> Reference:
    value = {_OTHER_NAMES.get(name, name): content for name, content in row.value.items()}
    known = {name: value[name] for name in Reference.model_fields if name in value} | {
        "query_id": as_id(value.get("query_id"), "query_id", row.place),
        "question": as_text(value.get("question"), "question", row.place),
        "answerable": value.get("answerable", True),
    }
    try:
        return Reference.model_validate(known)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(f"{row.place}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error


def _labels(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    others = {name: content for name, content in value.items() if _OTHER_NAMES.get(name, name) not in Reference.model_fields}
    lists = {name: content if isinstance(content, list) else [content] for name, content in others.items()}
    return {
        name: tuple(content)
        for name, content in lists.items()
        if content and all(isinstance(label, str) and label.strip() for label in content)
    }
