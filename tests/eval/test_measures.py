"""Measures held against trec_eval, ndeval and brute force: random runs, claims, moments, and what ties leave open."""

import itertools
import math
import random
from typing import Any

import pyndeval
import pytest
import pytrec_eval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.coverage import claim_coverage
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.eval.ties import tie_bounds, tied_queries
from rankvideo_rag.formats.moments import Moment, parse_moment, temporal_iou
from rankvideo_rag.formats.trec import Claims, Qrels, TrecRun, rank_documents

THOUSAND = settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
DOCUMENTS = st.sampled_from([*(f"v{i}" for i in range(12)), "ü1", "Z", "a"])
# Few and close values, so that scores tie, some only as 32-bit floats.
SCORES = st.sampled_from([-1e30, -2.5, 0.0, 1.0, 1.0 + 1e-9, 1.0000002, 3.5, 1e30])
QUERIES = [f"q{i}" for i in range(4)]


@st.composite
def runs_and_qrels(draw: st.DrawFn) -> tuple[TrecRun, Qrels]:
    ranked = draw(st.lists(st.sampled_from(QUERIES), min_size=1, unique=True))
    judged = draw(st.lists(st.sampled_from(QUERIES), min_size=1, unique=True).filter(lambda some: set(some) & set(ranked)))
    run = {query: draw(st.dictionaries(DOCUMENTS, SCORES, min_size=1)) for query in ranked}
    qrels = {query: draw(st.dictionaries(DOCUMENTS, st.integers(-1, 4), min_size=1)) for query in judged}
    return run, qrels


# --- against trec_eval ----------------------------------------------------------------------------------------------


