"""Step four: which judged pairs train a ranker: the paper's filters and negative mining (arXiv 2602.02444). Arithmetic only.

Every pair ends in one fate, and so does every query; what is kept is written in the published format.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample, read_examples, write_examples
from rankvideo_rag.schema import Record

Fate = Literal[
    "positive",  # kept, with label 1
    "trusted",  # kept, with label 0: the teacher is sure
    "hard",  # kept, with label 0
    "no_verdict",  # the teacher has said nothing of it
    "misjudged",  # the teacher contradicts the judgement that there is
    "not_retrieved",  # a positive that the first stage has not, or too far down
    "outscored",  # a positive with a first-stage score far below a negative's
    "suspected_positive",  # not judged by people, and the teacher says yes
    "as_good_as_positive",  # the teacher finds it as good as the positive (judge_margin)
    "surplus",  # a negative beyond the most that a query may have
    "query_left_out",  # nothing wrong with the pair, but with its query
]
QueryFate = Literal["kept", "without_positive", "without_trusted_negative"]

_KEPT: tuple[Fate, ...] = ("positive", "trusted", "hard")


class Rules(Record):
    """Thresholds of the paper, in nats where they are margins (logp(yes) - logp(no)) of the teacher.

    `judge_margin` adds the rule of UniME-V2 (its judge's p(yes), margin 0.01): a negative whose p(yes) is above the positive's
    less that much is dropped.
    """

    trusted: float = -6.0  # a no with a margin up to here is trusted
    suspected: float = -8.0  # a yes with a margin above this is a suspected positive
    within: int = Field(1000, ge=1)  # the first stage has the positive among so many
    ratio: float = Field(2.0, gt=0)  # no negative's first-stage score is above so many times the positive's
    most: int = Field(3, ge=1)  # negatives a query
    judge_margin: float | None = Field(None, ge=0, le=1)


RULES = Rules()


class Mined(NamedTuple):
    """What became of a query and of its pairs, in their order."""

    query: QueryFate
    pairs: tuple[Fate, ...]


class MiningReport(NamedTuple):
    """What became of everything. The counts of queries, and those of pairs, add up to what was given."""

    queries: dict[str, int]
    pairs: dict[str, int]
    without_ratio: int  # positives to which `ratio` could not be applied: scores are not known, or no negative is there
    lines: int
    output: str


def mine_file(labels: str | Path, *, output: str | Path, rules: Rules = RULES) -> MiningReport:
    """Apply the rules to a file of judged pairs, and write those that are kept, in their order: all of them, or no file.

    Raises InputError for a pair that comes twice.
    """
    if Path(output).exists() and Path(output).samefile(labels):
        raise InputError(f"{output} is the file of labels itself: name another, so that it can be mined again by other rules")
    by_query = _by_query(labels)
    mined = {query: mine(examples, rules) for query, examples in by_query.items()}
    fates = {
        (example.query_id, example.doc_id): fate
        for query, examples in by_query.items()
        for example, fate in zip(examples, mined[query].pairs, strict=True)
    }
    unfinished = Path(output).with_name(f".{Path(output).name}.unfinished")
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    write_examples(unfinished, _kept(labels, fates))
    unfinished.replace(output)
    pairs = Counter(fates.values())
    return MiningReport(
        queries=dict(Counter(one.query for one in mined.values()).most_common()),
        pairs=dict(pairs.most_common()),
        without_ratio=sum(_without_ratio(examples) for examples in by_query.values()),
        lines=sum(pairs[fate] for fate in _KEPT),
        output=str(output),
    )


def mine(examples: Sequence[TrainingExample], rules: Rules) -> Mined:
    """What becomes of the judged pairs of one query.

    A query without a usable positive, or without a trusted negative, is left out. Of the negatives those that the first stage
    ranks highest are kept, the highest trusted one among them.
    """
    fates = [_own_fate(example, examples, rules) for example in examples]
    fates = _without_false_negatives(examples, fates, rules)
    if "positive" not in fates:
        return _left_out("without_positive", fates)
    if "trusted" not in fates:
        return _left_out("without_trusted_negative", fates)
    chosen = _hardest(examples, fates, rules.most)
    return Mined(
        "kept", tuple("surplus" if fate in ("trusted", "hard") and i not in chosen else fate for i, fate in enumerate(fates))
    )


def _own_fate(example: TrainingExample, of_query: Sequence[TrainingExample], rules: Rules) -> Fate:
    """The fate of a pair before others of its query are thought of."""
    if _is_positive(example):
        return _fate_of_positive(example, of_query, rules)
    says_yes, margin = example.teacher_label == 1, example.teacher_logit_delta
    if example.teacher_label is None:
        return "no_verdict"
    if says_yes and example.true_label is not None:
        return "misjudged"
    if says_yes:
        return "suspected_positive" if margin is None or margin > rules.suspected else "hard"
    return "trusted" if margin is not None and margin <= rules.trusted else "hard"


def _fate_of_positive(example: TrainingExample, of_query: Sequence[TrainingExample], rules: Rules) -> Fate:
    if _rank(example) > rules.within:
        return "not_retrieved"
    times = _times_the_positive(example, of_query)
    if times is not None and times > rules.ratio:
        return "outscored"
    if example.teacher_label is None:
        return "no_verdict"
    return "positive" if example.teacher_label == 1 else "misjudged"


def _times_the_positive(positive: TrainingExample, of_query: Sequence[TrainingExample]) -> float | None:
    """How many times the positive's first-stage score the hardest negative has; None where that cannot be told.

    A positive at or below 0 is infinitely outscored by a negative above 0, and not outscored by one that is not.
    """
    own = _score(positive)
    others = [score for one in of_query if not _is_positive(one) and (score := _score(one)) is not None]
    if own is None or not others:
        return None
    if own > 0:
        return max(others) / own
    return math.inf if max(others) > 0 else 0.0


def _without_ratio(of_query: Sequence[TrainingExample]) -> int:
    return sum(_is_positive(one) and _times_the_positive(one, of_query) is None for one in of_query)


def _without_false_negatives(examples: Sequence[TrainingExample], fates: Sequence[Fate], rules: Rules) -> list[Fate]:
    """The fates after the rule of UniME-V2; with several positives the least of them counts."""
    positives = [one.teacher_p_yes for one, fate in zip(examples, fates, strict=True) if fate == "positive"]
    known = [p for p in positives if p is not None]
    if rules.judge_margin is None or not known:
        return list(fates)
    bound = min(known) - rules.judge_margin
    return [
        "as_good_as_positive"
        if fate in ("trusted", "hard") and example.teacher_p_yes is not None and example.teacher_p_yes > bound
        else fate
        for example, fate in zip(examples, fates, strict=True)
    ]


def _hardest(examples: Sequence[TrainingExample], fates: Sequence[Fate], most: int) -> set[int]:
    """Places of the negatives to keep."""
    negatives = [i for i, fate in enumerate(fates) if fate in ("trusted", "hard")]
    negatives.sort(key=lambda i: _rank(examples[i]))
    trusted = next(i for i in negatives if fates[i] == "trusted")
    return {trusted, *[i for i in negatives if i != trusted][: most - 1]}


def _left_out(why: QueryFate, fates: Iterable[Fate]) -> Mined:
    return Mined(why, tuple("query_left_out" if fate in _KEPT else fate for fate in fates))


def _by_query(labels: str | Path) -> dict[str, list[TrainingExample]]:
    """The examples of a file by query, without their texts: there may be more of these than memory."""
    found: dict[str, list[TrainingExample]] = {}
    seen: set[tuple[str, str]] = set()
    for example in read_examples(labels):
        pair = (example.query_id, example.doc_id)
        if pair in seen:
            raise InputError(f"{labels}: query {pair[0]!r} has video {pair[1]!r} a second time: leave one of the two")
        seen.add(pair)
        slim = example.model_copy(update={"query": "", "videos": (), "evidence": None, "teacher_reasoning": None})
        found.setdefault(example.query_id, []).append(slim)
    return found


def _kept(labels: str | Path, fates: Mapping[tuple[str, str], Fate]) -> Iterator[TrainingExample]:
    """What is written: a positive as it was judged, a negative with the label 0 that the rules give it."""
    for example in read_examples(labels):
        fate = fates[example.query_id, example.doc_id]
        if fate in _KEPT:
            yield example if fate == "positive" else example.model_copy(update={"true_label": 0})


def _is_positive(example: TrainingExample) -> bool:
    return example.true_label is not None and example.true_label >= 1


def _rank(example: TrainingExample) -> float:
    """Infinite where the first stage has not found the video, or nobody knows."""
    return math.inf if example.meta is None or example.meta.rank is None else example.meta.rank


def _score(example: TrainingExample) -> float | None:
    return example.meta.score if example.meta else None
