"""TREC runs, qrels and claims: strict reading, trec_eval's order, and writing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.trec import (
    rank_documents,
    rank_videos,
    read_claims,
    read_qrels,
    read_run,
    write_claims,
    write_qrels,
    write_run,
)
from rankvideo_rag.schema import Hit


def test_runs_are_read_with_any_line_ends_and_separators(write_file: Callable[[Any], Path]) -> None:
    text = "\ufeffq1 Q0 v1 1 2.5 tag\r\nq1\tQ0\tv2\t2\t-1e-3\ttag\r\n\r\n  q2 Q0  größe 1 7 tag"
    run = read_run(write_file(text))
    assert run == {"q1": {"v1": 2.5, "v2": -0.001}, "q2": {"größe": 7.0}}


def test_qrels_are_read_with_their_grades(write_file: Callable[[Any], Path]) -> None:
    qrels = read_qrels(write_file("q1 0 v1 3\nq1 0 v2 0\nq2\t0\tv1\t-1\n"))
    assert qrels == {"q1": {"v1": 3, "v2": 0}, "q2": {"v1": -1}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q1 Q0 v2 2 1.0", "5 columns, not the 6"),
        ("q1 Q0 v2 2 1.0 my tag", "7 columns, not the 6"),
        ("q1 Q0 v2 2 nan tag", "'nan' is not a finite number"),
        ("q1 Q0 v2 2 -inf tag", "'-inf' is not a finite number"),
        ("q1 Q0 v2 2 1e999 tag", "'1e999' is not a finite number"),
        ("q1 Q0 v2 2 1_0 tag", "'1_0' is not a finite number"),
        ("q1 Q0 v1 2 0.5 tag", "query 'q1' has document 'v1' a second time"),
    ],
)
def test_a_faulty_line_of_a_run_is_refused_with_its_place(write_file: Callable[[Any], Path], line: str, words: str) -> None:
    path = write_file(f"q1 Q0 v1 1 2.0 tag\n\n{line}\n")
    with pytest.raises(InputError) as error:
        read_run(path)
    assert f"{path}, line 3" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q1 0 v2 1.5", "'1.5' is not a whole number"),
        ("q1 0 1 7213984722981", "7213984722981 is no grade, as it is above 10000: are the columns exchanged?"),
        ("q1 0 v2 -10001", "-10001 is no grade"),
        ("q1 0 v2 " + "9" * 5000, "is not a whole number"),
        ("q1 v2 1", "3 columns, not the 4"),
        ("q1 1 v1 0", "query 'q1' has document 'v1' a second time"),
    ],
)
def test_a_faulty_line_of_qrels_is_refused_with_its_place(write_file: Callable[[Any], Path], line: str, words: str) -> None:
    path = write_file(f"q1 0 v1 1\n{line}\n")
    with pytest.raises(InputError, match="line 2") as error:
        read_qrels(path)
    assert words in str(error.value)


def test_missing_and_non_utf8_files_are_refused(tmp_path: Path, write_file: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_run(tmp_path / "none")
    with pytest.raises(InputError, match="line 2 is not UTF-8"):
        read_run(write_file(b"q1 Q0 v1 1 2.0 tag\nq1 Q0 gr\xf6\xdfe 2 1.0 tag\n"))
    with pytest.raises(InputError, match="line 1 is not UTF-8"):
        read_run(write_file("q1 Q0 v1 1 2.0 tag\n".encode("utf-16")))


def test_claims_and_qrels_round_trip(tmp_path: Path) -> None:
    claims = {"q1": {"c1": frozenset(["a", "b"]), "c2": frozenset(["b"])}, "q2": {"c1": frozenset(["z"])}}
    write_claims(tmp_path / "claims", claims)
    assert (tmp_path / "claims").read_text() == "q1 c1 a 1\nq1 c1 b 1\nq1 c2 b 1\nq2 c1 z 1\n"
    assert read_claims(tmp_path / "claims") == claims
    write_qrels(tmp_path / "qrels", {"q1": {"a": 3, "b": 0}})
    assert read_qrels(tmp_path / "qrels") == {"q1": {"a": 3, "b": 0}}


def test_a_claim_without_supporting_documents_is_kept(write_file: Callable[[Any], Path]) -> None:
    assert read_claims(write_file("q c1 a 0\nq c2 a 2\n")) == {"q": {"c1": frozenset(), "c2": frozenset("a")}}


def test_a_document_may_support_two_claims_but_not_one_twice(write_file: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match="line 3: query 'q, claim c1' has document 'a' a second time"):
        read_claims(write_file("q c1 a 1\nq c2 a 1\nq c1 a 1\n"))


def test_invalid_ids_are_refused_before_qrels_are_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="document id 'my video' must be one word"):
        write_qrels(tmp_path / "qrels", {"q": {"a": 1, "my video": 1}})
    assert not (tmp_path / "qrels").exists()


def test_equal_scores_are_ordered_as_by_trec_eval() -> None:
    assert rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}) == {"q": ["c", "b", "a"]}
    # Equal as 32-bit floats.
    assert rank_documents({"q": {"a": 1.0 + 1e-9, "b": 1.0}}) == {"q": ["b", "a"]}
    assert rank_documents({"q": {"a": 1e300, "b": 1e200, "c": 3.0}}) == {"q": ["b", "a", "c"]}


def test_written_scores_count_down_and_keep_the_order(tmp_path: Path) -> None:
    rankings = {"q1": ["a", "z", "m"], "q2": ["only"], "q3": []}
    write_run(tmp_path / "run.trec", rankings, tag="rankvideo")
    assert (tmp_path / "run.trec").read_bytes() == (
        b"q1 Q0 a 1 3 rankvideo\nq1 Q0 z 2 2 rankvideo\nq1 Q0 m 3 1 rankvideo\nq2 Q0 only 1 1 rankvideo\n"
    )
    assert rank_documents(read_run(tmp_path / "run.trec")) == {"q1": ["a", "z", "m"], "q2": ["only"]}


@pytest.mark.parametrize(
    ("rankings", "tag", "words"),
    [
        ({"q": ["a", "b"]}, "my run", "tag 'my run' must be one word"),
        ({"q": ["a", "b"]}, "", "tag '' must be one word"),
        ({"q": ["a", "clip one"]}, "run", "document id 'clip one' must be one word"),
        ({"": ["a"]}, "run", "query id '' must be one word"),
        ({"p": ["a"], "q": ["a", "b", "a"]}, "run", "query 'q' holds 'a' twice"),
    ],
)
def test_invalid_runs_are_refused_before_writing(tmp_path: Path, rankings: dict[str, list[str]], tag: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        write_run(tmp_path / "run.trec", rankings, tag=tag)
    assert not (tmp_path / "run.trec").exists()


def test_videos_rank_at_their_best_clip() -> None:
    def hit(rank: int, video: str) -> Hit:
        return Hit(rank=rank, video_id=video, path="p", title="t", start=0, end=1, score=None, channels={}, text="")

    assert rank_videos([hit(1, "b"), hit(2, "a"), hit(3, "b"), hit(4, "c"), hit(5, "a")]) == ["b", "a", "c"]
    assert rank_videos([hit(3, "b"), hit(1, "c"), hit(2, "a")]) == ["c", "a", "b"]
