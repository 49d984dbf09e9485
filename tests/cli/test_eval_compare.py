"""What reranking changed: numbers by hand and by brute force, every judged query counted, faulty files refused."""

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytrec_eval

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.reranking import CUTOFFS, MEASURES, compare_reranking
from rankvideo_rag.formats.rankvideo import RelevanceScores, read_scores
from rankvideo_rag.schema import Score

COMMAND = [sys.executable, "-c", "from rankvideo_rag.cli import main; main()"]
FIRST = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 3.0, "b": 2.0, "c": 1.0}}


def margins(given: Mapping[str, Mapping[str, float | None]]) -> RelevanceScores:
    return {
        query: {v: Score(status="failed", reason="model: …") if m is None else Score(margin=m) for v, m in of_query.items()}
        for query, of_query in given.items()
    }


def result(folder: Path, video: str, entries: Mapping[str, Any], model: str = "RankVideo") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{video}_reranking_{model}.json"
    path.write_text(json.dumps({video: entries}))
    return path


def entry(margin: float) -> dict[str, float]:
    return {"logprob_yes": -1.0, "logprob_no": -1.0 - margin, "logit_delta": margin, "p_yes": 1 / (1 + math.exp(-margin))}


# --- measuring ------------------------------------------------------------------------------------------------------


def test_the_table_by_hand() -> None:
    # c is relevant: third at first, so nDCG = 1 / log2(4) = 0.5; first after reranking.
    found = compare_reranking(
        margins({"q1": {"a": -1.0, "b": -2.0, "c": 3.0}}), {"q1": FIRST["q1"]}, {"q1": {"c": 1}}, depth=10
    )
    assert found.ours.queries == 1
    assert found.ours.first_stage == {name: 1.0 if name.startswith("R@") else 0.5 for name in MEASURES}
    assert found.ours.reranked == dict.fromkeys(MEASURES, 1.0)
    assert found.original == found.ours
    assert found.notes == ()


def test_a_query_without_predictions_counts_0_where_the_original_leaves_it_out() -> None:
    found = compare_reranking(margins({"q1": {"a": -1.0, "b": -2.0, "c": 3.0}}), FIRST, {"q1": {"c": 1}, "q2": {"a": 1}})
    assert (found.ours.queries, found.ours.first_stage["nDCG@10"], found.ours.reranked["nDCG@10"]) == (2, 0.75, 0.5)
    assert found.original is not None
    assert (found.original.queries, found.original.first_stage["nDCG@10"], found.original.reranked["nDCG@10"]) == (1, 0.5, 1.0)
    assert found.notes == (
        "judged queries without predictions, 0 after reranking (the original leaves them out of both rows): 1 ('q2')",
    )


def test_a_query_without_a_relevant_video_counts_0_where_the_original_leaves_it_out() -> None:
    predictions = margins({query: {"a": 1.0, "b": 0.0, "c": 0.0} for query in FIRST})
    found = compare_reranking(predictions, FIRST, {"q1": {"a": 1}, "q2": {"a": 0, "b": -1}})
    assert found.ours.reranked["R@5"] == 0.5
    assert found.original is not None
    assert (found.original.queries, found.original.reranked["R@5"]) == (1, 1.0)
    assert "judged queries without a relevant video, 0 in both rows (the original leaves them out): 1 ('q2')" in found.notes


