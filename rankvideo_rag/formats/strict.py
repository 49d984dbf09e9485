"""Read text, CSV and JSON files strictly: every error names the file and the line or key.

Files are UTF-8, with or without a byte order mark, with Unix or Windows line ends, plain or gzipped.
"""

import codecs
import csv
import gzip
import io
import json
import math
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from pydantic import ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Record

AnyRecord = TypeVar("AnyRecord", bound=Record)

_GZIP = b"\x1f\x8b"  # the first bytes of every gzip file, whatever its name
_WORD = re.compile(r"\S+")


Value = TypeVar("Value")


class Located(NamedTuple, Generic[Value]):
    """A line or row of a file: its text, its cells by column name, or its JSON object."""

    place: str  # file and line number, for errors; the last line of a row whose quoted cells span several
    value: Value


JsonLine = Located[dict[str, Any]]


def read_lines(path: str | Path, *, keep_blank: bool = False) -> Iterator[Located[str]]:
    """Yield the lines of a text file, without blank ones unless `keep_blank`, which gives them an empty text.

    Raises InputError for a file that cannot be opened or unpacked, and for a line that is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_unpacked(file), start=1):
                text = _decoded(line.removeprefix(codecs.BOM_UTF8) if number == 1 else line, f"{path}, line {number}")
                blank = not text.strip()
                if keep_blank or not blank:
                    yield Located(f"{path}, line {number}", "" if blank else text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is not a complete gzip file ({error}): was it cut off?") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def first_line(path: str | Path) -> str:
    """Return the text of the first line that is not blank, "" where there is none."""
    return next((line.value for line in read_lines(path)), "")


def is_json(path: str | Path) -> bool:
    """Whether a file holds a JSON object, or one on each line, rather than a table: by its first character."""
    return first_line(path).lstrip().startswith("{")


def read_csv(path: str | Path, columns: Sequence[str]) -> Iterator[Located[dict[str, str]]]:
    """Yield the rows of a file with a header: TSV where the header holds a tab, else CSV. Other columns are allowed.

    Raises InputError for a header that lacks one of `columns` or repeats one, and for a row of another length.
    """
    # In TSV a quotation mark is an ordinary character, in CSV it encloses a cell.
    options = {"delimiter": "\t", "quoting": csv.QUOTE_NONE} if "\t" in first_line(path) else {"delimiter": ","}
    reader = csv.reader((f"{line.value}\n" for line in read_lines(path, keep_blank=True)), strict=True, **options)
    header: list[str] | None = None
    try:
        for cells in filter(None, reader):
            place = f"{path}, line {reader.line_num}"
            if header is None:
                header = _header(cells, columns, place)
            elif len(cells) != len(header):
                raise InputError(f"{place} has {len(cells)} cells, not the {len(header)} of its header: {cells[:3]}")
            else:
                yield Located(place, dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num} is not valid CSV: {error}") from error
    if header is None:
        raise InputError(f"{path} is empty: a header with {', '.join(columns)} is needed")


def read_json(path: str | Path) -> Any:
    """Return the value of a JSON file.

    Raises InputError for incomplete JSON, an object that repeats a key, and NaN or Infinity.
    """
    text = "\n".join(line.value for line in read_lines(path, keep_blank=True))
    try:
        return _parsed(text, path)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(f"{place}: this is not complete JSON ({error.msg}): was it cut off?") from error


def read_json_lines(path: str | Path, keys: str) -> Iterator[JsonLine]:
    """Yield the objects of a file with one on each line. `keys` names theirs in errors. Raises as `read_json` does."""
    for place, text in read_lines(path):
        try:
            yield Located(place, as_object(_parsed(text, place), keys, place))
        except json.JSONDecodeError as error:
            raise InputError(f"{place}, column {error.colno}: this is not complete JSON ({error.msg})") from error


def read_records(path: str | Path, kind: type[AnyRecord], *, what: str) -> Iterator[AnyRecord]:
    """Yield the records of a file with one on each line. Raises InputError for a line that is not a valid `what`."""
    for place, text in read_lines(path):
        try:
            yield kind.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"{place} is not a valid {what}: {explain_faults(error, whole='line')}") from error


def explain_faults(error: ValidationError, *, whole: str) -> str:
    """Return the invalid fields and what is wrong with each; `whole` names the value itself."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc'])) or whole}: {fault['msg']}" for fault in faults)


def as_object(value: Any, keys: str, place: str | Path) -> dict[str, Any]:
    """Return the value if it is an object. `keys` names its keys in the error."""
    if not isinstance(value, dict):
        raise InputError(f"{place}: an object of {keys} is needed, found {preview(value)}")
    return value


def as_list(value: Any, name: str, place: str | Path) -> list[Any]:
    """Return the value if it is a list."""
    if not isinstance(value, list):
        raise InputError(f"{place}: {name} = {preview(value)} is not a list")
    return value


def as_number(value: Any, name: str, place: str | Path) -> float:
    """Return the value if it is a finite number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise InputError(f"{place}: {name} = {preview(value)} is not a finite number")


def as_integer(value: Any, name: str, place: str | Path) -> int:
    """Return the value if it is a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"{place}: {name} = {preview(value)} is not a whole number")
    return value


def as_text(value: Any, name: str, place: str | Path) -> str:
    """Return the value if it is a string that is not blank."""
    if isinstance(value, str) and value.strip():
        return value
    raise InputError(f"{place}: {name} = {preview(value)} is not a text, or is empty")


def as_id(value: Any, name: str, place: str | Path) -> str:
    """Return the value as an id: one word, or a whole number in its digits."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return check_word(str(value), name, place)
    raise InputError(f"{place}: the {name} {preview(value)} must be a word or a whole number")


def check_word(text: str, what: str, place: str | Path) -> str:
    """Return the text if it can be a column of a TREC file: not empty, without white space, encodable as UTF-8."""
    if not _WORD.fullmatch(text) or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{place}: the {what} {text!r} must be one word, without white space")
    return text


def check_video_id(video: str, place: str | Path) -> str:
    """Return the video's id if it can be a column of a TREC file and part of a file name."""
    check_word(video, "video id", place)
    if any(character in video for character in "/\\\0") or video in (".", ".."):
        raise InputError(f"{place}: the video id {video!r} cannot be part of a file's name")
    return video


def first_repeated(items: Sequence[str]) -> str | None:
    """Return the first item that occurs earlier in the sequence, None where all differ."""
    seen: set[str] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None


def preview(value: Any) -> str:
    """Return the beginning of a value as JSON, for an error."""
    return json.dumps(value)[:60]


def _unpacked(file: io.BufferedReader) -> Iterable[bytes]:
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file


def _decoded(line: bytes, place: str) -> str:
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{place} is not UTF-8 ({error.reason}): save the file as UTF-8") from error


def _header(cells: list[str], columns: Sequence[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    missing = [name for name in columns if name not in names]
    if missing or len(set(names)) < len(names):
        fault = f"has no column {', '.join(missing)}" if missing else "has a column twice"
        raise InputError(f"{place}, the header, {fault}: it reads {', '.join(names)[:80]!r}")
    return names


def _parsed(text: str, place: str | Path) -> Any:
    def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice = first_repeated([key for key, _ in pairs])
            raise InputError(f"{place}: the key {twice!r} stands twice in one object: one of the two would be lost")
        return found

    def refuse(name: str) -> None:
        raise InputError(f"{place}: {name} is not a number that can be ordered: write null where there is none")

    try:
        return json.loads(text, object_pairs_hook=distinct, parse_constant=refuse)
    except RecursionError:
        raise InputError(f"{place} is nested too deeply to be read") from None
