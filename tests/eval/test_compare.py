"""Runs, qrels and measures: what is read, what is refused, and numbers that trec_eval would print."""

import math
import random
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import pytest
import pytrec_eval

from rankvideo_rag.errors import InputError, MissingDependency
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.formats.trec import rank_documents, rank_videos, read_qrels, read_run, write_run
from rankvideo_rag.schema import Hit

GRADES = {"a": 3, "b": 1, "c": 2, "d": 1}


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def brute_force_ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    gained = sum(max(grades.get(document, 0), 0) / math.log2(i + 2) for i, document in enumerate(ranking[:k]))
    best = sorted((max(grade, 0) for grade in grades.values()), reverse=True)
    ideal = sum(grade / math.log2(i + 2) for i, grade in enumerate(best[:k]))
    return gained / ideal if ideal else 0.0


# --- reading --------------------------------------------------------------------------------------------------------


def test_a_run_is_read_whatever_its_line_ends_and_separators(tmp_path: Path) -> None:
    text = "\ufeffq1 Q0 v1 1 2.5 tag\r\nq1\tQ0\tv2\t2\t-1e-3\ttag\r\n\r\n  q2 Q0  größe 1 7 tag"
    run = read_run(written(tmp_path / "run.trec", text))
    assert run == {"q1": {"v1": 2.5, "v2": -0.001}, "q2": {"größe": 7.0}}


def test_qrels_are_read_with_their_grades(tmp_path: Path) -> None:
    qrels = read_qrels(written(tmp_path / "qrels", "q1 0 v1 3\nq1 0 v2 0\nq2\t0\tv1\t-1\n"))
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
def test_a_faulty_line_of_a_run_is_refused_with_its_place(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path / "run.trec", f"q1 Q0 v1 1 2.0 tag\n\n{line}\n")
    with pytest.raises(InputError) as error:
        read_run(path)
    assert f"{path}, line 3" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("q1 0 v2 1.5", "'1.5' is not a whole number"),
        ("q1 v2 1", "3 columns, not the 4"),
        ("q1 1 v1 0", "query 'q1' has document 'v1' a second time"),
    ],
)
def test_a_faulty_line_of_qrels_is_refused_with_its_place(tmp_path: Path, line: str, words: str) -> None:
    path = written(tmp_path / "qrels", f"q1 0 v1 1\n{line}\n")
    with pytest.raises(InputError, match="line 2") as error:
        read_qrels(path)
    assert words in str(error.value)


def test_a_file_that_is_not_there_or_not_utf8_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_run(tmp_path / "none")
    with pytest.raises(InputError, match="line 2 is not UTF-8"):
        read_run(written(tmp_path / "latin", b"q1 Q0 v1 1 2.0 tag\nq1 Q0 gr\xf6\xdfe 2 1.0 tag\n"))
    with pytest.raises(InputError, match="line 1 is not UTF-8"):
        read_run(written(tmp_path / "utf16", "q1 Q0 v1 1 2.0 tag\n".encode("utf-16")))


# --- order ----------------------------------------------------------------------------------------------------------


def test_equal_scores_of_a_run_are_ordered_as_trec_eval_orders_them() -> None:
    assert rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 1.0}}) == {"q": ["c", "b", "a"]}
    # Equal as 32-bit floats.
    assert rank_documents({"q": {"a": 1.0 + 1e-9, "b": 1.0}}) == {"q": ["b", "a"]}
    assert rank_documents({"q": {"a": 1e300, "b": 1e200, "c": 3.0}}) == {"q": ["b", "a", "c"]}


def test_tied_documents_have_the_ndcg_that_trec_eval_gives_them() -> None:
    rankings = rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 1.0}})
    assert round(compute_measures(rankings, {"q": {"b": 1}})["nDCG@10"], 6) == 0.630930  # rank 2
    assert compute_measures(rankings, {"q": {"a": 1}})["nDCG@10"] == 0.5  # rank 3


