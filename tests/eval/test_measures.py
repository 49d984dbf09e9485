"""Measures compared with trec_eval, ndeval and brute force."""

import math
import random
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import pyndeval
import pytest
import pytrec_eval
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankvideo_rag.errors import InputError, MissingDependency
from rankvideo_rag.eval.coverage import claim_coverage
from rankvideo_rag.eval.measures import compute_measures, compute_per_query
from rankvideo_rag.formats.trec import Claims, Qrels, TrecRun, rank_documents

GRADES = {"a": 3, "b": 1, "c": 2, "d": 1}


THOUSAND = settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


DOCUMENTS = st.sampled_from([*(f"v{i}" for i in range(12)), "ü1", "Z", "a"])


# Few and close values, so that scores tie, some only as 32-bit floats.
SCORES = st.sampled_from([-1e30, -2.5, 0.0, 1.0, 1.0 + 1e-9, 1.0000002, 3.5, 1e30])


QUERIES = [f"q{i}" for i in range(4)]


CLAIMS = {"s1": frozenset("a"), "s2": frozenset("ab"), "s3": frozenset("c"), "s4": frozenset("d")}


@st.composite
def runs_and_qrels(draw: st.DrawFn) -> tuple[TrecRun, Qrels]:
    ranked = draw(st.lists(st.sampled_from(QUERIES), min_size=1, unique=True))
    judged = draw(st.lists(st.sampled_from(QUERIES), min_size=1, unique=True).filter(lambda some: set(some) & set(ranked)))
    run = {query: draw(st.dictionaries(DOCUMENTS, SCORES, min_size=1)) for query in ranked}
    qrels = {query: draw(st.dictionaries(DOCUMENTS, st.integers(-1, 4), min_size=1)) for query in judged}
    return run, qrels


def brute_force_ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    gained = sum(max(grades.get(document, 0), 0) / math.log2(i + 2) for i, document in enumerate(ranking[:k]))
    best = sorted((max(grade, 0) for grade in grades.values()), reverse=True)
    ideal = sum(grade / math.log2(i + 2) for i, grade in enumerate(best[:k]))
    return gained / ideal if ideal else 0.0


def ndeval(ranking: list[str], claims: dict[str, frozenset[str]], k: int, alpha: float) -> dict[str, float]:
    everyone = sorted({*ranking, *(document for holders in claims.values() for document in holders)})
    qrels = [("q", claim, document, int(document in holders)) for claim, holders in claims.items() for document in everyone]
    run = [("q", document, float(len(ranking) - i)) for i, document in enumerate(ranking)]
    found: dict[str, float] = pyndeval.ndeval(qrels, run, [f"alpha-nDCG@{k}", f"strec@{k}"], alpha=alpha)["q"]
    return found


@THOUSAND
@given(runs_and_qrels())
def test_measures_equal_trec_eval_on_random_runs_and_absent_queries_count_0(given_: tuple[TrecRun, Qrels]) -> None:
    run, qrels = given_
    names = {"nDCG@10": "ndcg_cut_10", "nDCG@3": "ndcg_cut_3", "R@5": "recall_5", "AP": "map", "RR": "recip_rank"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.3,10", "recall.5", "map", "recip_rank"}).evaluate(run)
    found = compute_per_query(rank_documents(run), qrels, list(names))
    assert list(found) == list(qrels)
    for query in qrels:
        theirs = expected.get(query, dict.fromkeys(names.values(), 0.0))
        assert found[query] == pytest.approx({ours: theirs[name] for ours, name in names.items()}, abs=1e-12)


def test_tied_documents_have_the_ndcg_of_trec_eval() -> None:
    rankings = rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 1.0}})
    assert round(compute_measures(rankings, {"q": {"b": 1}})["nDCG@10"], 6) == 0.630930  # rank 2
    assert compute_measures(rankings, {"q": {"a": 1}})["nDCG@10"] == 0.5  # rank 3


def test_runs_with_many_ties_measure_as_in_trec_eval() -> None:
    rng = random.Random(7)
    run = {f"q{i}": {f"d{j}": rng.choice([0.1, 0.2, 0.2 + 1e-9, 3.0]) for j in range(12)} for i in range(30)}
    qrels = {query: {document: rng.choice([-1, 0, 1, 2, 3]) for document in documents} for query, documents in run.items()}
    expected = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.5", "recall.5", "map"}).evaluate(run)
    found = compute_per_query(rank_documents(run), qrels, ("nDCG@5", "R@5", "AP"))
    for query, values in expected.items():
        assert found[query] == pytest.approx({"nDCG@5": values["ndcg_cut_5"], "R@5": values["recall_5"], "AP": values["map"]})


def test_measures_have_the_values_of_trec_eval_to_the_last_printed_digit() -> None:
    found = compute_measures({"q": ["b", "a", "x", "c"]}, {"q": GRADES}, ("nDCG@10", "R@10", "AP", "RR"))
    assert {name: round(value, 6) for name, value in found.items()} == {
        "nDCG@10": 0.722988,
        "R@10": 0.75,
        "AP": 0.6875,
        "RR": 1,
    }


def test_judged_share_and_reciprocal_rank_with_a_cutoff() -> None:
    assert compute_measures({"q": ["x", "a", "y", "b"]}, {"q": GRADES}, ("Judged@10", "RR@2", "RR@1")) == {
        "Judged@10": 0.5,
        "RR@2": 0.5,
        "RR@1": 0.0,
    }


