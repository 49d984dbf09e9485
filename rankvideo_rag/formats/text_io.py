"""The lines of a text file that others wrote, with their numbers, so that an error can say where it stands.

Windows line ends and a byte order mark are taken off, gzip is unpacked. This file knows no format.
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError

_GZIP = b"\x1f\x8b"  # the first bytes of every gzip file, whatever its name


class TextLine(NamedTuple):
    """A line without its end."""

    number: int  # from 1
    text: str


def read_lines(path: str | Path) -> Iterator[TextLine]:
    """The lines of a UTF-8 file that are not blank, read as they are asked for.

    Raises InputError for a file that cannot be opened or unpacked, and for a line that is not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(_unpacked(file), start=1):
                text = _decoded(path, number, line)
                if text.strip():
                    yield TextLine(number, text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path} is no whole gzip file ({error}): was it cut off?") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _unpacked(file: io.BufferedReader) -> Iterable[bytes]:
    return gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == _GZIP else file


def _decoded(path: str | Path, number: int, line: bytes) -> str:
    if number == 1:
        line = line.removeprefix(codecs.BOM_UTF8)
    try:
        return line.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}, line {number} is not UTF-8 ({error.reason}): save the file as UTF-8") from error
