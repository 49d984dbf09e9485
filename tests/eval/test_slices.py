"""Labels of queries, and means over the queries of each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.slices import NO_LABEL, read_query_labels, slice_queries


def test_labels_are_read_from_tables_without_empty_cells(write_file: Callable[[Any], Path]) -> None:
    expected = {"language": {"q1": ("en",), "q2": ("zh",)}, "type": {"q1": ('"ocr"',)}}
    assert read_query_labels(write_file('query_id\tlanguage\ttype\nq1\ten\t"ocr"\nq2\tzh\t\n')) == expected
    assert read_query_labels(write_file('query_id,query,language,type\nq1,"a, b",en,"""ocr"""\nq2,c,zh,\n')) == expected


def test_multivent_judgements_are_labels_and_a_query_may_have_several(write_file: Callable[[Any], Path]) -> None:
    rows = [
        {"query_id": "q1", "doc_id": "v1", "relevance": 3, "video_language": "en", "video_modality": ["speech", "ocr"]},
        {"query_id": "q1", "doc_id": "v2", "relevance": 1, "video_language": "ar", "video_modality": None},
    ]
    found = read_query_labels(write_file("\n".join(json.dumps(row) for row in rows)))
    assert found == {"video_language": {"q1": ("en", "ar")}, "video_modality": {"q1": ("speech", "ocr")}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("query_id\nq1\n", "has no labels"),
        ("query\tlanguage\nq1\ten\n", "has no column query_id"),
        ('{"query_id": "q1", "language": 3}\n', "line 1: language = 3: a label is a text"),
        ('{"language": "en"}\n', "line 1: the query_id null must be a word"),
    ],
)
def test_faulty_labels_are_refused(write_file: Callable[[Any], Path], content: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_query_labels(write_file(content))
    assert words in str(error.value)


def test_every_query_is_in_a_slice_and_one_with_two_labels_in_two() -> None:
    values = {"run": {"q1": {"RR": 1.0}, "q2": {"RR": 0.5}, "q3": {"RR": 0.0}}}
    found = slice_queries({"language": {"q1": ("en",), "q2": ("en", "ar"), "strange": ("ko",)}}, values)
    assert [(one.facet, one.label, one.queries, one.means) for one in found] == [
        ("language", "en", 2, {"run": {"RR": 0.75}}),
        ("language", NO_LABEL, 1, {"run": {"RR": 0.0}}),
        ("language", "ar", 1, {"run": {"RR": 0.5}}),
    ]
