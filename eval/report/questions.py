"""Read questions to ask, with their references and slices.

JSON lines   {"query_id", "question", "answerable"?, "answer"?, "claims"?: [{"text", "vital"?, "videos"?, "spans"?}], …}
             like references (answers/io.py), but "answerable" defaults to true, and any other field with a text or a list
             of texts is a label of the query, such as "language". "question_id" and "text" are accepted as well, as
             `rankvideo demo` writes them. Other fields are ignored.
two columns  id, tab, text: without references
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.io import read_by_query, validate
from rankvideo_rag.eval.answers.records import Reference
from rankvideo_rag.eval.slices import QueryLabels
from rankvideo_rag.formats.rankvideo import read_queries
from rankvideo_rag.formats.strict import JsonLine, as_id, as_text, is_json

_SYNONYMS = {"question_id": "query_id", "text": "question"}


class Questions(NamedTuple):
    """Questions to ask."""

    references: dict[str, Reference]  # query id -> question and correct answer
    labels: QueryLabels


def read_questions(path: str | Path) -> Questions:
    """Read a file of questions. Raises InputError, with the line, for an invalid one, and for a file without any."""
    labels: QueryLabels = {}

    def parse(row: JsonLine) -> Reference:
        value = {_SYNONYMS.get(name, name): content for name, content in row.value.items()}
        reference = _reference(value, row.place)
        for facet, of_query in _labels(value).items():
            labels.setdefault(facet, {})[reference.query_id] = of_query
        return reference

    if is_json(path):
        references = read_by_query(path, "query_id and question", parse)
    else:
        texts = read_queries(path)
        references = {query: Reference(query_id=query, question=text, answerable=True) for query, text in texts.items()}
    if not references:
        raise InputError(f"{path} holds no question")
    return Questions(references, labels)


def _reference(value: Mapping[str, Any], place: str) -> Reference:
    known = {name: value[name] for name in Reference.model_fields if name in value} | {
        "query_id": as_id(value.get("query_id"), "query_id", place),
        "question": as_text(value.get("question"), "question", place),
        "answerable": value.get("answerable", True),
    }
    return validate(Reference, known, place)


def _labels(value: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    others = {name: content for name, content in value.items() if name not in Reference.model_fields}
    lists = {name: content if isinstance(content, list) else [content] for name, content in others.items()}
    return {
        name: tuple(content)
        for name, content in lists.items()
        if content and all(isinstance(label, str) and label.strip() for label in content)
    }