@THOUSAND
@given(runs_and_qrels())
def test_ndcg_recall_ap_and_rr_equal_trec_eval_on_random_runs_and_absent_queries_count_0(given_: tuple[TrecRun, Qrels]) -> None:
    run, qrels = given_
    names = {"nDCG@10": "ndcg_cut_10", "nDCG@3": "ndcg_cut_3", "R@5": "recall_5", "AP": "map", "RR": "recip_rank"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.3,10", "recall.5", "map", "recip_rank"}).evaluate(run)
    found = compute_per_query(rank_documents(run), qrels, list(names))
    assert list(found) == list(qrels)
    for query in qrels:
        theirs = expected.get(query, dict.fromkeys(names.values(), 0.0))
        assert found[query] == pytest.approx({ours: theirs[name] for ours, name in names.items()}, abs=1e-12)


# --- claims ---------------------------------------------------------------------------------------------------------

CLAIMS = {"s1": frozenset("a"), "s2": frozenset("ab"), "s3": frozenset("c"), "s4": frozenset("d")}


def test_claim_coverage_claims_has_the_reference_values_to_the_last_printed_digit() -> None:
    found = compute_measures(
        {"q": ["b", "a", "x", "c"]}, {"q": {"a": 1}}, ("alpha_nDCG@10", "StRecall@10", "StRecall@2"), claims={"q": CLAIMS}
    )
    assert {name: round(value, 6) for name, value in found.items()} == {
        "alpha_nDCG@10": 0.710365,
        "StRecall@10": 0.75,
        "StRecall@2": 0.5,
    }


def test_a_claim_is_worth_half_as_much_each_time_it_is_seen_again() -> None:
    claims = {"q": {"s": frozenset("ab"), "t": frozenset("b")}}
    # b holds both (2), then a repeats s (0.5); the ideal is that order.
    ideal = 2 + 0.5 / math.log2(3)
    assert compute_measures({"q": ["b", "a"]}, {"q": {"a": 1}}, ["alpha_nDCG@5"], claims=claims)["alpha_nDCG@5"] == 1.0
    assert compute_measures({"q": ["a", "b"]}, {"q": {"a": 1}}, ["alpha_nDCG@5"], claims=claims)[
        "alpha_nDCG@5"
    ] == pytest.approx((1 + 1.5 / math.log2(3)) / ideal)


def ndeval(ranking: list[str], claims: dict[str, frozenset[str]], k: int, alpha: float) -> dict[str, float]:
    everyone = sorted({*ranking, *(document for holders in claims.values() for document in holders)})
    qrels = [("q", claim, document, int(document in holders)) for claim, holders in claims.items() for document in everyone]
    run = [("q", document, float(len(ranking) - i)) for i, document in enumerate(ranking)]
    found: dict[str, float] = pyndeval.ndeval(qrels, run, [f"alpha-nDCG@{k}", f"strec@{k}"], alpha=alpha)["q"]
    return found


@THOUSAND
@given(
    st.lists(DOCUMENTS, min_size=1, unique=True),
    st.dictionaries(st.sampled_from([f"c{i}" for i in range(8)]), st.frozensets(DOCUMENTS, max_size=6), min_size=1),
    st.sampled_from([1, 2, 5, 10, 20]),
)
def test_alpha_ndcg_and_subtopic_recall_equal_ndeval(ranking: list[str], claims: dict[str, frozenset[str]], k: int) -> None:
    for alpha in (0.5, 0.0, 1.0, 0.75):
        expected = ndeval(ranking, claims, k, alpha)
        assert claim_coverage(ranking, claims, k=k, alpha=alpha) == pytest.approx(expected[f"alpha-nDCG@{k}"], abs=1e-12)
        assert claim_coverage(ranking, claims, k=k) == pytest.approx(expected[f"strec@{k}"], abs=1e-12)


def test_an_alpha_that_is_no_binary_fraction_differs_from_ndeval_at_most_by_its_rounding_of_ties() -> None:
    rng = random.Random(0)
    documents = [f"d{i}" for i in range(20)]
    for _ in range(300):
        claims = {f"c{j}": frozenset(rng.sample(documents, rng.randint(0, 6))) for j in range(8)}
        ranking = rng.sample(documents, 12)
        assert claim_coverage(ranking, claims, k=10, alpha=0.9) == pytest.approx(
            ndeval(ranking, claims, 10, 0.9)["alpha-nDCG@10"], abs=1e-3
        )


def test_cutoffs_above_ndevals_twenty_work() -> None:
    claims = {"q": {f"c{i}": frozenset([f"d{i}"]) for i in range(60)}}
    ranking = {"q": [f"d{i}" for i in range(60)]}
    assert compute_measures(ranking, {"q": {"d0": 1}}, ["StRecall@50"], claims=claims) == {"StRecall@50": 50 / 60}


def test_queries_without_claims_and_queries_not_ranked_count_zero() -> None:
    qrels = {"q": {"a": 1}, "absent": {"a": 1}, "bare": {"a": 1}, "unheld": {"a": 1}}
    claims: Claims = {"q": CLAIMS, "absent": CLAIMS, "unheld": {"s": frozenset()}}
    rankings = {"q": ["a", "b", "c", "d"], "bare": ["a"], "unheld": ["a"]}
    assert compute_measures(rankings, qrels, ["StRecall@10"], claims=claims) == {"StRecall@10": 0.25}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("alpha_nDCG(rel=2)@10", "rel cannot be set here"),
        ("alpha_nDCG(alpha=1.5)@10", "alpha must lie between 0 and 1"),
        ("alpha_nDCG", "write it as alpha_nDCG@10"),
        ("R(tIoU=0)@1", "above 0"),
        ("R(tIoU=1.5)@1", "above 0"),
        ("R(tIoU=0.5)@0", "at least 1"),
        ("R(tIoU=0.5)", "is not a measure"),
    ],
)
def test_a_measure_of_claims_or_moments_that_cannot_be_is_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compute_measures({"q": ["v#t=0,1"]}, {"q": {"v#t=0,1": 1}}, [name], claims={"q": CLAIMS})


# --- moments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((0, 10), (5, 20), 0.25),
        ((0, 10), (0, 10), 1.0),
        ((0, 10), (10, 20), 0.0),  # half open: they touch and do not meet
        ((2, 4), (0, 10), 0.2),
        ((0, 1), (8, 9), 0.0),
    ],
)
def test_temporal_overlap_by_hand(one: tuple[float, float], other: tuple[float, float], expected: float) -> None:
    assert temporal_iou(Moment("v", *one), Moment("v", *other)) == pytest.approx(expected)
    assert temporal_iou(Moment("v", *other), Moment("v", *one)) == pytest.approx(expected)
    assert temporal_iou(Moment("v", *one), Moment("w", *other)) == 0.0


