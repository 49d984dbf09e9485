"""How the commands speak: results on standard output, progress and complaints on standard error."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rankvideo_rag.schema import Hit
from rankvideo_rag.text import timestamp

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def shown(text: str) -> str:
    """Foreign text fit for a terminal: what cannot be seen is written out, and no bracket is taken for markup."""
    return escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def complain(message: str) -> None:
    """An error, on standard error."""
    err.print(f"[bold red]error:[/] {shown(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Something worth knowing, on standard error."""
    err.print(f"[yellow]note:[/] {shown(message)}", soft_wrap=True)


def print_json(value: Any) -> None:
    """A value for a program to read, on standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    # Bytes of a file name that are no UTF-8 become the escapes \\udc80 … \\udcff, from which a reader gets them back.
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def plain_table(title: str | None = None, *, header: bool = True) -> Table:
    """A table as all commands draw it."""
    return Table(title=title, title_justify="left", show_header=header, box=box.SIMPLE_HEAD, pad_edge=False)


def hits_table(hits: Sequence[Hit], *, title: str | None = None) -> Table:
    """A search result for people."""
    table = plain_table(title)
    table.expand = True  # so that the words, and nothing else, give way on a narrow screen
    for name, options in {
        "#": {"justify": "right"},
        "video": {"no_wrap": True, "max_width": 32, "min_width": min(32, max((len(hit.title) for hit in hits), default=5))},
        "time": {"min_width": 11},
        "score": {"justify": "right", "min_width": 6},
        "found by": {"min_width": 11},
        "words": {"no_wrap": True, "ratio": 1},
    }.items():
        table.add_column(name, **options)  # type: ignore[arg-type]
    for hit in hits:
        table.add_row(
            str(hit.rank),
            shown(hit.title),
            span(hit),
            _score(hit.score),
            _channels(hit),
            (f"(shows the same as {hit.duplicate_of}) " if hit.duplicate_of else "") + shown(hit.text.replace("\n", " / ")),
        )
    return table


def span(hit: Hit) -> str:
    """The time of a hit as people read it."""
    return f"{timestamp(hit.start or 0)}-{timestamp(hit.end)}" if hit.end is not None else "whole file"


def _score(score: float | None) -> str:
    return "-" if score is None else f"{score:+.3f}"


def _channels(hit: Hit) -> str:
    return " ".join(f"{name}:{rank}" for name, rank in sorted(hit.channels.items(), key=lambda item: item[1]))
