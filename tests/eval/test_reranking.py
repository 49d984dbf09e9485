"""What reranking changes: compared by hand, with trec_eval and brute force."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import pytrec_eval

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.reranking import CUTOFFS, MEASURES, compare_stages, evaluate_reranker
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.schema import Score

FIRST = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 3.0, "b": 2.0, "c": 1.0}}


def scores_of(given: Mapping[str, Mapping[str, float | None]]) -> RelevanceScores:
    return {
        query: {v: Score(status="failed", reason="model: …") if m is None else Score(margin=m) for v, m in of_query.items()}
        for query, of_query in given.items()
    }


def original_order(
    order: Sequence[str], scores: Mapping[str, float], given: Mapping[str, float | None], depth: int
) -> list[str]:
    """The original's rule, in its own words: missing pairs score minus infinity, then first-stage score, then id."""
    worth = {v: -math.inf if (margin := given.get(v)) is None else margin for v in order[:depth]}
    return [*sorted(worth, key=lambda v: (-worth[v], -scores[v], v)), *order[depth:]]


def trec_eval(rankings: Mapping[str, Sequence[str]], qrels: Any, *, over: Sequence[str]) -> dict[str, float]:
    run = {q: {v: float(len(order) - i) for i, v in enumerate(order)} for q, order in rankings.items()}
    names = {f"{of}@{k}": f"{name}_{k}" for of, name in (("R", "recall"), ("nDCG", "ndcg_cut")) for k in CUTOFFS}
    each = pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)
    return {name: sum(each.get(q, {}).get(trec, 0.0) for q in over) / len(over) for name, trec in names.items()}


def test_both_stages_by_hand() -> None:
    # c is relevant: third at first, so nDCG = 1 / log2(4) = 0.5; first after reranking.
    found = compare_stages(scores_of({"q1": {"a": -1.0, "b": -2.0, "c": 3.0}}), {"q1": FIRST["q1"]}, {"q1": {"c": 1}}, depth=10)
    assert found.ours.queries == 1
    assert found.ours.first_stage == {name: 1.0 if name.startswith("R@") else 0.5 for name in MEASURES}
    assert found.ours.reranked == dict.fromkeys(MEASURES, 1.0)
    assert found.original == found.ours
    assert found.notes == ()


def test_a_query_without_predictions_counts_0_where_the_original_leaves_it_out() -> None:
    found = compare_stages(scores_of({"q1": {"a": -1.0, "b": -2.0, "c": 3.0}}), FIRST, {"q1": {"c": 1}, "q2": {"a": 1}})
    assert (found.ours.queries, found.ours.first_stage["nDCG@10"], found.ours.reranked["nDCG@10"]) == (2, 0.75, 0.5)
    assert found.original is not None
    assert (found.original.queries, found.original.first_stage["nDCG@10"], found.original.reranked["nDCG@10"]) == (1, 0.5, 1.0)
    assert found.notes == (
        "judged queries without predictions, 0 after reranking (the original leaves them out of both rows): 1 ('q2')",
    )


def test_a_query_without_a_relevant_video_counts_0_where_the_original_leaves_it_out() -> None:
    predictions = scores_of({query: {"a": 1.0, "b": 0.0, "c": 0.0} for query in FIRST})
    found = compare_stages(predictions, FIRST, {"q1": {"a": 1}, "q2": {"a": 0, "b": -1}})
    assert found.ours.reranked["R@5"] == 0.5
    assert found.original is not None
    assert (found.original.queries, found.original.reranked["R@5"]) == (1, 1.0)
    assert "judged queries without a relevant video, 0 in both rows (the original leaves them out): 1 ('q2')" in found.notes


