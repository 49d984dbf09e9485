"""rankvideo eval: what programs and people read from it, and its exit codes."""

import gzip
import json
import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from rankvideo_rag.cli import app
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.evaluation import benchmark_evaluation
from rankvideo_rag.formats.rankvideo import scores_file_name, scores_to_json
from rankvideo_rag.schema import Score


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "qrels.trec").write_text("q1 0 a 1\nq1 0 b 0\nq2 0 z 1\n")
    (tmp_path / "first.trec").write_text("q1 Q0 a 1 3 t\nq1 Q0 b 2 3 t\nq2 Q0 y 1 2 t\nq2 Q0 z 2 1 t\n")
    (tmp_path / "second.trec.gz").write_bytes(gzip.compress(b"q1 Q0 a 1 3 t\r\nq1 Q0 b 2 2 t\r\nq3 Q0 c 1 1 t\r\n"))
    (tmp_path / "slices.tsv").write_text("query_id\tlanguage\nq1\ten\nq2\tar\n")
    (tmp_path / "claims.trec").write_text("q1 c1 a 1\nq1 c2 z 1\nq2 c1 y 1\n")
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["eval", *(str(word) for word in words)])


def retrieval(files: Path, *words: object) -> Result:
    result = run("retrieval", "--run", files / "first.trec", "--qrels", files / "qrels.trec", *words)
    assert result.exit_code == 0, result.output
    return result


def test_one_run_gives_a_mean_for_each_measure(files: Path) -> None:
    # q1: b and a tie, b stands first by id; q2: z second. Both have their one relevant document at rank 2.
    result = retrieval(files, "--measures", "nDCG@10 R@100", "--json")
    assert json.loads(result.stdout) == {"nDCG@10": pytest.approx(1 / math.log2(3)), "R@100": 1.0}
    assert "equal scores leave the order open: 1 ('q1')" in result.stderr


def test_a_json_run_and_claims_bring_their_measures(files: Path) -> None:
    (files / "sub.json").write_text('{"q1": {"a": 2, "b": 1}, "q2": {"y": 3, "z": 1}}')
    result = run(
        "retrieval", "--run", files / "sub.json", "--qrels", files / "qrels.trec", "--claims", files / "claims.trec", "--json"
    )
    found = json.loads(result.stdout)
    assert list(found) == ["nDCG@10", "R@10", "alpha_nDCG@10", "StRecall@10"]
    assert found["StRecall@10"] == 0.75  # one of two claims, and the one of one


def test_several_runs_give_the_whole_report_with_slices_and_differences(files: Path) -> None:
    result = retrieval(
        files, "--run", f"rerank={files / 'second.trec.gz'}", "--slices", files / "slices.tsv", "--measures", "RR", "--json"
    )
    report = json.loads(result.stdout)
    assert [one["name"] for one in report["runs"]] == ["first", "rerank"]
    assert report["runs"][0]["measures"]["RR"] | {"low": 0, "high": 0} == {
        "mean": 0.5,
        "low": 0,
        "high": 0,
        "worst": 0.5,
        "best": 0.75,
    }
    difference = report["differences"][0]
    assert (difference["run"], difference["against"], difference["mean"], difference["p"]) == ("rerank", "first", 0.0, 1.0)
    assert (difference["better"], difference["worse"], difference["equal"]) == (1, 1, 0)
    assert [(one["label"], one["means"]["rerank"]["RR"]) for one in report["slices"]] == [("ar", 0.0), ("en", 1.0)]
    assert "rerank: judged queries that the run lacks, counted 0: 1 ('q2')" in result.stderr
    assert "rerank: ranked queries without judgements, not counted: 1 ('q3')" in result.stderr


def test_the_tables_for_people_show_intervals_ties_and_slices(files: Path) -> None:
    result = retrieval(files, "--run", files / "second.trec.gz", "--slices", files / "slices.tsv", "--measures", "RR")
    assert "2 judged queries" in result.stdout
    assert "0.5000 [0.5000, 0.5000]" in result.stdout
    assert "Differences from first, permutation test" in result.stdout
    assert "language" in result.stdout
    assert "first: the order of equal scores moves RR between 0.5000 and 0.7500" in result.stderr


def test_per_query_values_are_written_with_their_differences(files: Path) -> None:
    out = files / "per_query.jsonl"
    retrieval(files, "--run", f"b={files / 'second.trec.gz'}", "--measures", "RR", "--per-query", out)
    assert [json.loads(line) for line in out.read_text().splitlines()] == [
        {"query_id": "q1", "values": {"first": {"RR": 0.5}, "b": {"RR": 1.0}}, "differences": {"b": {"RR": 0.5}}},
        {"query_id": "q2", "values": {"first": {"RR": 0.5}, "b": {"RR": 0.0}}, "differences": {"b": {"RR": -0.5}}},
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--run", "{f}/none", "--qrels", "{f}/qrels.trec"], "cannot be read: No such file"),
        (["--run", "{f}/first.trec", "--run", "{f}/first.trec", "--qrels", "{f}/qrels.trec"], "two runs are called 'first'"),
        (["--run", "{f}/first.trec", "--qrels", "{f}/qrels.trec", "--measures", "NDGC@10"], "'NDGC@10' is not a measure"),
        (["--run", "{f}/first.trec", "--qrels", "{f}/qrels.trec", "--measures", "StRecall@5"], r"\(--claims\)"),
        (["--run", "{f}/first.trec", "--qrels", "{f}/qrels.trec", "--measures", " "], "no measure was asked for"),
        (
            ["--run", "{f}/first.trec", "--qrels", "{f}/qrels.trec", "--per-query", "{f}/no/x"],
            "cannot be written: No such file",
        ),
        (["--run", "{f}/qrels.trec", "--qrels", "{f}/qrels.trec"], "4 columns, not the 6"),
    ],
)
def test_what_cannot_be_ends_with_exit_code_2_and_words(files: Path, words: list[str], message: str) -> None:
    result = run("retrieval", *(word.replace("{f}", str(files)) for word in words))
    assert isinstance(result.exception, InputError)  # which the command's main turns into a message and exit code 2
    assert result.exception.exit_code == 2
    with pytest.raises(InputError, match=message):
        raise result.exception