def test_judged_queries_that_are_not_ranked_count_0() -> None:
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


def test_a_ranked_query_without_judgements_is_left_out() -> None:
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
def test_unknown_and_impossible_measures_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compute_measures({"q": ["a"]}, {"q": {"a": 1}}, [name])


def test_mismatched_inputs_are_errors_rather_than_scores_of_0() -> None:
    with pytest.raises(InputError, match="ids such as '1', qrels such as 'q1'"):
        compute_measures({"1": ["a"]}, {"q1": {"a": 1}})
    with pytest.raises(InputError, match="the qrels hold no query"):
        compute_measures({"1": ["a"]}, {})
    with pytest.raises(InputError, match="no measure was asked for"):
        compute_measures({"q": ["a"]}, {"q": {"a": 1}}, [])
    with pytest.raises(InputError, match="holds 'a' twice"):
        compute_measures({"q": ["a", "a"]}, {"q": {"a": 1}})


@pytest.mark.parametrize("package", ["ir_measures", "pytrec_eval"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "rankvideo_rag.eval.measures")
    with pytest.raises(MissingDependency, match=r"rankvideo-rag\[eval\]"):
        import_module("rankvideo_rag.eval.measures")


# Claims


def test_claim_coverage_has_reference_values_to_the_last_printed_digit() -> None:
    found = compute_measures(
        {"q": ["b", "a", "x", "c"]}, {"q": {"a": 1}}, ("alpha_nDCG@10", "StRecall@10", "StRecall@2"), claims={"q": CLAIMS}
    )
    assert {name: round(value, 6) for name, value in found.items()} == {
        "alpha_nDCG@10": 0.710365,
        "StRecall@10": 0.75,
        "StRecall@2": 0.5,
    }


def test_alpha_ndcg_halves_the_gain_of_a_repeated_claim() -> None:
    claims = {"q": {"s": frozenset("ab"), "t": frozenset("b")}}
    # b holds both (2), then a repeats s (0.5); the ideal is that order.
    ideal = 2 + 0.5 / math.log2(3)
    assert compute_measures({"q": ["b", "a"]}, {"q": {"a": 1}}, ["alpha_nDCG@5"], claims=claims)["alpha_nDCG@5"] == 1.0
    assert compute_measures({"q": ["a", "b"]}, {"q": {"a": 1}}, ["alpha_nDCG@5"], claims=claims)[
        "alpha_nDCG@5"
    ] == pytest.approx((1 + 1.5 / math.log2(3)) / ideal)


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


def test_other_alphas_differ_from_ndeval_only_by_its_rounding_of_ties() -> None:
    rng = random.Random(0)
    documents = [f"d{i}" for i in range(20)]
    for _ in range(300):
        claims = {f"c{j}": frozenset(rng.sample(documents, rng.randint(0, 6))) for j in range(8)}
        ranking = rng.sample(documents, 12)
        assert claim_coverage(ranking, claims, k=10, alpha=0.9) == pytest.approx(
            ndeval(ranking, claims, 10, 0.9)["alpha-nDCG@10"], abs=1e-3
        )


def test_cutoffs_above_20_work() -> None:
    claims = {"q": {f"c{i}": frozenset([f"d{i}"]) for i in range(60)}}
    ranking = {"q": [f"d{i}" for i in range(60)]}
    assert compute_measures(ranking, {"q": {"d0": 1}}, ["StRecall@50"], claims=claims) == {"StRecall@50": 50 / 60}


def test_queries_without_claims_or_ranking_count_0() -> None:
    qrels = {"q": {"a": 1}, "absent": {"a": 1}, "bare": {"a": 1}, "unheld": {"a": 1}}
    claims: Claims = {"q": CLAIMS, "absent": CLAIMS, "unheld": {"s": frozenset()}}
    rankings = {"q": ["a", "b", "c", "d"], "bare": ["a"], "unheld": ["a"]}
    assert compute_measures(rankings, qrels, ["StRecall@10"], claims=claims) == {"StRecall@10": 0.25}


# Moments


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


@pytest.mark.parametrize("document", ["v7", "v7#t=5", "v7#t=5,5", "v7#t=9,5", "v7#t=-1,5", "v7#t=nan,5", "#t=0,5"])
def test_documents_that_are_not_moments_are_refused(document: str) -> None:
    with pytest.raises(InputError, match="is not a moment: write it as VIDEO#t=START,END"):
        compute_measures({"q": [document]}, {"q": {"v#t=0,1": 1}}, ["mIoU"])


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
def test_impossible_measures_of_claims_and_moments_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compute_measures({"q": ["v#t=0,1"]}, {"q": {"v#t=0,1": 1}}, [name], claims={"q": CLAIMS})


@pytest.mark.parametrize("grade", [2**31, 10**20, -(2**31)])
def test_a_grade_that_would_fill_the_memory_is_refused(grade: int) -> None:
    with pytest.raises(InputError, match=f"query 'q1' has grade {grade} for document '1': the limit is 10000"):
        compute_measures({"q1": ["1"]}, {"q1": {"1": grade}})


@pytest.mark.parametrize(
    ("name", "words"),
    [("R@" + "9" * 30, "must be at most 1000000000"), ("R(rel=99999)@10", "rel is a grade, of at most 10000")],
)
def test_a_cutoff_or_level_beyond_what_can_be_counted_is_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        compute_measures({"q1": ["1"]}, {"q1": {"1": 1}}, [name])
