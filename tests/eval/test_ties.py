"""Bounds of measures over the orders that ties allow."""

import itertools
import random
from typing import Any

import pytest

from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.eval.ties import tie_bounds, tied_queries
from rankvideo_rag.formats.trec import Qrels, rank_documents


def orders(scores: dict[str, float]) -> list[list[str]]:
    """Every order that the scores allow."""
    groups = [sorted(d for d in scores if scores[d] == score) for score in sorted(set(scores.values()), reverse=True)]
    return [list(itertools.chain(*parts)) for parts in itertools.product(*(itertools.permutations(group) for group in groups))]


def test_tie_bounds_are_the_extremes_over_all_orders() -> None:
    rng = random.Random(2)
    names = ["nDCG@3", "RR", "AP", "R@2", "P@2", "Success@1", "AP(rel=2)", "nDCG@10"]
    for _ in range(30):
        scores = {f"d{i}": float(rng.randint(0, 2)) for i in range(6)}
        qrels: Qrels = {"q": {d: rng.choice([-1, 0, 1, 2, 3]) for d in [*scores, "unranked"] if rng.random() < 0.8} | {"d0": 1}}
        found = tie_bounds({"q": scores}, qrels, compute_per_query(rank_documents({"q": scores}), qrels, names))
        every: list[dict[str, float]] = [compute_measures({"q": order}, qrels, names) for order in orders(scores)]
        for name in names:
            bounds = found[name]
            assert bounds is not None
            values = [values[name] for values in every]
            assert (bounds.worst, bounds.best) == pytest.approx((min(values), max(values)))


def test_bounds_are_means_over_judged_queries_and_equal_the_mean_without_ties() -> None:
    run = {"tied": {"a": 1.0, "b": 1.0}, "clear": {"a": 2.0, "b": 1.0}}
    qrels = {"tied": {"a": 1}, "clear": {"b": 1}, "absent": {"a": 1}}
    found = tie_bounds(run, qrels, compute_per_query(rank_documents(run), qrels, ["RR"]))
    assert found["RR"] == pytest.approx(((0.5 + 0.5 + 0) / 3, (1 + 0.5 + 0) / 3))
    assert tied_queries(run) == ["tied"]
    clear = {"clear": run["clear"]}
    assert tie_bounds(clear, {"clear": {"b": 1}}, {"clear": {"RR": 0.5}})["RR"] == (0.5, 0.5)


def test_scores_equal_as_32_bit_floats_are_ties() -> None:
    assert tied_queries({"q": {"a": 1.0 + 1e-9, "b": 1.0}, "r": {"a": 1e300, "b": 1e200}, "s": {"a": 1.001, "b": 1.0}}) == [
        "q",
        "r",
    ]


@pytest.mark.parametrize("name", ["Judged@10", "Bpref", "nDCG(gains={1: 5, 2: 1})@10"])
def test_measures_not_ordered_by_grade_have_no_bounds(name: str) -> None:
    run: dict[str, Any] = {"q": {"a": 1.0, "b": 1.0}}
    assert tie_bounds(run, {"q": {"a": 1}}, {"q": {name: 0.5}}) == {name: None}
