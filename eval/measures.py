"""Retrieval measures by name: those of trec_eval through ir-measures, coverage of claims, and moments. Needs the extra `eval`.

Rankings go in as ranks, never as model scores: no tie and no rounding can reorder them. This file reads no files.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rankvideo_rag.backends import import_optional
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.coverage import coverage_of
from rankvideo_rag.formats.moments import MomentMeasure, moment_measure
from rankvideo_rag.formats.trec import Claims, Qrels, check_unique

ir_measures = import_optional("ir_measures", "measures")
# ir-measures leaves out what is not installed, and would only then say that it cannot compute nDCG.
import_optional("pytrec_eval", "measures")
# Those of its providers that run inside this process on ids of any kind: trec_eval, and what trec_eval has not. Its provider
# of alpha-nDCG (pyndeval) is not among them: it stops at rank 20, and takes memory for every claim of every query at once.
_PROVIDER = ir_measures.providers.FallbackProvider(
    [ir_measures.pytrec_eval, ir_measures.judged, ir_measures.msmarco, ir_measures.compat]
)

DEFAULT_MEASURES = ("nDCG@10", "R@10")
_OF_CLAIMS = ("alpha_nDCG", "StRecall")
# In an order of equal scores that puts higher grades first, these are highest; lower grades first, lowest.
_ORDERED_BY_GRADE = ("nDCG", "RR", "AP", "R", "P", "Success")


def compute_measures(
    rankings: Mapping[str, Sequence[str]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
) -> dict[str, float]:
    """The mean of each measure over all judged queries; one that is absent from the rankings counts 0.

    Names are those of ir-measures: "nDCG@10", "R@100", "RR", "AP(rel=2)", "Judged@10"; "alpha_nDCG@10" and "StRecall@10" need
    `claims` (coverage.py); "R(tIoU=0.5)@1" and "mIoU" need documents that are moments (moments.py). nDCG has linear gains, and
    its ideal is taken over all judged documents. A query without a relevant document counts 0, a ranked query without
    judgements not at all.

    Raises InputError for a name that is no measure, for qrels without queries, and when no ranked query is judged at all.
    """
    by_query = compute_per_query(rankings, qrels, names, claims=claims)
    return {name: mean_of([values[name] for values in by_query.values()]) for name in names}


def compute_per_query(
    rankings: Mapping[str, Sequence[str]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
) -> dict[str, dict[str, float]]:
    """Each judged query's measures, in order of the qrels: query id -> name -> value. See `measure`."""
    if not names:
        raise InputError(f"no measure was asked for: name some, such as {', '.join(DEFAULT_MEASURES)}")
    _check_queries(rankings, qrels)
    for query, documents in rankings.items():
        check_unique(query, documents)
    columns = _columns(rankings, qrels, names, claims)
    return {query: {name: columns[name][query] for name in names} for query in qrels}


def mean_of(values: Sequence[float]) -> float:
    """The mean, summed without rounding."""
    return math.fsum(values) / len(values)


def is_bounded_by_grade(name: str) -> bool:
    """Whether the order of equal scores can be told that is best, and worst, for a measure: see ties.py."""
    if moment_measure(name) is not None:
        return False
    parsed = _measure(name)
    return parsed.NAME in _ORDERED_BY_GRADE and "gains" not in parsed.params


def _columns(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, names: Sequence[str], claims: Claims | None
) -> dict[str, Mapping[str, float]]:
    """Name -> query id -> value."""
    overlaps = {name: overlap for name in names if (overlap := moment_measure(name)) is not None}
    parsed = {name: _measure(name) for name in names if name not in overlaps}
    covered = {name: one for name, one in parsed.items() if one.NAME in _OF_CLAIMS}
    return {
        **_of_trec_eval(rankings, qrels, {name: one for name, one in parsed.items() if name not in covered}),
        **{name: _of_claims(rankings, qrels, name, one, claims) for name, one in covered.items()},
        **{name: _of_moments(rankings, qrels, overlap) for name, overlap in overlaps.items()},
    }


def _of_trec_eval(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, measures: Mapping[str, Any]
) -> dict[str, Mapping[str, float]]:
    if not measures:
        return {}
    values: dict[Any, dict[str, float]] = {one: {} for one in measures.values()}
    for metric in _evaluator(measures, qrels).iter_calc(_ranks(rankings)):
        values[metric.measure][metric.query_id] = float(metric.value)
    return {name: values[one] for name, one in measures.items()}


def _of_claims(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, name: str, parsed: Any, claims: Claims | None
) -> dict[str, float]:
    if claims is None:
        raise InputError(f"{name!r} is measured against claims: say which document holds which (--claims)")
    options = dict(parsed.params)
    k, alpha = options.pop("cutoff", None), options.pop("alpha", 0.5 if parsed.NAME == "alpha_nDCG" else None)
    if k is None:
        raise InputError(f"{name!r} needs to know how many documents it looks at: write it as {parsed.NAME}@10")
    if options:
        raise InputError(f"{name!r}: {', '.join(options)} cannot be set here: a document holds a claim or does not")
    if alpha is not None and not 0 <= alpha <= 1:
        raise InputError(f"{name!r}: alpha must lie between 0 and 1")
    return {query: coverage_of(rankings.get(query, ()), claims.get(query, {}), k=k, alpha=alpha) for query in qrels}


def _of_moments(rankings: Mapping[str, Sequence[str]], qrels: Qrels, overlap: MomentMeasure) -> dict[str, float]:
    return {query: overlap(rankings.get(query, ()), grades) for query, grades in qrels.items()}


def _check_queries(rankings: Mapping[str, Sequence[str]], qrels: Qrels) -> None:
    if not qrels:
        raise InputError("the qrels hold no query: there is nothing to measure against")
    if rankings and not rankings.keys() & qrels.keys():
        ranked, judged = next(iter(rankings)), next(iter(qrels))
        raise InputError(f"no ranked query is judged: rankings have ids such as {ranked!r}, qrels such as {judged!r}")


def _measure(name: str) -> Any:
    try:
        parsed = ir_measures.parse_measure(name)
        parsed.validate_params()
    except (NameError, ValueError, AssertionError) as error:
        raise InputError(f"{name!r} is no measure ({error}): write it as nDCG@10, R@100, RR or AP") from error
    if parsed.params.get("cutoff", 1) < 1:  # would end the process inside trec_eval
        raise InputError(f"{name!r} looks at no document: the number after @ must be at least 1")
    return parsed


def _evaluator(measures: Mapping[str, Any], qrels: Qrels) -> Any:
    try:
        return _PROVIDER.evaluator(list(measures.values()), qrels)
    except (ValueError, TypeError) as error:
        raise InputError(f"one of {', '.join(measures)} cannot be computed here: {error}") from error


def _ranks(rankings: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Scores that count down to 1: the order and nothing else."""
    return {
        query: {document: float(len(documents) - i) for i, document in enumerate(documents)}
        for query, documents in rankings.items()
    }
