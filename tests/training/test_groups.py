"""Query-grouped batches: contents of groups, coverage of an epoch, distribution over ranks."""

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from accelerate.data_loader import prepare_data_loader, skip_first_batches
from torch.utils.data import DataLoader

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.training.groups import QueryGroupBatchSampler, SkippedExamples


def example(query: str, document: str, label: int | None) -> TrainingExample:
    return TrainingExample(query_id=query, query=query, doc_id=document, true_label=label)


def examples(queries: int, *, positives: int = 1, negatives: int = 4) -> list[TrainingExample]:
    """Lines of all queries mixed, each query's first before any second."""
    return [
        example(f"q{query}", f"v{video}", int(video < positives))
        for video in range(positives + negatives)
        for query in range(queries)
    ]


def groups_of(batches: QueryGroupBatchSampler) -> list[list[int]]:
    size = batches.group_size
    assert all(len(batch) % size == 0 for batch in batches)
    return [batch[i : i + size] for batch in batches for i in range(0, len(batch), size)]


def queries_of(groups: Sequence[Sequence[int]], given: Sequence[TrainingExample]) -> list[str]:
    """The query of each group, after a look that it has no other."""
    queries = [{given[place].query_id for place in group} for group in groups]
    assert all(len(found) == 1 for found in queries)
    return [found.pop() for found in queries]


def test_no_positive_is_among_the_negatives_of_ten_thousand_groups() -> None:
    given = examples(1000, positives=3, negatives=7)
    # A document that two annotators saw differently, and one that is in the file twice.
    given += [line for q in range(1000) for line in (example(f"q{q}", "v0", 0), example(f"q{q}", "v9", 0))]
    batches = QueryGroupBatchSampler(given, negatives=5, groups_per_batch=8)
    chosen: Counter[str] = Counter()
    for epoch in range(10):
        batches.set_epoch(epoch)
        for first, *others in groups_of(batches):
            assert given[first].doc_id in {"v0", "v1", "v2"}
            documents = {given[place].doc_id for place in others}
            assert len(documents) == 5
            assert documents <= {f"v{video}" for video in range(3, 10)}
            assert {given[place].query_id for place in others} == {given[first].query_id}
            chosen.update([given[first].doc_id, *documents])
    assert chosen.total() == 60_000
    for video in range(10):  # all have their turn, equally often: 10,000 groups, 1 of 3 positives, 5 of 7 negatives
        assert chosen[f"v{video}"] == pytest.approx(10_000 / 3 if video < 3 else 50_000 / 7, rel=0.05)


