"""Batches to train a ranker with: groups of one query's videos, each a relevant one and some that are not.

It looks at ids and judgements only: it knows no model, opens no videos and reads no files.
"""

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch.utils.data import Sampler

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample


class LeftOut(NamedTuple):
    """What no group can be made of."""

    without_positive: int  # queries none of whose videos is relevant; none of them with `unanswerable`
    without_negative: int  # queries all of whose judged videos are relevant
    unjudged: int  # examples that nobody judged


class QueryGroups(Sampler[list[int]]):
    """A batch sampler: each batch is a list of places in `examples`, `groups_per_batch` groups after one another.

    A group is `group_size` places of one query: a random positive first, then `negatives` random negatives. These are different
    documents; where a query has too few, each is there as often as any other, give or take one. `margins.view(-1, group_size)`
    has a group in each row. The last batch of an epoch may have fewer groups.

    A document that any line calls relevant to a query is none of that query's negatives. An example that nobody judged is
    neither: the published code (arXiv 2602.02444) takes it for a negative, and nobody knows that it is one. Of lines that say
    the same of one document, the first is used. `left_out` counts what no group is made of.

    An epoch has each usable query once: shuffled, or with `shuffle=False` in the order in which the queries first appear (the
    videos drawn for them are random in both). Order and draws follow from seed + epoch alone, so that a resumed run that skips
    the batches it has seen goes on as if it had not stopped. The defaults are the paper's (its code has 1 negative).

    With `unanswerable`, a query none of whose videos is relevant gives a group of negatives alone: a model that has learnt from
    such knows when to say no to all.

    Each rank takes every `world_size`-th group of one common order, so that all have as many batches, of the same sizes, and no
    query in common. The last queries of the order, always fewer than `world_size`, sit that epoch out.

    `set_epoch` must be called before each epoch. transformers' Trainer does so for a DataLoader of accelerate's, but not for
    torch's own. `Accelerator.prepare` makes one, but among several processes its BatchSamplerShard would divide the batches a
    second time, and keep `set_epoch` from a resumed epoch. So let accelerate see one process, however many there are:
    `accelerate.data_loader.prepare_data_loader(loader, device, num_processes=1, process_index=0, put_on_device=True)`.

    Raises InputError for options that cannot be, and for fewer usable queries than ranks.
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
            raise InputError(f"rank {rank} is none of {world_size} ranks: they count from 0 to world_size - 1")
        queries = _by_query(examples)
        self._queries = [query for query in queries if query.negatives and (query.positives or unanswerable)]
        self.left_out = _left_out(queries, examples, unanswerable=unanswerable)
        if len(self._queries) < world_size:
            raise InputError(
                f"{len(self._queries)} of {len(queries)} queries have a relevant video and one that is not, at least "
                f"{world_size} (one for each rank) are needed: {self.left_out.without_positive} have no relevant video, "
                f"{self.left_out.without_negative} no other, {self.left_out.unjudged} examples nobody judged. Add judgements"
            )
        self.group_size = 1 + negatives
        self._groups_per_batch = groups_per_batch
        self._shuffle = shuffle
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order and the draws of the iterations that begin from now on."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches of this rank in an epoch."""
        return math.ceil(self._groups_of_a_rank() / self._groups_per_batch)

    def __iter__(self) -> Iterator[list[int]]:
        end = self._groups_of_a_rank() * self._world_size
        own = itertools.islice(self._groups(), self._rank, end, self._world_size)
        while groups := list(itertools.islice(own, self._groups_per_batch)):
            yield list(itertools.chain.from_iterable(groups))

    def _groups_of_a_rank(self) -> int:
        return len(self._queries) // self._world_size

    def _groups(self) -> Iterator[list[int]]:
        """The groups of all ranks: every rank draws them all, so that they are the same for any number of ranks."""
        chance = random.Random(self._seed + self._epoch)
        queries = self._queries.copy()
        if self._shuffle:
            chance.shuffle(queries)
        for query in queries:
            first = [chance.choice(query.positives)] if query.positives else []
            yield first + _drawn(query.negatives, self.group_size - len(first), chance)


class _Query(NamedTuple):
    positives: list[int]  # places in the examples
    negatives: list[int]


def _by_query(examples: Sequence[TrainingExample]) -> list[_Query]:
    """The judged videos of each query, queries in the order in which they first appear."""
    sides: dict[str, tuple[dict[str, int], dict[str, int]]] = {}  # query -> (positives, negatives), document -> place
    for place, example in enumerate(examples):
        positives, negatives = sides.setdefault(example.query_id, ({}, {}))
        if example.relevant is not None:
            (positives if example.relevant else negatives).setdefault(example.doc_id, place)
    return [
        _Query(list(positives.values()), [place for document, place in negatives.items() if document not in positives])
        for positives, negatives in sides.values()
    ]


def _left_out(queries: Sequence[_Query], examples: Sequence[TrainingExample], *, unanswerable: bool) -> LeftOut:
    return LeftOut(
        without_positive=0 if unanswerable else sum(not query.positives for query in queries),
        without_negative=sum(bool(query.positives) and not query.negatives for query in queries),
        unjudged=sum(example.relevant is None for example in examples),
    )


def _drawn(negatives: list[int], count: int, chance: random.Random) -> list[int]:
    rounds, rest = divmod(count, len(negatives))
    return negatives * rounds + chance.sample(negatives, rest)
