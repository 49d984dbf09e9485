"""What a step works on, and what becomes of it. Knows no models and no files."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from rankvideo_rag.schema import Record


class Item(Protocol):
    """Something that a step makes lines of."""

    @property
    def key(self) -> tuple[str, ...]:
        """What it is called: no two items of a step have the same."""

    @property
    def made_of(self) -> str:
        """A fingerprint of all that decides its lines, beside the step's options."""


class Result(NamedTuple):
    """What became of an item."""

    lines: tuple[Record, ...]
    counts: Mapping[str, int]  # outcome -> how often: "ok", "no_think", …
    reasons: tuple[str, ...] = ()  # "no_think: words": why something is missing
    settled: bool = True  # False: something broke, the next run tries again


def lost(reason: str, *, settled: bool = True) -> Result:
    """What became of an item without a line, from "code: words"."""
    return Result((), {reason.partition(":")[0]: 1}, (reason,), settled=settled)


def digest(*things: Any) -> str:
    """16 hex digits over JSON-able things."""
    return hashlib.sha256(json.dumps(things, sort_keys=True).encode()).hexdigest()[:16]
