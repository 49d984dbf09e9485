"""Compute retrieval measures by name: those of trec_eval through ir-measures, coverage of claims, and moments.

Rankings are passed to trec_eval as ranks, never as model scores: no tie and no rounding can reorder them.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rankvideo_rag.backends import import_optional
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.coverage import claim_coverage
from rankvideo_rag.eval.moment_measures import moment_measure
from rankvideo_rag.formats.trec import MAX_GRADE, Claims, Qrels, check_unique

ir_measures = import_optional("ir_measures", "measures")
# ir-measures leaves out what is not installed, and would only then say that it cannot compute nDCG.
import_optional("pytrec_eval", "measures")
# The providers that run inside this process on ids of any kind. The one for alpha-nDCG (pyndeval) is not among them: it stops
# at rank 20, and takes memory for every claim of every query at once.
_PROVIDER = ir_measures.providers.FallbackProvider(
    [ir_measures.pytrec_eval, ir_measures.judged, ir_measures.msmarco, ir_measures.compat]
)

PerQueryValues = Mapping[str, Mapping[str, float]]  # query id -> measure -> value

DEFAULT_MEASURES = ("nDCG@10", "R@10")
MAX_CUTOFF = 10**9  # trec_eval counts ranks in 32 bits
_CLAIM_MEASURES = ("alpha_nDCG", "StRecall")
# Highest with equal scores ordered by descending grade, lowest with ascending.
_ORDERED_BY_GRADE = ("nDCG", "RR", "AP", "R", "P", "Success")


def compute_measures(
    rankings: Mapping[str, Sequence[str]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
) -> dict[str, float]:
    """Return the mean of each measure over all judged queries; one that is absent from the rankings counts 0.

    Names are those of ir-measures: "nDCG@10", "R@100", "RR", "AP(rel=2)", "Judged@10"; "alpha_nDCG@10" and "StRecall@10" need
    `claims` (coverage.py); "R(tIoU=0.5)@1" and "mIoU" need documents that are moments (moment_measures.py). nDCG has linear
    gains, and its ideal is taken over all judged documents. A query without a relevant document counts 0, a ranked query
    without judgements is left out.

    Raises InputError for an unknown name, for qrels without queries, and when no ranked query is judged.
    """
    by_query = compute_per_query(rankings, qrels, names, claims=claims)
    return {name: fmean(values[name] for values in by_query.values()) for name in names}


def compute_per_query(
    rankings: Mapping[str, Sequence[str]],
    qrels: Qrels,
    names: Sequence[str] = DEFAULT_MEASURES,
    *,
    claims: Claims | None = None,
) -> dict[str, dict[str, float]]:
    """Return query id -> measure -> value for every judged query, in order of the qrels. See `compute_measures`."""
    if not names:
        raise InputError(f"no measure was asked for: name some, such as {', '.join(DEFAULT_MEASURES)}")
    _check_queries(rankings, qrels)
    for query, documents in rankings.items():
        check_unique(query, documents)
    columns: dict[str, Mapping[str, float]] = {}
    of_trec_eval = {}
    for name in names:
        if (measure := moment_measure(name)) is not None:
            columns[name] = {query: measure(rankings.get(query, ()), grades) for query, grades in qrels.items()}
        elif (parsed := _parse(name)).NAME in _CLAIM_MEASURES:
            columns[name] = _claim_values(rankings, qrels, name, parsed, claims)
        else:
            of_trec_eval[name] = parsed
    if of_trec_eval:
        columns |= _trec_eval_values(rankings, qrels, of_trec_eval)
    return {query: {name: columns[name][query] for name in names} for query in qrels}


def is_bounded_by_grade(name: str) -> bool:
    """Whether ordering equal scores by grade gives a measure's extremes: nDCG, RR, AP, R, P and Success."""
    if moment_measure(name) is not None:
        return False
    parsed = _parse(name)
    return parsed.NAME in _ORDERED_BY_GRADE and "gains" not in parsed.params


def _trec_eval_values(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, measures: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    try:
        evaluator = _PROVIDER.evaluator(list(measures.values()), qrels)
    except (ValueError, TypeError) as error:
        raise InputError(f"one of {', '.join(measures)} cannot be computed here: {error}") from error
    ranks = {  # scores that count down to 1
        query: {document: float(len(documents) - i) for i, document in enumerate(documents)}
        for query, documents in rankings.items()
    }
    values: dict[Any, dict[str, float]] = {measure: {} for measure in measures.values()}
    for metric in evaluator.iter_calc(ranks):
        values[metric.measure][metric.query_id] = float(metric.value)
    return {name: values[measure] for name, measure in measures.items()}


def _claim_values(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, name: str, parsed: Any, claims: Claims | None
) -> dict[str, float]:
    if claims is None:
        raise InputError(f"{name!r} is measured against claims: say which document supports which (--claims)")
    options = dict(parsed.params)
    k, alpha = options.pop("cutoff", None), options.pop("alpha", 0.5 if parsed.NAME == "alpha_nDCG" else None)
    if k is None:
        raise InputError(f"{name!r} has no cutoff: write it as {parsed.NAME}@10")
    if options:
        raise InputError(f"{name!r}: {', '.join(options)} cannot be set here: a document supports a claim or does not")
    if alpha is not None and not 0 <= alpha <= 1:
        raise InputError(f"{name!r}: alpha must lie between 0 and 1")
    return {query: claim_coverage(rankings.get(query, ()), claims.get(query, {}), k=k, alpha=alpha) for query in qrels}


def _check_queries(rankings: Mapping[str, Sequence[str]], qrels: Qrels) -> None:
    if not qrels:
        raise InputError("the qrels hold no query: there is nothing to measure against")
    if rankings and not rankings.keys() & qrels.keys():
        ranked, judged = next(iter(rankings)), next(iter(qrels))
        raise InputError(f"no ranked query is judged: rankings have ids such as {ranked!r}, qrels such as {judged!r}")
    for query, grades in qrels.items():
        if document := next((document for document, grade in grades.items() if abs(grade) > MAX_GRADE), None):
            raise InputError(
                f"query {query!r} has grade {grades[document]} for document {document!r}: the limit is {MAX_GRADE}"
            )


def _parse(name: str) -> Any:
    try:
        parsed = ir_measures.parse_measure(name)
        parsed.validate_params()
    except (NameError, ValueError, AssertionError) as error:
        raise InputError(f"{name!r} is not a measure ({error}): write it as nDCG@10, R@100, RR or AP") from error
    if parsed.params.get("cutoff", 1) < 1:  # would end the process inside trec_eval
        raise InputError(f"{name!r} looks at no document: the number after @ must be at least 1")
    if parsed.params.get("cutoff", 1) > MAX_CUTOFF:
        raise InputError(f"{name!r}: the number after @ must be at most {MAX_CUTOFF}")
    if abs(parsed.params.get("rel", 1)) > MAX_GRADE:
        raise InputError(f"{name!r}: rel is a grade, of at most {MAX_GRADE}")
    return parsed
