"""A batch sampler of query groups: one relevant video of a query and some that are not."""

import itertools
import logging
import math
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from torch.utils.data import Sampler

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.training.config import EmbedderConfig, RerankerConfig
from rankvideo_rag.training.model_selection import MEASURES, CandidatePools

logger = logging.getLogger(__name__)


class SkippedExamples(NamedTuple):
    """Counts of what no group can be made of."""

    without_positive: int  # queries without a relevant video; 0 with `unanswerable`
    without_negative: int  # queries all of whose judged videos are relevant
    unjudged: int  # examples without any judgement


class QueryGroupBatchSampler(Sampler[list[int]]):
    """Yield batches of indices into `examples`: `groups_per_batch` groups, one after another.

    A group is `group_size` indices of one query: a random positive, then `negatives` random negatives, all different documents;
    a query with too few repeats each as evenly as possible. `margins.view(-1, group_size)` has one group in each row. With
    `unanswerable`, a query without a relevant video gives a group of negatives alone, so that a model learns to reject all.

    A document that any line calls relevant to a query is none of its negatives. Unjudged examples are skipped, although the
    published code (arXiv 2602.02444) treats them as negatives. Of several lines about one document the first is used. `skipped`
    counts what is not used. The default number of negatives is the paper's (its code has 1).

    Each epoch has every usable query once, shuffled or in order of appearance. Order and draws depend on seed + epoch alone, so
    a resumed run continues exactly. Each rank takes every `world_size`-th group of the common order; the last queries, fewer
    than `world_size`, are left out of that epoch.

    `set_epoch` must be called before each epoch. transformers' Trainer does so for accelerate's DataLoader only; prepare one
    with `prepare_data_loader(loader, num_processes=1, process_index=0)`, or accelerate divides the batches a second time.

    Raises InputError for invalid options and for fewer usable queries than ranks.
    """

    def __init__(
        self,
        examples: Sequence[TrainingExample],
        *,
        negatives: int = 2,
        groups_per_batch: int = 1,
        shuffle: bool = True,
        unanswerable: bool = False,
        seed: int = 42,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if min(negatives, groups_per_batch) < 1:
            raise InputError(f"a group needs a negative and a batch a group: got {negatives=}, {groups_per_batch=}")
        if not 0 <= rank < world_size:
            raise InputError(f"rank {rank} is not one of {world_size} ranks, 0 to world_size - 1")
        queries = _group_by_query(examples)
        self._queries = [query for query in queries if query.negatives and (query.positives or unanswerable)]
        self.skipped = _count_skipped(queries, examples, unanswerable=unanswerable)
        if len(self._queries) < world_size:
            raise InputError(
                f"{len(self._queries)} of {len(queries)} queries have a relevant video and one that is not, at least "
                f"{world_size} (one for each rank) are needed: {self.skipped.without_positive} have no relevant video, "
                f"{self.skipped.without_negative} no other, {self.skipped.unjudged} examples have no judgement. Add judgements"
            )
        self.group_size = 1 + negatives
        self._groups_per_batch = groups_per_batch
        self._shuffle = shuffle
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the draws of iterations that begin from now on."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of batches of this rank in an epoch."""
        return math.ceil(self._groups_per_rank / self._groups_per_batch)

    def __iter__(self) -> Iterator[list[int]]:
        end = self._groups_per_rank * self._world_size
        own = itertools.islice(self._groups(), self._rank, end, self._world_size)
        while groups := list(itertools.islice(own, self._groups_per_batch)):
            yield list(itertools.chain.from_iterable(groups))

    @property
    def _groups_per_rank(self) -> int:
        return len(self._queries) // self._world_size

    def _groups(self) -> Iterator[list[int]]:
        """Draw the groups of all ranks: every rank draws them all, so that they do not depend on the number of ranks."""
        rng = random.Random(self._seed + self._epoch)
        queries = self._queries.copy()
        if self._shuffle:
            rng.shuffle(queries)
        for query in queries:
            first = [rng.choice(query.positives)] if query.positives else []
            repeats, rest = divmod(self.group_size - len(first), len(query.negatives))
            yield first + query.negatives * repeats + rng.sample(query.negatives, rest)


class GroupTask:
    """What is the same for training on groups of one query's videos: its batches, and the selection of a checkpoint."""

    def __init__(
        self, config: RerankerConfig | EmbedderConfig, examples: Sequence[TrainingExample], pools: CandidatePools | None
    ) -> None:
        self.items = examples
        self.selection_metric = MEASURES[0] if pools else None
        self._group_config, self._pools = config, pools

    def batch_sampler(self, rank: int, world_size: int) -> QueryGroupBatchSampler:
        """Return groups of one relevant video and some that are not."""
        config = self._group_config
        sampler = QueryGroupBatchSampler(
            self.items,
            negatives=config.negatives,
            groups_per_batch=config.groups_per_batch,
            shuffle=config.shuffle,
            unanswerable=isinstance(config, RerankerConfig) and config.unanswerable,
            seed=config.seed,
            rank=rank,
            world_size=world_size,
        )
        if any(sampler.skipped):
            logger.info("skipped: %s", sampler.skipped)
        return sampler

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return the measures of how the network ranks the pools."""
        if self._pools is None:
            raise InputError("no pools were given to select a checkpoint by")
        return self._pools.measure(self.scorer(network), batch_size=self._group_config.eval_batch_size)

    def scorer(self, network: Any) -> Callable[[Sequence[TrainingExample]], Sequence[float]]:
        """Return a function that scores examples with the network."""
        raise NotImplementedError


class _JudgedVideos(NamedTuple):
    """The judged videos of a query, as indices into the examples."""

    positives: list[int]
    negatives: list[int]


def _group_by_query(examples: Sequence[TrainingExample]) -> list[_JudgedVideos]:
    """Return the judged videos of each query, queries in order of appearance."""
    by_query: dict[str, tuple[dict[str, int], dict[str, int]]] = {}  # query -> (positives, negatives), document -> index
    for index, example in enumerate(examples):
        positives, negatives = by_query.setdefault(example.query_id, ({}, {}))
        if example.relevant is not None:
            (positives if example.relevant else negatives).setdefault(example.doc_id, index)
    return [
        _JudgedVideos(list(positives.values()), [index for document, index in negatives.items() if document not in positives])
        for positives, negatives in by_query.values()
    ]


def _count_skipped(
    queries: Sequence[_JudgedVideos], examples: Sequence[TrainingExample], *, unanswerable: bool
) -> SkippedExamples:
    return SkippedExamples(
        without_positive=0 if unanswerable else sum(not query.positives for query in queries),
        without_negative=sum(bool(query.positives) and not query.negatives for query in queries),
        unjudged=sum(example.relevant is None for example in examples),
    )
