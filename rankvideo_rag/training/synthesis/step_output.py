"""The output file of a synthesis step, with a journal beside it that says which items are done.

Lines reach the disk before their journal entries. After a kill, output beyond the last entry is cut off and made again, so a
run that was killed and resumed writes the same bytes as one that was not.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol, Self, TypeVar

from pydantic import TypeAdapter

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.resumable_jsonl import ResumableJsonl, write_to_disk
from rankvideo_rag.schema import Record

logger = logging.getLogger(__name__)
JOURNAL_SUFFIX = ".journal"


class Item(Protocol):
    """One unit of work of a step."""

    @property
    def key(self) -> tuple[str, ...]:
        """Identify the item within its step."""

    @property
    def fingerprint(self) -> str:
        """Identify everything that decides the item's lines, apart from the step's options."""


SomeItem = TypeVar("SomeItem", bound=Item)


class Result(NamedTuple):
    """The result of one item."""

    lines: tuple[Record, ...]
    counts: Mapping[str, int]  # outcome -> how often: "ok", "no_think", …
    reasons: tuple[str, ...] = ()  # "code: text": why something is missing
    retry: bool = False  # True: the next run tries again


def failed(reason: str, *, retry: bool = False) -> Result:
    """Return the result of an item without lines, for a reason of the form "code: text"."""
    return Result((), {reason.partition(":")[0]: 1}, (reason,), retry)


class ItemFailure(NamedTuple):
    """Something that an item did not yield, and why."""

    key: tuple[str, ...]
    reason: str


class SynthesisReport(NamedTuple):
    """What became of the items of a run."""

    step: str
    items: int
    resumed: int  # of the items, how many an earlier run finished
    to_retry: int  # of the items, how many the next run tries again
    lines: int  # of these items, in the output
    counts: dict[str, int]  # outcome -> how many, most frequent first
    failures: tuple[ItemFailure, ...]
    output: str
    seconds: float


class _Entry(Record):
    key: tuple[str, ...]
    fingerprint: str
    counts: dict[str, int]
    reasons: tuple[str, ...]
    retry: bool
    lines: int
    end: int  # bytes of the output, these lines included


class StepOutput:
    """The output of one step, open for this process alone until it is closed.

    Raises InputError for an output without a journal, or made by another step or with other options; RankVideoError when
    another process is writing it.
    """

    def __init__(self, output: str | Path, *, step: str, options: Mapping[str, Any]) -> None:
        self._path = Path(output)
        self._step = step
        self._started = time.monotonic()
        self._given: dict[tuple[str, ...], None] = {}
        self._resumed = 0
        journal = self._path.with_name(self._path.name + JOURNAL_SUFFIX)
        if self._path.exists() and not journal.exists():
            raise InputError(f"{output} exists without {journal.name}: it is no unfinished {step}, name another file")
        self._journal = ResumableJsonl(journal, TypeAdapter(_Entry), header={"step": step, **options})
        self._entries = {entry.key: entry for entry in self._journal.lines}
        self._end = self._journal.lines[-1].end if self._journal.lines else 0
        try:
            self._file = _open_at(self._path, self._end)
        except BaseException:
            self._journal.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._journal.close()

    def pending(self, items: Iterable[SomeItem]) -> Iterator[SomeItem]:
        """Yield the items that are not done, in order. Raises InputError for a done item whose inputs have changed."""
        for item in items:
            if item.key in self._given:
                raise InputError(f"{' '.join(item.key)} is given twice: remove one of the two")
            self._given[item.key] = None
            entry = self._entries.get(item.key)
            if entry is None or entry.retry:
                yield item
            elif entry.fingerprint != item.fingerprint:
                raise InputError(
                    f"{' '.join(item.key)} has changed since {self._path} was begun: undo that, or name another output file"
                )
            else:
                self._resumed += 1

    def commit(self, results: Iterable[tuple[Item, Result]]) -> None:
        """Write the results of items; once this returns, they are on the disk."""
        output, entries = bytearray(), []
        for item, result in results:
            output += b"".join(line.model_dump_json().encode() + b"\n" for line in result.lines)
            entries.append(
                _Entry(
                    key=item.key,
                    fingerprint=item.fingerprint,
                    counts=dict(result.counts),
                    reasons=result.reasons,
                    retry=result.retry,
                    lines=len(result.lines),
                    end=self._end + len(output),
                )
            )
        self._end += len(output)
        self._entries |= {entry.key: entry for entry in entries}
        write_to_disk(self._file, output)
        self._journal.append(*entries)

    def report(self) -> SynthesisReport:
        """Return the counts of the items that `pending` was given."""
        found = [self._entries[key] for key in self._given if key in self._entries]
        counts: Counter[str] = sum((Counter(entry.counts) for entry in found), Counter())
        return SynthesisReport(
            step=self._step,
            items=len(self._given),
            resumed=self._resumed,
            to_retry=len(self._given) - sum(not entry.retry for entry in found),
            lines=sum(entry.lines for entry in found),
            counts=dict(counts.most_common()),
            failures=tuple(ItemFailure(entry.key, reason) for entry in found for reason in entry.reasons),
            output=str(self._path),
            seconds=time.monotonic() - self._started,
        )


def process(
    output: StepOutput,
    items: Iterable[SomeItem],
    work: Callable[[Sequence[SomeItem]], Sequence[Result]],
    *,
    batch_size: int,
    progress: Callable[[int], None],
) -> None:
    """Work on the items in batches and commit each batch's results; `progress` is called with the size of each batch."""
    remaining = iter(items)
    while batch := list(islice(remaining, batch_size)):
        output.commit(zip(batch, work(batch), strict=True))
        progress(len(batch))


def _open_at(path: Path, end: int) -> BinaryIO:
    """Open a file for appending, cut to its first `end` bytes."""
    size = path.stat().st_size if path.exists() else 0
    if size < end:
        raise InputError(f"{path} has {size} bytes, and its journal expects {end}: restore it, or delete both to start over")
    file = open(path, "ab")  # noqa: SIM115 (closed by StepOutput)
    if size > end:
        logger.warning("%s: cut off %d bytes that an interrupted run left after the last journal entry", path, size - end)
        file.truncate(end)
    return file