def test_moment_retrieval_by_hand() -> None:
    qrels = {
        "first": {"v#t=0,10": 1, "v#t=50,60": 1},  # either will do
        "second": {"v#t=0,10": 1},
        "elsewhere": {"v#t=0,10": 1, "w#t=0,10": 0},
        "absent": {"v#t=0,10": 1},
    }
    rankings = {
        "first": ["v#t=50,57", "v#t=0,10"],  # 0.7
        "second": ["v#t=5,20", "v#t=0,5"],  # 0.25, then 0.5
        "elsewhere": ["w#t=0,10"],  # grade 0
    }
    names = ["R(tIoU=0.3)@1", "R(tIoU=0.5)@1", "R(tIoU=0.7)@1", "R(tIoU=0.5)@5", "R(tIoU=0.7)@5", "mIoU"]
    assert compute_measures(rankings, qrels, names) == pytest.approx(
        dict(zip(names, [0.25, 0.25, 0.25, 0.5, 0.25, 0.95 / 4], strict=True))
    )


def test_a_moment_is_read_back_as_it_was_written() -> None:
    for moment in (Moment("v7", 0.0, 12.5), Moment("26292851@N04_42#x", 1.25, 3600.123)):
        assert parse_moment(moment.document_id) == moment


@pytest.mark.parametrize("document", ["v7", "v7#t=5", "v7#t=5,5", "v7#t=9,5", "v7#t=-1,5", "v7#t=nan,5", "#t=0,5"])
def test_what_is_no_moment_is_refused(document: str) -> None:
    with pytest.raises(InputError, match="is not a moment: write it as VIDEO#t=START,END"):
        compute_measures({"q": [document]}, {"q": {"v#t=0,1": 1}}, ["mIoU"])


# --- ties -----------------------------------------------------------------------------------------------------------


def orders(scores: dict[str, float]) -> list[list[str]]:
    """Every order that the scores allow."""
    groups = [sorted(d for d in scores if scores[d] == score) for score in sorted(set(scores.values()), reverse=True)]
    return [list(itertools.chain(*parts)) for parts in itertools.product(*(itertools.permutations(group) for group in groups))]


def test_tie_bounds_are_the_extremes_of_every_order_that_the_scores_allow() -> None:
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


def test_bounds_are_means_over_all_judged_queries_and_equal_the_mean_without_ties() -> None:
    run = {"tied": {"a": 1.0, "b": 1.0}, "clear": {"a": 2.0, "b": 1.0}}
    qrels = {"tied": {"a": 1}, "clear": {"b": 1}, "absent": {"a": 1}}
    found = tie_bounds(run, qrels, compute_per_query(rank_documents(run), qrels, ["RR"]))
    assert found["RR"] == pytest.approx(((0.5 + 0.5 + 0) / 3, (1 + 0.5 + 0) / 3))
    assert tied_queries(run) == ["tied"]
    clear = {"clear": run["clear"]}
    assert tie_bounds(clear, {"clear": {"b": 1}}, {"clear": {"RR": 0.5}})["RR"] == (0.5, 0.5)


def test_scores_that_tie_only_as_32_bit_floats_are_ties() -> None:
    assert tied_queries({"q": {"a": 1.0 + 1e-9, "b": 1.0}, "r": {"a": 1e300, "b": 1e200}, "s": {"a": 1.001, "b": 1.0}}) == [
        "q",
        "r",
    ]


@pytest.mark.parametrize("name", ["Judged@10", "Bpref", "nDCG(gains={1: 5, 2: 1})@10"])
def test_a_measure_whose_extremes_a_grade_does_not_tell_has_no_bounds(name: str) -> None:
    run: dict[str, Any] = {"q": {"a": 1.0, "b": 1.0}}
    assert tie_bounds(run, {"q": {"a": 1}}, {"q": {name: 0.5}}) == {name: None}
