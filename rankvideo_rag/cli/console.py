"""Output of the commands: results on standard output, progress, notes and errors on standard error."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from rankvideo_rag.schema import Hit
from rankvideo_rag.text import timestamp

# Exit codes besides 0 and those of errors.py.
FAILED = 1
PARTIAL = 3  # some inputs were not fully processed, or an archive is damaged
INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def printable(text: str) -> str:
    """Return text from outside in a form that is safe on a terminal: control characters escaped, no markup."""
    return escape("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text))


def print_error(message: str) -> None:
    """Print an error on standard error."""
    err.print(f"[bold red]error:[/] {printable(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Print a note on standard error."""
    err.print(f"[yellow]note:[/] {printable(message)}", soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    # Bytes of a file name that are not UTF-8 become the escapes \\udc80 to \\udcff, from which a reader restores them.
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))


def render(value: Any, show: Callable[[], None], *, as_json: bool) -> None:
    """Print a record as JSON, or call `show` to print it for people."""
    if as_json:
        print_json(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
    else:
        show()


def make_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]] = (), *, title: str | None = None, left: int = 1, header: bool = True
) -> Table:
    """Return a table whose first `left` columns are aligned left, the others right. Cells may hold markup."""
    table = Table(title=title, title_justify="left", show_header=header, box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number < left else "right")
    for row in rows:
        table.add_row(*row)
    return table


@contextmanager
def progress(description: str, total: float | None = None, *, unit: str = "done") -> Iterator[Callable[..., None]]:
    """Show progress on standard error while the block runs.

    Yields a function `advance(count, description=None)`. Ctrl-C ends the command with exit code 130 and says how to continue.
    """
    counted = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn())
    open_ended = (SpinnerColumn(), TextColumn("{task.completed:.0f} " + unit), TimeElapsedColumn())
    columns = (TextColumn("{task.description}"), *(open_ended if total is None else counted))
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task(description, total=total)

        def advance(count: float = 1, description: str | None = None) -> None:
            bars.update(bar, advance=count, description=None if description is None else printable(description))

        try:
            yield advance
        except KeyboardInterrupt:
            done = bars.tasks[0].completed
            bars.stop()
            of_total = "" if total is None else f" of {total:.0f}"
            err.print(f"[bold]stopped[/] after {done:.0f}{of_total} {unit}. Run the same command again to continue.")
            raise typer.Exit(INTERRUPTED) from None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an InputError: `path` cannot be written."""
    from rankvideo_rag.errors import InputError

    try:
        yield
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error


def hits_table(hits: Sequence[Hit], *, title: str | None = None) -> Table:
    """Return search results as a table."""
    table = make_table((), title=title)
    table.expand = True  # only the text column shrinks on a narrow terminal
    titles = max((len(hit.title) for hit in hits), default=5)
    table.add_column("#", justify="right")
    table.add_column("video", no_wrap=True, max_width=32, min_width=min(32, titles))
    table.add_column("time", min_width=11)
    table.add_column("score", justify="right", min_width=6)
    reranked = any(hit.evidence for hit in hits)
    if reranked:
        table.add_column("evidence", min_width=13)
    table.add_column("found by", min_width=11)
    table.add_column("text", no_wrap=True, ratio=1)
    for hit in hits:
        rank, title, time, score, *rest = _hit_row(hit)
        table.add_row(rank, title, time, score, *([format_evidence(hit, "\n")] if reranked else []), *rest)
    return table


def span(hit: Hit) -> str:
    """Return the time span of a hit as text."""
    return f"{timestamp(hit.start or 0)}-{timestamp(hit.end)}" if hit.end is not None else "whole file"


def format_evidence(hit: Hit, separator: str) -> str:
    """Return the score of each modality: the picture's margin, the text's probability, - where there is none."""
    formats = {"picture": "{:+.2f}", "text": "{:.2f}"}
    parts = [(modality, "-" if score is None else formats[modality].format(score)) for modality, score in hit.evidence.items()]
    return separator.join(f"{modality} {score}" for modality, score in parts)


def _hit_row(hit: Hit) -> list[str]:
    duplicate = f"(near-duplicate of {hit.duplicate_of}) " if hit.duplicate_of else ""
    channels = sorted(hit.channels.items(), key=lambda channel: channel[1])
    return [
        str(hit.rank),
        printable(hit.title),
        span(hit),
        "-" if hit.score is None else f"{hit.score:+.3f}",
        " ".join(f"{name}:{rank}" for name, rank in channels),
        duplicate + printable(hit.text.replace("\n", " / ")),
    ]
