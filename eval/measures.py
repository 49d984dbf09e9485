"""Retrieval measures as trec_eval computes them, through ir-measures. Needs the extra `eval`.

Rankings go in as ranks, never as model scores: no tie and no rounding can reorder them. This file reads no files.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rankvideo_rag.backends import import_with_advice
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.runs import Qrels, check_distinct

ir_measures = import_with_advice("ir_measures", "measures")
# ir-measures leaves out what is not installed, and would only then say that it cannot compute nDCG.
import_with_advice("pytrec_eval", "measures")
# Those of its providers that run inside this process on ids of any kind: trec_eval, and what trec_eval has not.
_PROVIDER = ir_measures.providers.FallbackProvider([ir_measures.pytrec_eval, ir_measures.judged, ir_measures.msmarco])

DEFAULT_MEASURES = ("nDCG@10", "R@10")


def measure(rankings: Mapping[str, Sequence[str]], qrels: Qrels, names: Sequence[str] = DEFAULT_MEASURES) -> dict[str, float]:
    """The mean of each measure over all judged queries; one that is absent from the rankings counts 0.

    Names are those of ir-measures: "nDCG@10", "R@100", "RR", "AP(rel=2)", "Judged@10". nDCG has linear gains, and its ideal is
    taken over all judged documents. A query without a relevant document counts 0, a ranked query without judgements not at all.

    Raises InputError for a name that is no measure, for qrels without queries, and when no ranked query is judged at all.
    """
    by_query = measure_each(rankings, qrels, names)
    return {name: math.fsum(values[name] for values in by_query.values()) / len(by_query) for name in names}


def measure_each(
    rankings: Mapping[str, Sequence[str]], qrels: Qrels, names: Sequence[str] = DEFAULT_MEASURES
) -> dict[str, dict[str, float]]:
    """Each judged query's measures, in order of the qrels: query id -> name -> value. See `measure`."""
    if not names:
        raise InputError(f"no measure was asked for: name some, such as {', '.join(DEFAULT_MEASURES)}")
    _check_queries(rankings, qrels)
    measures = {name: _measure(name) for name in names}
    values: dict[tuple[str, Any], float] = {
        (metric.query_id, metric.measure): float(metric.value)
        for metric in _evaluator(measures, qrels).iter_calc(_ranks(rankings))
    }
    return {query: {name: values[query, measures[name]] for name in names} for query in qrels}


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
    for query, documents in rankings.items():
        check_distinct(query, documents)
    return {
        query: {document: float(len(documents) - i) for i, document in enumerate(documents)}
        for query, documents in rankings.items()
    }