def test_unscored_and_missing_pairs_end_the_block_as_they_stood() -> None:
    first = {"q": {"d": 9.0, "b": 5.0, "a": 5.0, "c": 4.0, "e": 1.0}}  # in order: d a b c e
    predictions = margins({"q": {"d": None, "b": -7.0, "c": -7.0, "e": 99.0}})  # a has none; e lies below the depth
    found = compare_reranking(predictions, first, {"q": {"b": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == 1.0  # b c | d a | e: b before c by its score, both before the unscored
    found = compare_reranking(predictions, first, {"q": {"d": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == pytest.approx(1 / math.log2(4))
    found = compare_reranking(predictions, first, {"q": {"e": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == pytest.approx(1 / math.log2(6))
    assert found.notes == (
        "pairs among the first 4 that could not be scored, put at the end of the reranked block: 1",
        "pairs among the first 4 without a prediction, put at the end of the reranked block: 1",
        "predictions on videos below the first 4, not used: 1",
    )


def test_what_does_not_fit_together_is_said() -> None:
    predictions = margins({"q1": {"a": None, "b": None, "c": None}, "q9": {"a": 1.0}})
    found = compare_reranking(predictions, FIRST, {"q1": {"c": 1}, "q7": {"a": 1}})
    assert found.ours.first_stage["nDCG@10"] == 0.25
    assert found.ours.reranked["nDCG@10"] == 0.25
    said = "\n".join(found.notes)
    assert "judged queries not in the first stage, 0 in both rows: 1 ('q7')" in said
    assert "queries with predictions and without judgements, not counted: 1 ('q9')" in said
    assert "queries with predictions of which none has a margin, left in the first stage's order: 1 ('q1')" in said
    assert "predictions on videos that the first stage lacks, not used: 1" in said
    with pytest.raises(InputError, match=r"no query is in both: relevance scores of 'q9', a first stage for 'q1', 'q2'"):
        compare_reranking(margins({"q9": {"a": 1.0}}), FIRST, {"q1": {"c": 1}})


def test_numbers_are_those_of_trec_eval_over_an_order_made_independently() -> None:
    chance = random.Random(2)
    for _ in range(25):
        queries, videos = [f"q{n}" for n in range(6)], [f"v{n:03d}" for n in range(130)]
        first = {q: {v: float(chance.randrange(20)) for v in chance.sample(videos, 120)} for q in queries[:5]}
        given = {
            q: {v: chance.choice([None, float(chance.randrange(-5, 5))]) for v in list(first[q])[:90]} for q in queries[:4]
        }
        qrels = {q: {v: chance.choice([0, 1, 2]) for v in chance.sample(videos, 12)} for q in queries}
        depth = chance.choice([10, 60, 1000])

        found = compare_reranking(margins(given), first, qrels, depth=depth)

        before = {q: sorted(scores, key=lambda v: (-scores[v], v)) for q, scores in first.items()}
        after = {q: straight(before[q], first[q], given[q], depth) for q in given}
        assert found.ours.first_stage == pytest.approx(trec_eval(before, qrels, over=list(qrels)))
        assert found.ours.reranked == pytest.approx(trec_eval(after, qrels, over=list(qrels)))
        assert found.original is not None
        assert found.original.first_stage == pytest.approx(trec_eval(before, qrels, over=list(given)))
        assert found.original.reranked == pytest.approx(trec_eval(after, qrels, over=list(given)))


def straight(order: Sequence[str], scores: Mapping[str, float], given: Mapping[str, float | None], depth: int) -> list[str]:
    """The original's rule, in its own words: missing pairs score minus infinity, then first-stage score, then id."""
    worth = {v: -math.inf if (margin := given.get(v)) is None else margin for v in order[:depth]}
    return [*sorted(worth, key=lambda v: (-worth[v], -scores[v], v)), *order[depth:]]


def trec_eval(rankings: Mapping[str, Sequence[str]], qrels: Any, *, over: Sequence[str]) -> dict[str, float]:
    run = {q: {v: float(len(order) - i) for i, v in enumerate(order)} for q, order in rankings.items()}
    names = {f"{of}@{k}": f"{name}_{k}" for of, name in (("R", "recall"), ("nDCG", "ndcg_cut")) for k in CUTOFFS}
    each = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)
    return {name: sum(each.get(q, {}).get(trec, 0.0) for q in over) / len(over) for name, trec in names.items()}


# --- reading verdicts -----------------------------------------------------------------------------------------------


def test_a_folder_as_the_published_script_wrote_it_is_read(tmp_path: Path) -> None:
    result(tmp_path, "v1", {"q1": entry(2.5), "q2": {"logit_delta_yes_minus_no": -1.5}})
    result(tmp_path, "v2", {"q1": dict.fromkeys(("logprob_yes", "logprob_no", "logit_delta", "p_yes"), 0.0)})
    (tmp_path / "failed.log").write_text("v3")
    found = read_scores(tmp_path)
    assert found["q1"]["v1"].margin == 2.5
    assert found["q2"]["v1"].margin == -1.5
    # Four zeros are its mark for a missing side: p_yes would be 0.5 if the margin were.
    assert (found["q1"]["v2"].margin, found["q1"]["v2"].status) == (None, "failed")


def test_a_pair_that_the_original_could_not_score_does_not_beat_a_no(tmp_path: Path) -> None:
    result(tmp_path, "a", {"q1": dict.fromkeys(("logprob_yes", "logprob_no", "logit_delta", "p_yes"), 0.0)})
    result(tmp_path, "b", {"q1": entry(-3.0)})
    found = compare_reranking(read_scores(tmp_path), {"q1": {"a": 2.0, "b": 1.0}}, {"q1": {"b": 1}})
    assert found.ours.reranked["nDCG@5"] == 1.0
    assert "pairs of zeros, which the original would rank as margins of 0.0: 1" in found.notes


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1.0, "p_y', "line 1, column 36: this is not complete JSON"),
        ("v1_reranking_M.json", "", "line 1, column 1: this is not complete JSON"),
        ("v1_reranking_M.json", '{"v2": {"q1": {"logit_delta": 1.0}}}', "its name must begin with 'v2_reranking_'"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"p_yes": 0.5}}}', "'v1', 'q1' has no logit_delta: it has p_yes"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": NaN}}}', "NaN is not a number"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": true}}}', "logit_delta = true is not a finite number"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1, "p_yes": 7}}}', "p_yes = 7.0 is not a probability"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1, "logit_delta_yes_minus_no": 2}}}', "differ"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1}, "q1": {"logit_delta": 2}}}', "the key 'q1' stands twice"),
        ("v1_reranking_M.json", '{"v1": [1.0]}', "'v1': an object of query ids is needed"),
        ("v1.json", "{}", "no relevance scores in"),
    ],
)
def test_a_faulty_result_is_refused_where_the_original_passes_over_it(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        read_scores(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_two_models_in_one_folder_are_not_mixed(tmp_path: Path) -> None:
    result(tmp_path, "v1", {"q1": entry(1.0)}, model="One")
    result(tmp_path, "v1", {"q1": entry(-1.0)}, model="Two")
    with pytest.raises(InputError, match=r"are scored in v1_reranking_One.json and in v1_reranking_Two.json: name one model"):
        read_scores(tmp_path)
    assert read_scores(tmp_path, model="lab/Two")["q1"]["v1"].margin == -1.0


# --- the command ----------------------------------------------------------------------------------------------------


def evaluate(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    files = {"--pred-dir": "predictions", "--first-stage": "first.json", "--qrels": "qrels"}
    arguments = [part for option, name in files.items() for part in (option, str(folder / name))]
    return subprocess.run(
        [*COMMAND, "eval", "compare-stages", *arguments, *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "250", "NO_COLOR": "1"},
    )


def test_the_command_prints_both_ways_of_counting_and_where_they_differ(tmp_path: Path) -> None:
    for video, margin in (("a", -1.0), ("b", -2.0), ("c", 3.0)):
        result(tmp_path / "predictions", video, {"q1": entry(margin)})
    (tmp_path / "first.json").write_text(json.dumps(FIRST))
    (tmp_path / "qrels").write_text("q1 0 c 1\nq2 0 a 1\n")
    done = evaluate(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"queries", "first_stage", "reranked", "depth", "as_original", "differences"}
    assert list(found["reranked"]) == [f"{name}@{k}" for name in ("R", "nDCG") for k in (5, 10, 20, 50, 100)]
    assert (found["queries"], found["depth"]) == (2, 1000)
    assert (found["first_stage"]["nDCG@10"], found["reranked"]["nDCG@10"]) == (0.75, 0.5)
    assert (found["as_original"]["queries"], found["as_original"]["reranked"]["nDCG@10"]) == (1, 1.0)
    assert "the original leaves them out of both rows): 1 ('q2')" in found["differences"][0]
    table = evaluate(tmp_path)
    assert "all judged queries: 2" in table.stdout
    assert "nDCG@10" in table.stdout
    assert "with predictions and a relevant video: 1" in table.stdout
    assert "judged queries without predictions" in table.stderr
    (tmp_path / "qrels").write_text("q1 0 c 1\nq2 0 a\n")
    refused = evaluate(tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "qrels, line 2 has 3 columns, not the 4" in refused.stderr
