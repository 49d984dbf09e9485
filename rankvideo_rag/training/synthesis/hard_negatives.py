"""Step four: hard-negative mining: which labelled pairs train a reranker, by the paper's filters (arXiv 2602.02444).

Every pair and every query has exactly one outcome; pairs that are kept are written in the published format.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample, read_examples, write_examples
from rankvideo_rag.schema import Record

PairOutcome = Literal[
    "positive",  # kept, with label 1
    "confident_negative",  # kept, with label 0: the teacher is sure
    "hard_negative",  # kept, with label 0
    "no_label",  # the teacher gave none
    "contradicted",  # the teacher contradicts the human judgement
    "not_retrieved",  # a positive that the first stage ranks below top_k, or not at all
    "outscored",  # a positive with a first-stage score far below a negative's
    "likely_positive",  # unjudged, and the teacher says yes
    "as_good_as_positive",  # the teacher finds it as good as the positive (judge_margin)
    "surplus",  # a negative beyond max_negatives
    "query_dropped",  # its query is not used
]
QueryOutcome = Literal["kept", "without_positive", "without_confident_negative"]

_NEGATIVES: tuple[PairOutcome, ...] = ("confident_negative", "hard_negative")
_KEPT: tuple[PairOutcome, ...] = ("positive", *_NEGATIVES)


class MiningOptions(Record):
    """Thresholds of the paper; margins are the teacher's logp(yes) - logp(no), in nats."""

    neg_threshold: float = -6.0  # a no with a margin up to here is a confident negative
    pos_threshold: float = -8.0  # a yes with a margin above this is a likely positive
    top_k: int = Field(1000, ge=1)  # the first stage has the positive among so many
    ratio: float = Field(2.0, gt=0)  # no negative's first-stage score is above so many times the positive's
    max_negatives: int = Field(3, ge=1)  # of a query
    # UniME-V2's rule (0.01): drop a negative whose p(yes) is above the positive's less this.
    judge_margin: float | None = Field(None, ge=0, le=1)


DEFAULTS = MiningOptions()


class MinedQuery(NamedTuple):
    """The outcome of a query and of its pairs, in their order."""

    query: QueryOutcome
    pairs: tuple[PairOutcome, ...]


class MiningReport(NamedTuple):
    """Outcomes and their counts, which add up to what was given."""

    queries: dict[str, int]
    pairs: dict[str, int]
    without_ratio: int  # positives to which `ratio` could not be applied: scores are unknown, or there is no negative
    lines: int
    output: str


def mine_file(labels: str | Path, *, output: str | Path, options: MiningOptions = DEFAULTS) -> MiningReport:
    """Mine a file of labelled pairs, and write those that are kept, in their order: all of them, or no file.

    Raises InputError for a pair that comes twice.
    """
    output = Path(output)
    if output.exists() and output.samefile(labels):
        raise InputError(f"{output} is the file of labels itself: name another, so that it can be mined again")
    by_query = _group_by_query(labels)
    mined = {query: mine_query(examples, options) for query, examples in by_query.items()}
    outcomes = {
        (example.query_id, example.doc_id): outcome
        for query, examples in by_query.items()
        for example, outcome in zip(examples, mined[query].pairs, strict=True)
    }
    unfinished = output.with_name(f".{output.name}.unfinished")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    write_examples(unfinished, _kept_examples(labels, outcomes))
    unfinished.replace(output)
    pairs = Counter(outcomes.values())
    return MiningReport(
        queries=dict(Counter(one.query for one in mined.values()).most_common()),
        pairs=dict(pairs.most_common()),
        without_ratio=sum(
            _is_positive(one) and _score_ratio(one, examples) is None for examples in by_query.values() for one in examples
        ),
        lines=sum(pairs[outcome] for outcome in _KEPT),
        output=str(output),
    )


def mine_query(examples: Sequence[TrainingExample], options: MiningOptions) -> MinedQuery:
    """Return the outcomes of one query's labelled pairs.

    A query without a usable positive, or without a confident negative, is dropped. Of the negatives those that the first stage
    ranks highest are kept, the highest confident one among them.
    """
    outcomes = [_outcome(example, examples, options) for example in examples]
    outcomes = _drop_false_negatives(examples, outcomes, options)
    if "positive" not in outcomes:
        return _dropped("without_positive", outcomes)
    if "confident_negative" not in outcomes:
        return _dropped("without_confident_negative", outcomes)
    kept = _hardest(examples, outcomes, options.max_negatives)
    return MinedQuery(
        "kept", tuple("surplus" if one in _NEGATIVES and i not in kept else one for i, one in enumerate(outcomes))
    )