def test_runs_with_many_ties_measure_as_they_do_in_trec_eval() -> None:
    rng = random.Random(7)
    run = {f"q{i}": {f"d{j}": rng.choice([0.1, 0.2, 0.2 + 1e-9, 3.0]) for j in range(12)} for i in range(30)}
    qrels = {query: {document: rng.choice([-1, 0, 1, 2, 3]) for document in documents} for query, documents in run.items()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.5", "recall.5", "map"}).evaluate(run)
    found = compute_per_query(rank_documents(run), qrels, ("nDCG@5", "R@5", "AP"))
    for query, values in expected.items():
        assert found[query] == pytest.approx({"nDCG@5": values["ndcg_cut_5"], "R@5": values["recall_5"], "AP": values["map"]})


def test_a_written_run_holds_its_order_and_scores_count_down(tmp_path: Path) -> None:
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
def test_what_a_run_file_cannot_hold_is_refused_before_writing(
    tmp_path: Path, rankings: dict[str, list[str]], tag: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        write_run(tmp_path / "run.trec", rankings, tag=tag)
    assert not (tmp_path / "run.trec").exists()


def test_clips_become_videos_where_their_best_clip_stands() -> None:
    def hit(rank: int, video: str) -> Hit:
        return Hit(rank=rank, video_id=video, path="p", title="t", start=0, end=1, score=None, channels={}, text="")

    assert rank_videos([hit(1, "b"), hit(2, "a"), hit(3, "b"), hit(4, "c"), hit(5, "a")]) == ["b", "a", "c"]
    assert rank_videos([hit(3, "b"), hit(1, "c"), hit(2, "a")]) == ["c", "a", "b"]


# --- measures -------------------------------------------------------------------------------------------------------


def test_measures_have_the_values_of_trec_eval_to_the_last_printed_digit() -> None:
    found = compute_measures({"q": ["b", "a", "x", "c"]}, {"q": GRADES}, ("nDCG@10", "R@10", "AP", "RR"))
    assert {name: round(value, 6) for name, value in found.items()} == {
        "nDCG@10": 0.722988,
        "R@10": 0.75,
        "AP": 0.6875,
        "RR": 1,
    }


def test_the_share_of_judged_documents_and_reciprocal_rank_with_a_cutoff() -> None:
    assert compute_measures({"q": ["x", "a", "y", "b"]}, {"q": GRADES}, ("Judged@10", "RR@2", "RR@1")) == {
        "Judged@10": 0.5,
        "RR@2": 0.5,
        "RR@1": 0.0,
    }


def test_a_judged_query_that_is_not_ranked_counts_zero() -> None:
    qrels = {"q": GRADES, "absent": {"a": 1}, "empty": {"a": 1}, "hopeless": {"a": 0}}
    rankings = {"q": ["a", "c", "b", "d"], "empty": [], "hopeless": ["a"]}
    assert compute_measures(rankings, qrels) == {"nDCG@10": 0.25, "R@10": 0.25}
    assert compute_measures({}, qrels) == {"nDCG@10": 0.0, "R@10": 0.0}
    assert compute_per_query(rankings, qrels, ["RR"]) == {
        "q": {"RR": 1},
        "absent": {"RR": 0},
        "empty": {"RR": 0},
        "hopeless": {"RR": 0},
    }


def test_a_ranked_query_without_judgements_counts_nothing() -> None:
    assert compute_measures({"q": ["a"], "unjudged": ["a"]}, {"q": {"a": 1}}) == {"nDCG@10": 1.0, "R@10": 1.0}


def test_ndcg_agrees_with_brute_force() -> None:
    rng = random.Random(1)
    documents = [f"d{i}" for i in range(40)]
    qrels = {f"q{i}": {d: rng.choice([0, 0, 1, 2, 4]) for d in rng.sample(documents, 25)} for i in range(40)}
    rankings = {query: rng.sample(documents, rng.randrange(1, 40)) for query in list(qrels)[:30]}
    for k in (1, 5, 10, 100):
        expected = {query: brute_force_ndcg(rankings.get(query, []), grades, k) for query, grades in qrels.items()}
        found = compute_per_query(rankings, qrels, [f"nDCG@{k}"])
        assert {query: values[f"nDCG@{k}"] for query, values in found.items()} == pytest.approx(expected)
        assert compute_measures(rankings, qrels, [f"nDCG@{k}"])[f"nDCG@{k}"] == pytest.approx(sum(expected.values()) / 40)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NDGC@10", "'NDGC@10' is not a measure"),
        ("nDCG@ten", "'nDCG@ten' is not a measure"),
        ("R", "'R' is not a measure"),
        ("nDCG@0", "at least 1"),
        ("P@-3", "is not a measure"),
        ("nDCG@2.5", "'nDCG@2.5' is not a measure"),
        ("P(rel=0)@5", "cannot be computed here"),
        ("alpha_nDCG@10", "measured against claims"),
        ("ERR_IA@10", "cannot be computed here"),
        ("ERR@10", "cannot be computed here"),
    ],
)
def test_a_measure_that_cannot_be_is_refused_by_name(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compute_measures({"q": ["a"]}, {"q": {"a": 1}}, [name])


def test_ids_that_do_not_meet_are_an_error_and_not_a_score_of_zero() -> None:
    with pytest.raises(InputError, match="ids such as '1', qrels such as 'q1'"):
        compute_measures({"1": ["a"]}, {"q1": {"a": 1}})
    with pytest.raises(InputError, match="the qrels hold no query"):
        compute_measures({"1": ["a"]}, {})
    with pytest.raises(InputError, match="no measure was asked for"):
        compute_measures({"q": ["a"]}, {"q": {"a": 1}}, [])
    with pytest.raises(InputError, match="holds 'a' twice"):
        compute_measures({"q": ["a", "a"]}, {"q": {"a": 1}})


@pytest.mark.parametrize("package", ["ir_measures", "pytrec_eval"])
def test_without_its_packages_it_says_which_extra_brings_them(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "rankvideo_rag.eval.measures")
    with pytest.raises(MissingDependency, match=r"rankvideo-rag\[eval\]"):
        import_module("rankvideo_rag.eval.measures")
