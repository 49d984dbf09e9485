"""MultiVENT 2.0: queries, judgements and submissions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.multivent import evidence_channel, load_qrels, read_multivent_queries, write_submission
from rankvideo_rag.formats.rankvideo import load_run
from rankvideo_rag.formats.trec import rank_documents


def test_queries_with_quoted_commas_and_windows_line_ends_are_read(write_file: Callable[[Any], Path]) -> None:
    text = '\ufeffQuery_id,query\r\na_ocr_5,"Mitch McConnell, ""Truth Social"" November"\r\nb_base_0,"over two\r\nlines"\r\n'
    assert read_multivent_queries(write_file(text)) == {
        "a_ocr_5": 'Mitch McConnell, "Truth Social" November',
        "b_base_0": "over two\nlines",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Query_id,query\nq1,text\n\nq1,again\n", "line 4: query 'q1' comes a second time"),
        ("Query_id,query\nq1,text,more\n", "line 2 has 3 cells, not the 2 of its header"),
        ("Query_id,query\nq1, \n", "line 2: the text of 'q1'"),
        ("Query_id,query\nq 1,text\n", "line 2: the query id 'q 1' must be one word"),
        ("id,query\nq1,text\n", "line 1, the header, has no column Query_id"),
        ("Query_id,query,query\nq1,a,b\n", "has a column twice"),
        ('Query_id,query\nq1,"open\n', "is not valid CSV"),
        ("", "is empty: a header with Query_id, query is needed"),
    ],
)
def test_faulty_queries_are_refused_with_their_line(write_file: Callable[[Any], Path], text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_multivent_queries(write_file(text))
    assert words in str(error.value)


def judgement_lines(*rows: tuple[Any, Any, Any]) -> str:
    return "".join(json.dumps({"query_id": q, "doc_id": d, "relevance": r, "video_language": "en"}) + "\n" for q, d, r in rows)


def test_repeated_judgements_count_once_and_are_noted(write_file: Callable[[Any], Path]) -> None:
    found = load_qrels(write_file(judgement_lines(("q1", "v1", 3), ("q1", 17, 0), ("q1", "v1", 3))))
    assert found.qrels == {"q1": {"v1": 3, "17": 0}}
    assert len(found.notes) == 1
    assert found.notes[0].endswith("judgements given twice, with the same grade: 1")


def test_trec_qrels_are_recognized(write_file: Callable[[Any], Path]) -> None:
    assert load_qrels(write_file("q1 0 v1 2\n")) == ({"q1": {"v1": 2}}, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (judgement_lines(("q1", "v1", 3), ("q1", "v1", 2)), "line 2: query 'q1' and video 'v1' have the grade 3 and now 2"),
        (judgement_lines(("q1", "v1", 1.5)), "line 1: relevance = 1.5 is not a whole number"),
        (judgement_lines(("q1", "v1", True)), "line 1: relevance = true is not a whole number"),
        (judgement_lines(("q1", None, 1)), "line 1: the doc_id null must be a word"),
        ('{"query_id": "q", "doc_id": "v", "relevance": NaN}\n', "line 1: NaN is not a number"),
        ('{"query_id": "q", "query_id": "r", "doc_id": "v", "relevance": 1}\n', "line 1: the key 'query_id' stands twice"),
        (judgement_lines(("q", "v", 1)) + '{"query_id": "q2", "do', "line 2, column"),
        ('{"query_id": "q"}\n[1]\n', "line 1: the doc_id null"),
        (judgement_lines(("q", "v", 1)) + "[1]\n", "line 2: an object of query_id, doc_id and relevance is needed"),
    ],
)
def test_faulty_judgements_are_refused_with_their_line(write_file: Callable[[Any], Path], text: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        load_qrels(write_file(text))
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("query", "channel"),
    [
        ("internvid_korean_political_professional_speech_16", "speech"),
        ("x_description_0", "description"),
        ("test_pt2_query_773", None),
    ],
)
def test_query_ids_name_the_evidence_channel(query: str, channel: str | None) -> None:
    assert evidence_channel(query) == channel


def test_submissions_keep_the_order_without_ties(tmp_path: Path) -> None:
    write_submission(tmp_path / "s.json", {"q1": ["b", "z", "a"], "q2": ["only"]})
    assert json.loads((tmp_path / "s.json").read_text()) == {"q1": {"b": 3, "z": 2, "a": 1}, "q2": {"only": 1}}
    assert rank_documents(load_run(tmp_path / "s.json"))["q1"] == ["b", "z", "a"]
    with pytest.raises(InputError, match="holds 'a' twice"):
        write_submission(tmp_path / "t.json", {"q": ["a", "a"]})