def test_unscored_and_missing_pairs_end_the_block_in_their_order() -> None:
    first = {"q": {"d": 9.0, "b": 5.0, "a": 5.0, "c": 4.0, "e": 1.0}}  # in order: d a b c e
    predictions = scores_of({"q": {"d": None, "b": -7.0, "c": -7.0, "e": 99.0}})  # a has none; e lies below the depth
    found = compare_stages(predictions, first, {"q": {"b": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == 1.0  # b c | d a | e: b before c by its score, both before the unscored
    found = compare_stages(predictions, first, {"q": {"d": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == pytest.approx(1 / math.log2(4))
    found = compare_stages(predictions, first, {"q": {"e": 1}}, depth=4)
    assert found.ours.reranked["nDCG@5"] == pytest.approx(1 / math.log2(6))
    assert found.notes == (
        "pairs among the first 4 that could not be scored, put at the end of the reranked block: 1",
        "pairs among the first 4 without a prediction, put at the end of the reranked block: 1",
        "predictions on videos below the first 4, not used: 1",
    )


def test_mismatched_inputs_are_noted() -> None:
    predictions = scores_of({"q1": {"a": None, "b": None, "c": None}, "q9": {"a": 1.0}})
    found = compare_stages(predictions, FIRST, {"q1": {"c": 1}, "q7": {"a": 1}})
    assert found.ours.first_stage["nDCG@10"] == 0.25
    assert found.ours.reranked["nDCG@10"] == 0.25
    said = "\n".join(found.notes)
    assert "judged queries not in the first stage, 0 in both rows: 1 ('q7')" in said
    assert "queries with predictions and without judgements, not counted: 1 ('q9')" in said
    assert "queries with predictions of which none has a margin, left in the first stage's order: 1 ('q1')" in said
    assert "predictions on videos that the first stage lacks, not used: 1" in said
    with pytest.raises(InputError, match=r"no query is in both: relevance scores of 'q9', a first stage for 'q1', 'q2'"):
        compare_stages(scores_of({"q9": {"a": 1.0}}), FIRST, {"q1": {"c": 1}})


def test_both_ways_of_counting_equal_trec_eval_over_an_independent_order() -> None:
    chance = random.Random(2)
    for _ in range(25):
        queries, videos = [f"q{n}" for n in range(6)], [f"v{n:03d}" for n in range(130)]
        first = {q: {v: float(chance.randrange(20)) for v in chance.sample(videos, 120)} for q in queries[:5]}
        given = {
            q: {v: chance.choice([None, float(chance.randrange(-5, 5))]) for v in list(first[q])[:90]} for q in queries[:4]
        }
        qrels = {q: {v: chance.choice([0, 1, 2]) for v in chance.sample(videos, 12)} for q in queries}
        depth = chance.choice([10, 60, 1000])

        found = compare_stages(scores_of(given), first, qrels, depth=depth)

        before = {q: sorted(scores, key=lambda v: (-scores[v], v)) for q, scores in first.items()}
        after = {q: original_order(before[q], first[q], given[q], depth) for q in given}
        assert found.ours.first_stage == pytest.approx(trec_eval(before, qrels, over=list(qrels)))
        assert found.ours.reranked == pytest.approx(trec_eval(after, qrels, over=list(qrels)))
        assert found.original is not None
        assert found.original.first_stage == pytest.approx(trec_eval(before, qrels, over=list(given)))
        assert found.original.reranked == pytest.approx(trec_eval(after, qrels, over=list(given)))


EIGHT = {f"q{i}": {"a": 3.0, "b": 2.0, "c": 1.0} for i in range(8)}


def test_reranking_that_lifts_every_query_helps() -> None:
    given = scores_of({query: {"a": -1.0, "b": -2.0, "c": 3.0} for query in EIGHT})
    found = evaluate_reranker(given, EIGHT, {query: {"c": 1} for query in EIGHT}, measure="RR", seconds_per_query=1.5)
    benefit = found.benefit
    assert (benefit.before, benefit.after, benefit.mean) == pytest.approx((1 / 3, 1.0, 2 / 3))
    assert (benefit.p, benefit.conclusion, benefit.better, benefit.pairs_per_query) == (2 / 2**8, "helps", 8, 3.0)
    assert benefit.summary.startswith("Reranking helps: leave it on. RR 0.3333 -> 1.0000, +0.6667")
    assert "3.0 pairs and 1.5 s a query" in benefit.summary


def test_reranking_that_lowers_every_query_hurts_and_four_queries_are_too_few() -> None:
    given = scores_of({query: {"a": -1.0, "b": 2.0, "c": 3.0} for query in EIGHT})
    qrels = {query: {"a": 1} for query in EIGHT}
    assert evaluate_reranker(given, EIGHT, qrels, measure="RR").benefit.conclusion == "hurts"
    few = evaluate_reranker(given, EIGHT, {query: {"a": 1} for query in list(EIGHT)[:4]}, measure="RR").benefit
    assert (few.conclusion, few.p, few.seconds_per_query) == ("not shown", 0.125, None)
    assert "leave it off, or judge more queries" in few.summary
    assert " s a query" not in few.summary


def test_calibration_uses_judged_pairs_with_a_margin() -> None:
    given = scores_of({"q0": {"a": 0.0, "b": None, "c": 2.0}, "q1": {"a": 1.0}})
    found = evaluate_reranker(given, EIGHT, {"q0": {"a": 1, "b": 1}, "q1": {"b": 1}})
    assert (found.calibration.pairs, found.calibration.relevant, found.calibration.error) == (1, 1, 0.5)
    assert found.variance.pairs == 3
    assert "pairs with a margin and without a judgement, not counted in the calibration: 2" in found.notes
    assert "pairs among the first 1000 that could not be scored, put at the end of the reranked block: 1" in found.notes


def test_scores_without_judged_queries_are_an_error() -> None:
    with pytest.raises(InputError, match="no query with predictions is judged"):
        evaluate_reranker(scores_of({"q0": {"a": 1.0}}), EIGHT, {"q1": {"a": 1}})
