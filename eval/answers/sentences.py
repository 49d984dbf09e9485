"""The sentences of an answer, with the citations that follow each as `[title @ mm:ss]`. Knows no files and no measures."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from rankvideo_rag.text import timestamp

_MARKERS = re.compile(r"(?:[\s,]*\[[^\[\]]+ @ (?:\d+:)?\d+:\d{2}\])+")  # those that stand together
_MARKER = re.compile(r"\[([^\[\]]+) @ ((?:\d+:)?\d+:\d{2})\]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?][”\"'’)])\s+|(?<=[。！？؟])\s*")


class Statement(NamedTuple):
    """One thing that an answer says."""

    text: str  # without the marks of citations
    cited: tuple[int, ...] = ()  # positions in the answer's citations
    dangling: int = 0  # marks of citations that the answer does not have


def statements_of(text: str, citations: Sequence[tuple[str | None, float]]) -> list[Statement]:
    """The sentences of a text. `citations` are the titles and beginnings, in seconds, of what the marks may name.

    >>> statements_of("It rains. It is cold [A @ 01:05].", [("A", 65.2)])
    [Statement(text='It rains.', cited=(), dangling=0), Statement(text='It is cold', cited=(0,), dangling=0)]
    """
    found: list[Statement] = []
    begin, waiting = 0, ""  # marks before any words belong to the first sentence
    for run in _MARKERS.finditer(text):
        found += [Statement(sentence) for sentence in _sentences(text[begin : run.start()])]
        begin = run.end()
        if found:
            found[-1] = _citing(found[-1], run[0], citations)
        else:
            waiting += run[0]
    found += [Statement(sentence) for sentence in _sentences(text[begin:])]
    return [_citing(found[0], waiting, citations), *found[1:]] if found else []


def _citing(statement: Statement, marks: str, citations: Sequence[tuple[str | None, float]]) -> Statement:
    cited, dangling = list(statement.cited), statement.dangling
    for title, time in _MARKER.findall(marks):
        meant = [i for i, (name, start) in enumerate(citations) if (name, timestamp(start)) == (title.strip(), time)]
        cited += meant
        dangling += not meant
    return Statement(statement.text, tuple(dict.fromkeys(cited)), dangling)


def _sentences(text: str) -> list[str]:
    pieces = (piece.strip(" \t\n,;") for piece in _SENTENCE_END.split(text))
    return [piece for piece in pieces if any(character.isalnum() for character in piece)]
