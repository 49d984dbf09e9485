"""JSON that others wrote, taken at its word or refused: no key twice, no NaN, no half file; faults name file and place."""

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.lines import numbered_lines

_ONE_WORD = re.compile(r"\S+")


def read_json(path: str | Path) -> Any:
    """The value in a file. Raises InputError for what is no whole JSON, for a key that stands twice, for NaN and Infinity."""
    try:
        return json.loads(
            _text(path), object_pairs_hook=lambda pairs: _distinct(pairs, path), parse_constant=lambda name: _refuse(name, path)
        )
    except json.JSONDecodeError as error:
        place = f"{path}, line {error.lineno}, column {error.colno}"
        raise InputError(f"{place}: this is no whole JSON ({error.msg}): was it cut off?") from error
    except RecursionError:
        raise InputError(f"{path} is nested too deeply to be read") from None


def object_of(value: Any, keys: str, place: str | Path) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise InputError(f"{place}: an object of {keys} is needed, found {shown(value)}")
    return value


def finite_number(value: Any, name: str, place: str) -> float:
    """The value, if it is a number that can be ordered."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise InputError(f"{place}: {name} = {shown(value)} is no finite number")


def one_word(text: str, what: str, place: str | Path) -> str:
    """The text, if it can be a column of a run file: not empty, no white space, writable as UTF-8."""
    if not _ONE_WORD.fullmatch(text) or any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{place}: the {what} {text!r} must be one word, without white space")
    return text


def shown(value: Any) -> str:
    """The beginning of a value, for an error."""
    return json.dumps(value)[:60]


def _text(path: str | Path) -> str:
    """The file's text, blank lines kept as such, so that a fault's line number is that of the file."""
    lines: list[str] = []
    for number, line in numbered_lines(path):
        lines += [""] * (number - 1 - len(lines))
        lines.append(line)
    return "\n".join(lines)


def _distinct(pairs: Sequence[tuple[str, Any]], path: str | Path) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise InputError(f"{path}: the key {twice!r} stands twice in one object: one of the two would be lost")
    return found


def _refuse(name: str, path: str | Path) -> None:
    raise InputError(f"{path}: {name} is no number that can be ordered: write null where there is none")