def margins(folder: Path) -> None:
    """The relevant video c, last at first, gets the highest margin of each query."""
    folder.mkdir()
    for video, margin in {"a": -1.0, "b": -2.0, "c": 2.0}.items():
        scores = {f"q{i}": Score(margin=margin, p_yes=1 / (1 + math.exp(-margin))) for i in range(8)}
        (folder / scores_file_name(video, "RankVideo")).write_bytes(scores_to_json(video, scores))


@pytest.mark.parametrize("edges", [[], ["--edges", "0 0.5 1"]])
def test_the_verdict_on_a_reranker(tmp_path: Path, edges: list[str]) -> None:
    margins(tmp_path / "pred")
    (tmp_path / "first.json").write_text(json.dumps({f"q{i}": {"a": 3, "b": 2, "c": 1} for i in range(8)}))
    (tmp_path / "qrels").write_text("".join(f"q{i} 0 c 1\nq{i} 0 a 0\n" for i in range(8)))
    words = ["--pred-dir", tmp_path / "pred", "--first-stage", tmp_path / "first.json", "--qrels", tmp_path / "qrels", *edges]
    found: dict[str, Any] = json.loads(run("reranker", *words, "--seconds", "2", "--json").stdout)
    assert found["benefit"]["conclusion"] == "helps"
    assert found["benefit"]["seconds_per_query"] == 2.0
    assert found["variance"]["video"] == pytest.approx(1.0)
    assert found["calibration"]["error"] == pytest.approx(0.5 / (1 + math.e) + 0.5 / (1 + math.e**2))
    printed = run("reranker", *words)
    assert "Reranking helps: leave it on." in printed.stdout
    assert "the video alone 1.000" in " ".join(printed.stdout.split())


def test_edges_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    margins(tmp_path / "pred")
    (tmp_path / "first.json").write_text('{"q0": {"a": 1}}')
    (tmp_path / "qrels").write_text("q0 0 a 1\n")
    words = ["--pred-dir", tmp_path / "pred", "--first-stage", tmp_path / "first.json", "--qrels", tmp_path / "qrels"]
    with pytest.raises(InputError, match="separated by spaces"):
        raise run("reranker", *words, "--edges", "0,1").exception or AssertionError("no error")


def test_a_corpus_is_checked_and_exit_code_3_says_that_something_is_missing(tmp_path: Path) -> None:
    result = run("corpus", "multivent2", tmp_path)
    assert result.exit_code == 3
    assert "missing       multivent_2_test_queries.csv (test queries): published: 2545 to 2549 queries" in result.stdout
    assert "hltcoe/MultiVENT2.0" in result.stdout
    (tmp_path / "multivent_2_test_queries.csv").write_text("Query_id,query\n" + "".join(f"q{i},x\n" for i in range(2546)))
    result = run("corpus", "multivent2", tmp_path, "--json")
    assert result.exit_code == 0  # the others are not needed
    assert json.loads(result.stdout)["files"][0]["state"] == "present"


def test_data_sets_are_prepared_and_runs_become_submissions(files: Path) -> None:
    (files / "pairs.json").write_text('[{"video": "x.mp4", "caption": ["one", "two"]}]')
    result = run("prepare", "pairs", files / "pairs.json", "--output", files / "out", "--json")
    assert json.loads(result.stdout)["files"] == {str(files / "out" / "queries.tsv"): 2, str(files / "out" / "qrels.trec"): 2}
    assert run("submission", "--run", files / "first.trec", "--output", files / "s.json").exit_code == 0
    assert json.loads((files / "s.json").read_text()) == {"q1": {"b": 2, "a": 1}, "q2": {"y": 2, "z": 1}}
    assert isinstance(
        run("submission", "--run", files / "first.trec", "--output", files / "no" / "s.json").exception, InputError
    )
    assert isinstance(run("prepare", "lsmdc", files / "pairs.json", "--output", files / "out").exception, InputError)


def test_the_evaluation_is_timed_in_a_process_of_its_own(tmp_path: Path) -> None:
    report = benchmark_evaluation(tmp_path, queries=40, depth=20, runs=2)
    assert (report.queries, report.depth, report.runs) == (40, 20, 2)
    assert report.seconds > 0
    assert report.peak_memory_bytes > 2**24