def _dropped(reason: QueryOutcome, outcomes: Sequence[PairOutcome]) -> MinedQuery:
    return MinedQuery(reason, tuple("query_dropped" if outcome in _KEPT else outcome for outcome in outcomes))


def _outcome(example: TrainingExample, examples: Sequence[TrainingExample], options: MiningOptions) -> PairOutcome:
    """Return the outcome of a pair by itself."""
    if _is_positive(example):
        return _positive_outcome(example, examples, options)
    margin = example.teacher_logit_delta
    if example.teacher_label is None:
        return "no_label"
    if example.teacher_label != 1:
        return "confident_negative" if margin is not None and margin <= options.neg_threshold else "hard_negative"
    if example.true_label is not None:
        return "contradicted"
    return "likely_positive" if margin is None or margin > options.pos_threshold else "hard_negative"


def _positive_outcome(example: TrainingExample, examples: Sequence[TrainingExample], options: MiningOptions) -> PairOutcome:
    if _rank(example) > options.top_k:
        return "not_retrieved"
    ratio = _score_ratio(example, examples)
    if ratio is not None and ratio > options.ratio:
        return "outscored"
    if example.teacher_label is None:
        return "no_label"
    return "positive" if example.teacher_label == 1 else "contradicted"


def _score_ratio(positive: TrainingExample, examples: Sequence[TrainingExample]) -> float | None:
    """Return the hardest negative's first-stage score over the positive's; None where one is unknown.

    For a positive at or below 0 it is infinite if a negative is above 0, else 0.
    """
    own = _score(positive)
    others = [score for one in examples if not _is_positive(one) and (score := _score(one)) is not None]
    if own is None or not others:
        return None
    if own > 0:
        return max(others) / own
    return math.inf if max(others) > 0 else 0.0


def _drop_false_negatives(
    examples: Sequence[TrainingExample], outcomes: Sequence[PairOutcome], options: MiningOptions
) -> list[PairOutcome]:
    """Apply UniME-V2's rule; with several positives the one with the lowest p(yes) counts."""
    pairs = list(zip(examples, outcomes, strict=True))
    known = [one.teacher_p_yes for one, outcome in pairs if outcome == "positive" and one.teacher_p_yes is not None]
    if options.judge_margin is None or not known:
        return list(outcomes)
    bound = min(known) - options.judge_margin
    return [
        "as_good_as_positive"
        if outcome in _NEGATIVES and one.teacher_p_yes is not None and one.teacher_p_yes > bound
        else outcome
        for one, outcome in pairs
    ]


def _hardest(examples: Sequence[TrainingExample], outcomes: Sequence[PairOutcome], limit: int) -> set[int]:
    """Return the indices of the negatives to keep."""
    negatives = [i for i, outcome in enumerate(outcomes) if outcome in _NEGATIVES]
    negatives.sort(key=lambda i: _rank(examples[i]))
    confident = next(i for i in negatives if outcomes[i] == "confident_negative")
    return {confident, *[i for i in negatives if i != confident][: limit - 1]}


def _group_by_query(labels: str | Path) -> dict[str, list[TrainingExample]]:
    """Read the examples of a file by query, without their texts, which may not fit into memory."""
    found: dict[str, list[TrainingExample]] = {}
    seen: set[tuple[str, str]] = set()
    for example in read_examples(labels):
        pair = (example.query_id, example.doc_id)
        if pair in seen:
            raise InputError(f"{labels}: query {pair[0]!r} has video {pair[1]!r} a second time: remove one of the two")
        seen.add(pair)
        slim = example.model_copy(update={"query": "", "videos": (), "evidence": None, "teacher_reasoning": None})
        found.setdefault(example.query_id, []).append(slim)
    return found


def _kept_examples(labels: str | Path, outcomes: Mapping[tuple[str, str], PairOutcome]) -> Iterator[TrainingExample]:
    """Read the examples that are kept; negatives get the label 0."""
    for example in read_examples(labels):
        outcome = outcomes[example.query_id, example.doc_id]
        if outcome in _KEPT:
            yield example if outcome == "positive" else example.model_copy(update={"true_label": 0})


def _is_positive(example: TrainingExample) -> bool:
    return example.true_label is not None and example.true_label >= 1


def _rank(example: TrainingExample) -> float:
    """Return the rank in the first stage; infinite where it is unknown or the video was not found."""
    return math.inf if example.meta is None or example.meta.rank is None else example.meta.rank


def _score(example: TrainingExample) -> float | None:
    return example.meta.score if example.meta else None
