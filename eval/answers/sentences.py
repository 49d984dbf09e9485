"""Split an answer into sentences, each with the citations that follow it as `[title @ mm:ss]`."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.text import split_sentences, timestamp

_MARKERS = re.compile(r"(?:[\s,]*\[[^\[\]]+ @ (?:\d+:)?\d+:\d{2}\])+")  # adjacent ones
_MARKER = re.compile(r"\[([^\[\]]+) @ ((?:\d+:)?\d+:\d{2})\]")


class Statement(NamedTuple):
    """One claim or sentence of an answer."""

    text: str  # without citation markers
    cited: tuple[int, ...] = ()  # positions in the answer's citations
    dangling: int = 0  # markers of citations that the answer does not have
    visual: bool = False  # supported by a picture, which a text judge cannot check


def split_statements(text: str, citations: Sequence[tuple[str | None, float]]) -> list[Statement]:
    """Return the sentences of a text. `citations` are the titles and starts, in seconds, that markers can name.

    >>> [one[:2] for one in split_statements("It rains. It is cold [A @ 01:05].", [("A", 65.2)])]
    [('It rains.', ()), ('It is cold', (0,))]
    """
    found: list[Statement] = []
    begin, waiting = 0, ""  # markers before any text belong to the first sentence
    for run in _MARKERS.finditer(text):
        found += [Statement(sentence) for sentence in _sentences(text[begin : run.start()])]
        begin = run.end()
        if found:
            found[-1] = _with_markers(found[-1], run[0], citations)
        else:
            waiting += run[0]
    found += [Statement(sentence) for sentence in _sentences(text[begin:])]
    return [_with_markers(found[0], waiting, citations), *found[1:]] if found else []


def _with_markers(statement: Statement, markers: str, citations: Sequence[tuple[str | None, float]]) -> Statement:
    cited, dangling = list(statement.cited), statement.dangling
    for title, time in _MARKER.findall(markers):
        named = [i for i, (name, start) in enumerate(citations) if (name, timestamp(start)) == (title.strip(), time)]
        cited += named
        dangling += not named
    return statement._replace(cited=tuple(dict.fromkeys(cited)), dangling=dangling)


def _sentences(text: str) -> list[str]:
    pieces = (piece.strip(" \t\n,;") for piece in split_sentences(text))
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]
