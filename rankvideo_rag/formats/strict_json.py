"""JSON that others wrote, taken at its word or refused: no key twice, no NaN, no half file; faults name file and place."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.text_io import read_lines

_ONE_WORD = re.compile(r"\S+")


class JsonLine(NamedTuple):
    """One line of a file of JSON objects."""

    place: str  # file and line, for errors
    value: dict[str, Any]


def read_json(path: str | Path) -> Any:
    """The value in a file. Raises InputError for what is no whole JSON, for a key that stands twice, for NaN and Infinity."""
    try:
        return _value(_text(path), path)
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(f"{place}: this is no whole JSON ({error.msg}): was it cut off?") from error


def read_json_lines(path: str | Path, keys: str) -> Iterator[JsonLine]:
    """The objects of a file that has one on each line, `keys` in words for errors. As strict as `read_json`."""
    for number, line in read_lines(path):
        place = f"{path}, line {number}"
        try:
            yield JsonLine(place, as_object(_value(line, place), keys, place))
        except json.JSONDecodeError as error:
            raise InputError(f"{place}, column {error.colno}: this is no whole JSON ({error.msg})") from error


def as_object(value: Any, keys: str, place: str | Path) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise InputError(f"{place}: an object of {keys} is needed, found {preview(value)}")
    return value


def as_number(value: Any, name: str, place: str) -> float:
    """The value, if it is a number that can be ordered."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise InputError(f"{place}: {name} = {preview(value)} is no finite number")


def check_word(text: str, what: str, place: str | Path) -> str:
    """The text, if it can be a column of a run file: not empty, no white space, writable as UTF-8."""
    if not _ONE_WORD.fullmatch(text) or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{place}: the {what} {text!r} must be one word, without white space")
    return text


def as_text(value: Any, name: str, place: str | Path) -> str:
    """The value, if it is a text that says something."""
    if isinstance(value, str) and value.strip():
        return value
    raise InputError(f"{place}: {name} = {preview(value)} is no text, or an empty one")


def as_id(value: Any, name: str, place: str | Path) -> str:
    """The value as an id: one word, or a whole number as it is written."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return check_word(str(value), name, place)
    raise InputError(f"{place}: the {name} {preview(value)} must be a word or a whole number")


def preview(value: Any) -> str:
    """The beginning of a value, for an error."""
    return json.dumps(value)[:60]


def _text(path: str | Path) -> str:
    """The file's text, blank lines kept as such, so that a fault's line number is that of the file."""
    lines: list[str] = []
    for number, line in read_lines(path):
        lines += [""] * (number - 1 - len(lines))
        lines.append(line)
    return "\n".join(lines)


def _value(text: str, place: str | Path) -> Any:
    try:
        return json.loads(
            text, object_pairs_hook=lambda pairs: _distinct(pairs, place), parse_constant=lambda name: _refuse(name, place)
        )
    except RecursionError:
        raise InputError(f"{place} is nested too deeply to be read") from None


def _distinct(pairs: Sequence[tuple[str, Any]], place: str | Path) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"{place}: the key {twice!r} stands twice in one object: one of the two would be lost")
    return found


def _refuse(name: str, place: str | Path) -> None:
    raise InputError(f"{place}: {name} is no number that can be ordered: write null where there is none")
