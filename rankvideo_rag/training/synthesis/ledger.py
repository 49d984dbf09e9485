"""A step's output and, beside it, receipts: which items are done, what became of each, how long the output was then.

Lines reach the disk before their receipts. What stands after the last receipt's length was cut off by a kill: it is taken away
and made again, so that a run that was killed and resumed writes the bytes of one that was not. Knows no models and no formats.
"""

import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Self, TypeVar

from pydantic import ValidationError

from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.schema import Record
from rankvideo_rag.training.synthesis.items import Item, Result

logger = logging.getLogger(__name__)
ENDING = ".receipts"

SomeItem = TypeVar("SomeItem", bound=Item)
Line = TypeVar("Line", bound=Record)


class Fault(NamedTuple):
    """Something that an item has not given, and why."""

    key: tuple[str, ...]
    reason: str


class Report(NamedTuple):
    """What became of every item given."""

    step: str
    items: int
    resumed: int  # of the items, how many were settled by an earlier run
    unsettled: int  # of the items, how many the next run tries again
    lines: int  # of these items, in the output
    counts: dict[str, int]  # outcome -> how many, commonest first
    faults: tuple[Fault, ...]
    to: str
    seconds: float


class _Header(Record):
    """The first line: which step this is, and with what options."""

    version: Literal[1] = 1
    step: str
    options: dict[str, Any]


class _Receipt(Record):
    key: tuple[str, ...]
    made_of: str
    counts: dict[str, int]
    reasons: tuple[str, ...]
    settled: bool
    lines: int
    end: int  # bytes of the output, these lines included


class Ledger:
    """The output of one step, which belongs to this process until it is closed.

    Raises InputError for an output that was made by another step or with other options, or that nobody has receipts for;
    RankVideoError when another process is writing it.
    """

    def __init__(self, to: str | Path, *, step: str, options: Mapping[str, Any]) -> None:
        self._to = Path(to)
        self._header = _Header(step=step, options=dict(options))
        self._began = time.monotonic()
        self._known: dict[tuple[str, ...], _Receipt] = {}
        self._given: dict[tuple[str, ...], None] = {}
        self._resumed = 0
        if self._to.exists() and not self._beside.exists():
            raise InputError(
                f"{to} is there already, without {self._beside.name}: it is no unfinished {step}, name another file"
            )
        self._receipts = _own(self._beside)
        try:
            self._end = self._read_receipts()
            self._output = _continued(self._to, self._end)
        except BaseException:
            self._receipts.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._output.close()
        self._receipts.close()

    def unfinished(self, items: Iterable[SomeItem]) -> Iterator[SomeItem]:
        """Those of the items that are not settled, in their order. Raises InputError for one that was made of other things."""
        for item in items:
            if item.key in self._given:
                raise InputError(f"{' '.join(item.key)} is given twice: leave one of the two")
            self._given[item.key] = None
            known = self._known.get(item.key)
            if known is None or not known.settled:
                yield item
            elif known.made_of != item.made_of:
                raise InputError(
                    f"{' '.join(item.key)} has changed since {self._to} was begun: undo that, or name another file to write to"
                )
            else:
                self._resumed += 1

    def commit(self, results: Iterable[tuple[Item, Result]]) -> None:
        """Write what became of items. Once this returns, they are on the disk."""
        output, receipts = bytearray(), bytearray()
        for item, result in results:
            lines = [line.model_dump_json().encode() + b"\n" for line in result.lines]
            output += b"".join(lines)
            receipt = _Receipt(
                key=item.key,
                made_of=item.made_of,
                counts=dict(result.counts),
                reasons=result.reasons,
                settled=result.settled,
                lines=len(lines),
                end=self._end + len(output),
            )
            receipts += receipt.model_dump_json().encode() + b"\n"
            self._known[item.key] = receipt
        self._end += len(output)
        _write(self._output, output)
        _write(self._receipts, receipts)

    def report(self) -> Report:
        """The counts of the items that were asked about."""
        found = [self._known[key] for key in self._given if key in self._known]
        counts: Counter[str] = sum((Counter(receipt.counts) for receipt in found), Counter())
        return Report(
            step=self._header.step,
            items=len(self._given),
            resumed=self._resumed,
            unsettled=len(self._given) - sum(receipt.settled for receipt in found),
            lines=sum(receipt.lines for receipt in found),
            counts=dict(counts.most_common()),
            faults=tuple(Fault(receipt.key, reason) for receipt in found for reason in receipt.reasons),
            to=str(self._to),
            seconds=time.monotonic() - self._began,
        )

    @property
    def _beside(self) -> Path:
        return self._to.with_name(self._to.name + ENDING)

    def _read_receipts(self) -> int:
        """Bytes of the output that have receipts. A line cut off by a kill is taken away."""
        self._receipts.seek(0)
        whole, _, torn = self._receipts.read().rpartition(b"\n")
        if torn:
            self._receipts.truncate(len(whole) + bool(whole))
        if not whole:
            _write(self._receipts, self._header.model_dump_json().encode() + b"\n")
            return 0
        first, *rest = whole.split(b"\n")
        self._check(_parsed(_Header, first, self._beside, 1))
        for number, line in enumerate(rest, start=2):
            receipt = _parsed(_Receipt, line, self._beside, number)
            self._known[receipt.key] = receipt
        return receipt.end if rest else 0

    def _check(self, found: _Header) -> None:
        if found.step != self._header.step:
            raise InputError(f"{self._to} holds {found.step}, not {self._header.step}: name another file")
        names = sorted(found.options.keys() | self._header.options.keys())
        pairs = {name: (found.options.get(name), self._header.options.get(name)) for name in names}
        differ = [f"{name} was {before!r} and is {now!r}" for name, (before, now) in pairs.items() if before != now]
        if differ:
            raise InputError(
                f"{self._to} was begun with other options ({'; '.join(differ)}): keep to those, or name another file"
            )


def advance(
    ledger: Ledger,
    items: Iterable[SomeItem],
    work: Callable[[Sequence[SomeItem]], Sequence[Result]],
    *,
    batch_size: int,
    listen: Callable[[int], None],
) -> None:
    """Have the items worked on, `batch_size` at a time, and their results written. `listen` hears how many are done more."""
    waiting = iter(items)
    while batch := list(islice(waiting, batch_size)):
        ledger.commit(zip(batch, work(batch), strict=True))
        listen(len(batch))


def _own(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "ab+")  # noqa: SIM115 (closed by the ledger)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise RankVideoError(f"another process is writing {path.name.removesuffix(ENDING)}: wait for it") from None
    return file


def _continued(path: Path, end: int) -> BinaryIO:
    """The output, cut to its first `end` bytes."""
    size = path.stat().st_size if path.exists() else 0
    if size < end:
        raise InputError(f"{path} has {size} bytes, and its receipts tell of {end}: put it back, or delete both to begin anew")
    file = open(path, "ab")  # noqa: SIM115 (closed by the ledger)
    if size > end:
        logger.warning("%s: %d bytes after the last receipt were cut off by a kill, and are made again", path, size - end)
        file.truncate(end)
    return file


def _write(file: BinaryIO, data: bytes | bytearray) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _parsed(kind: type[Line], line: bytes, path: Path, number: int) -> Line:
    try:
        return kind.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(
            f"{path}, line {number}: {first['msg']}. It is damaged: delete it and its output to begin anew"
        ) from error
