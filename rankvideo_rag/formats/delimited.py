"""CSV and TSV that others wrote, read strictly by column name: faults name file and line. Knows no columns of its own."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.text_io import read_lines


class CsvRow(NamedTuple):
    """One row by the names of its columns."""

    place: str  # file and line, for errors; where a quoted field runs over lines, the last of them
    cells: dict[str, str]


def read_csv(path: str | Path, needed: Sequence[str]) -> Iterator[CsvRow]:
    """The rows below a header with the needed columns and perhaps others, parted by tabs where it has one, else by commas.

    Raises InputError for a header without a needed column or with one twice, and for a row with another number of cells.
    """
    first = next((line.text for line in read_lines(path)), "")
    # In TSV a quotation mark is a character like any other, in CSV it encloses a cell.
    options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if "\t" in first else {"delimiter": ","}
    reader = csv.reader(_lines(path), strict=True, **options)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            place = f"{path}, line {reader.line_num}"
            if names is None:
                names = _header(cells, needed, place)
            elif len(cells) != len(names):
                raise InputError(f"{place} has {len(cells)} cells, not the {len(names)} of its header: {cells[:3]}")
            else:
                yield CsvRow(place, dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is no row of CSV: {error}") from error
    if names is None:
        raise InputError(f"{path} is empty: a header with {', '.join(needed)} is needed")


def _header(cells: list[str], needed: Sequence[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    missing = [name for name in needed if name not in names]
    if missing or len(set(names)) < len(names):
        fault = f"has no column {', '.join(missing)}" if missing else "has a column twice"
        raise InputError(f"{place}, the header, {fault}: it reads {', '.join(names)[:80]!r}")
    return names


def _lines(path: str | Path) -> Iterator[str]:
    """The lines with the blank ones between them, so that the reader counts as the file does."""
    before = 0
    for number, text in read_lines(path):
        yield from ["\n"] * (number - 1 - before)
        yield text + "\n"
        before = number
