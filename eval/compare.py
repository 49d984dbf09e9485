"""What reranking changed: recall and nDCG of the first stage and of the reranked order. Needs the extra `eval`.

RankVideo's evaluation leaves out queries without predictions and queries without a relevant video; here every judged query
counts, and its way of counting is computed beside ours, so that published numbers can be compared with either.
"""

from collections.abc import Mapping
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import measure
from rankvideo_rag.formats.rankvideo import RelevanceScores
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.ranking.orders import first_stage_order, reranked

CUTOFFS = (5, 10, 20, 50, 100)
MEASURES = tuple(f"{name}@{k}" for name in ("R", "nDCG") for k in CUTOFFS)
DEPTH = 1000  # the original's


class Stages(NamedTuple):
    """Means over the same queries, measure -> value."""

    queries: int
    first_stage: dict[str, float]
    reranked: dict[str, float]


class Comparison(NamedTuple):
    """Both stages counted our way and the original's, and what lies between the two."""

    ours: Stages  # every query of the qrels; those without predictions count 0 after reranking
    original: Stages | None  # queries with predictions and a relevant video only; None where there is none
    notes: tuple[str, ...]


class BeforeAndAfter(NamedTuple):
    """Query -> videos, best first."""

    first_stage: dict[str, list[str]]
    reranked: dict[str, list[str]]  # queries with predictions only


def compare(verdicts: RelevanceScores, first_stage: TrecRun, qrels: Qrels, *, depth: int = DEPTH) -> Comparison:
    """Measure the first stage, and the order in which its first `depth` videos stand by margin.

    The first stage is ordered by (-score, id), the reranked block by (-margin, -first-stage score, id); pairs without a
    margin end the block as they stood, and the rest of the first stage follows.

    Raises InputError when no query of the verdicts is in the first stage, or none of the first stage in the qrels.
    """
    first, after = before_and_after(verdicts, first_stage, depth=depth)
    counted = {query: grades for query, grades in qrels.items() if query in after and max(grades.values(), default=0) > 0}
    return Comparison(
        ours=Stages(len(qrels), measure(first, qrels, MEASURES), _measured(after, qrels)),
        original=Stages(len(counted), measure(first, counted, MEASURES), measure(after, counted, MEASURES))
        if counted
        else None,
        notes=notes_on(verdicts, first, qrels, depth=depth),
    )


def before_and_after(verdicts: RelevanceScores, first_stage: TrecRun, *, depth: int = DEPTH) -> BeforeAndAfter:
    """The order of the first stage and, for the queries of the verdicts, the reranked one: see `compare`."""
    if not verdicts.keys() & first_stage.keys():
        raise InputError(f"no query is in both: verdicts on {_some(verdicts)}, a first stage for {_some(first_stage)}")
    first = first_stage_order(first_stage)
    return BeforeAndAfter(
        first, {query: reranked(first[query], _margins(verdicts, query), depth=depth) for query in first if query in verdicts}
    )


def notes_on(verdicts: RelevanceScores, first: Mapping[str, list[str]], qrels: Qrels, *, depth: int) -> tuple[str, ...]:
    """What of the verdicts, the first stage and the judgements does not belong together, counted."""
    return (*_on_queries(verdicts, first, qrels), *_on_pairs(verdicts, first, depth))


def _measured(after: Mapping[str, list[str]], qrels: Qrels) -> dict[str, float]:
    # None of them judged: they count 0 as all that are absent do, where `measure` would see two files that do not match.
    return measure({query: videos for query, videos in after.items() if query in qrels}, qrels, MEASURES)


def _margins(verdicts: RelevanceScores, query: str) -> dict[str, float | None]:
    return {video: score.margin for video, score in verdicts[query].items()}


def _on_queries(verdicts: RelevanceScores, first: Mapping[str, list[str]], qrels: Qrels) -> list[str]:
    found = {
        "judged queries not in the first stage, 0 in both rows": [q for q in qrels if q not in first],
        "judged queries without predictions, 0 after reranking (the original leaves them out of both rows)": [
            q for q in qrels if q in first and q not in verdicts
        ],
        "judged queries without a relevant video, 0 in both rows (the original leaves them out)": [
            q for q, grades in qrels.items() if max(grades.values(), default=0) <= 0
        ],
        "queries with predictions and without judgements, not counted": [q for q in verdicts if q not in qrels],
        "queries with predictions of which none has a margin, left in the first stage's order": [
            q for q, scores in verdicts.items() if all(score.margin is None for score in scores.values())
        ],
    }
    return [f"{what}: {len(queries)} ({_some(queries)})" for what, queries in found.items() if queries]


def _on_pairs(verdicts: RelevanceScores, first: Mapping[str, list[str]], depth: int) -> list[str]:
    unscored = absent = strange = deeper = zeros = 0
    for query, scores in verdicts.items():
        order = first.get(query, [])
        block, everything = set(order[:depth]), set(order)
        absent += len(block - scores.keys())
        strange += len(scores.keys() - everything)
        deeper += len((scores.keys() & everything) - block)
        unscored += sum(scores[video].margin is None for video in scores.keys() & block)
        zeros += sum((score.reason or "").startswith("zeros") for score in scores.values())
    found = {
        f"pairs among the first {depth} that could not be scored, put at the end of the reranked block": unscored,
        f"pairs among the first {depth} without a prediction, put at the end of the reranked block": absent,
        f"predictions on videos below the first {depth}, not used": deeper,
        "predictions on videos that the first stage has not, not used": strange,
        "pairs of zeros, which the original would rank as margins of 0.0": zeros,
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def _some(queries: Mapping[str, object] | list[str]) -> str:
    names = list(queries)
    return ", ".join(repr(name) for name in names[:3]) + (", …" if len(names) > 3 else "")