@pytest.mark.parametrize("groups_per_batch", [1, 4, 10, 99])
def test_an_epoch_has_every_usable_query_once(groups_per_batch: int) -> None:
    given = examples(10)
    batches = QueryGroupBatchSampler(given, groups_per_batch=groups_per_batch)
    assert sorted(queries_of(groups_of(batches), given)) == [f"q{i}" for i in range(10)]
    sizes = [len(batch) // 3 for batch in batches]
    assert sizes == {1: [1] * 10, 4: [4, 4, 2], 10: [10], 99: [10]}[groups_per_batch]
    assert len(batches) == len(sizes)


def test_the_default_group_size_is_the_papers() -> None:
    assert QueryGroupBatchSampler(examples(1)).group_size == 3
    assert [len(batch) for batch in QueryGroupBatchSampler(examples(1), negatives=4)] == [5]


@pytest.mark.parametrize(("negatives", "times"), [(2, [1, 1]), (3, [1, 2]), (4, [2, 2]), (7, [3, 4])])
def test_few_negatives_are_repeated_evenly(negatives: int, times: list[int]) -> None:
    given = examples(1, negatives=2)
    ((_, *drawn),) = QueryGroupBatchSampler(given, negatives=negatives)
    assert sorted(Counter(drawn).values()) == times


def test_unusable_examples_are_counted() -> None:
    given = [
        *examples(2),
        example("only positive", "a", 1),
        example("only negative", "a", 0),
        example("only positive in the end", "a", 1),
        example("only positive in the end", "a", 0),
        example("nobody knows", "a", None),
        example("q0", "unjudged", None),
    ]
    batches = QueryGroupBatchSampler(given, negatives=4)
    assert batches.skipped == SkippedExamples(without_positive=2, without_negative=2, unjudged=2)
    for epoch in range(20):
        batches.set_epoch(epoch)
        found = groups_of(batches)
        assert sorted(queries_of(found, given)) == ["q0", "q1"]
        assert all(given[place].relevant is not None for place in itertools.chain.from_iterable(found))


def test_teacher_labels_are_used_where_human_labels_are_missing() -> None:
    given = [TrainingExample(query_id="q", query="q", doc_id=f"v{i}", teacher_label=i) for i in (0, 1)]
    assert list(QueryGroupBatchSampler(given, negatives=1)) == [[1, 0]]


@pytest.mark.parametrize("shuffle", [True, False])
def test_three_ranks_have_equal_batches_of_different_queries(shuffle: bool) -> None:
    given = examples(20)
    ranks = [QueryGroupBatchSampler(given, groups_per_batch=4, shuffle=shuffle, rank=rank, world_size=3) for rank in range(3)]
    assert [[len(batch) for batch in batches] for batches in ranks] == [[12, 6]] * 3
    assert [len(batches) for batches in ranks] == [2] * 3
    whole = groups_of(QueryGroupBatchSampler(given, shuffle=shuffle))
    assert [groups_of(batches) for batches in ranks] == [whole[rank:18:3] for rank in range(3)]
    queries = [query for batches in ranks for query in queries_of(groups_of(batches), given)]
    assert len(set(queries)) == len(queries) == 18  # two sit the epoch out


def test_batches_depend_on_seed_and_epoch_only() -> None:
    given = examples(50)
    batches, again = QueryGroupBatchSampler(given, seed=1), QueryGroupBatchSampler(given, seed=1)
    first = list(batches)
    assert list(batches) == first == list(again)
    batches.set_epoch(1)
    assert list(batches) != first
    batches.set_epoch(0)
    assert list(batches) == first != list(QueryGroupBatchSampler(given, seed=2))


def test_set_epoch_does_not_change_a_running_epoch() -> None:
    batches = QueryGroupBatchSampler(examples(50))
    expected, under_way = list(batches), iter(batches)
    head = [next(under_way)]
    batches.set_epoch(1)
    assert head + list(under_way) == expected


def test_without_shuffling_queries_come_in_the_order_of_the_file() -> None:
    given = [
        example("early", "a", 0),
        *examples(30),
        example("late", "a", 1),
        example("late", "b", 0),
        example("early", "b", 1),
    ]
    batches = QueryGroupBatchSampler(given, shuffle=False)
    first = groups_of(batches)
    assert queries_of(first, given) == ["early", *(f"q{i}" for i in range(30)), "late"]
    batches.set_epoch(1)
    assert queries_of(groups_of(batches), given) == queries_of(first, given)
    assert groups_of(batches) != first  # other videos of the same queries


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"negatives": 0}, "negatives=0, groups_per_batch=1"),
        ({"groups_per_batch": 0}, "negatives=2, groups_per_batch=0"),
        ({"rank": 2, "world_size": 2}, "rank 2 is not one of 2 ranks"),
        ({"rank": -1}, "rank -1 is not one of 1 ranks"),
        ({"world_size": 3}, r"2 of 3 queries have a relevant video and one that is not, at least 3 \(one for each rank\)"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        QueryGroupBatchSampler([*examples(2), example("q2", "v0", 1)], **options)


def test_data_without_a_group_is_refused_with_counts() -> None:
    given = [example("a", "v", 1), example("b", "v", 0), example("c", "v", None)]
    with pytest.raises(InputError, match="2 have no relevant video, 1 no other, 1 examples have no judgement"):
        QueryGroupBatchSampler(given)


# --- with torch and accelerate --------------------------------------------------------------------------------------


def loader(given: list[TrainingExample], batches: QueryGroupBatchSampler) -> DataLoader[Any]:
    return DataLoader(given, batch_sampler=batches, collate_fn=lambda group: [line.query_id for line in group])  # type: ignore[arg-type]


def epoch_of_a_trainer(ready: Any, epoch: int) -> list[list[str]]:
    """As transformers' Trainer runs an epoch: it tells the loader, and the sampler inside another sampler."""
    ready.set_epoch(epoch)
    inner = getattr(ready.batch_sampler, "batch_sampler", None)
    if inner is not None:
        inner.set_epoch(epoch)
    return list(ready)


def test_torch_loads_groups() -> None:
    given = examples(7)
    batches = QueryGroupBatchSampler(given, groups_per_batch=2)
    loaded = loader(given, batches)
    assert len(loaded) == 4
    assert list(loaded) == [[given[place].query_id for place in batch] for batch in batches]


@pytest.mark.parametrize("world_size", [1, 3])
def test_a_run_resumes_within_an_epoch(world_size: int) -> None:
    given = examples(30)

    def ready() -> Any:
        batches = QueryGroupBatchSampler(given, groups_per_batch=2, rank=world_size - 1, world_size=world_size)
        return prepare_data_loader(
            loader(given, batches), torch.device("cpu"), num_processes=1, process_index=0, put_on_device=True
        )

    unbroken = [epoch_of_a_trainer(run, epoch) for run in [ready()] for epoch in range(4)]
    assert [len(epoch) for epoch in unbroken] == [15 // world_size] * 4
    assert len({str(epoch) for epoch in unbroken}) == 4
    resumed = ready()
    assert epoch_of_a_trainer(skip_first_batches(resumed, 2), 2) == unbroken[2][2:]
    assert epoch_of_a_trainer(resumed, 3) == unbroken[3]
