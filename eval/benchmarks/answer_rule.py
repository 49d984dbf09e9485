"""Score an answer against the expected expressions and spans of a question: tests/data/realistic/README.md has the rule.

An answer is a JSON object as `rankvideo ask --json` prints it.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import read_json_lines
from rankvideo_rag.schema import Record

Outcome = Literal["right", "wrong", "false_abstention", "false_answer"]

_MARKERS = re.compile(r"\[[^\[\]\n]*@\s*[\d:.]+[^\[\]\n]*\]|\[\d+(?:\s*,\s*\d+)*\]")  # [title @ 00:25]  [1]  [1, 2]


class Place(Record):
    """A span of a video, named by its file's name without ending."""

    video: str
    start: float  # seconds
    end: float

    def overlaps(self, path: str, start: float, end: float) -> bool:
        """Return whether a span of a file has more than an edge in common with this one."""
        name = PurePosixPath(path.replace("\\", "/")).stem
        return name == self.video and start < self.end and end > self.start


class ExpectedSpan(Place):
    """A span that answers a question, or a part of it."""

    answers: tuple[str, ...]  # regular expressions, one of which the answer must contain


class Question(Record):
    """A question with the answers that count as right."""

    id: str
    question: str
    language: str
    answerable: bool
    kind: str
    answers: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    video: str | None = None
    start: float | None = None
    end: float | None = None
    spans: tuple[ExpectedSpan, ...] = Field((), description="of questions that need several videos")
    lure: Place | None = None
    correction: tuple[str, ...] = ()

    @property
    def expected(self) -> tuple[ExpectedSpan, ...]:
        """All spans that an answer must cite; none if the question is not answerable."""
        if self.spans or self.video is None or self.start is None or self.end is None:
            return self.spans
        return (ExpectedSpan(video=self.video, start=self.start, end=self.end, answers=self.answers),)


class Scored(NamedTuple):
    """The outcome of one answer, and what keeps it from being right."""

    outcome: Outcome
    faults: tuple[str, ...] = ()


def read_questions(path: Path) -> list[Question]:
    """Read questions, one JSON object per line. Raises InputError that names the line."""
    questions = []
    for row in read_json_lines(path, "a question"):
        given = {name: value for name, value in row.value.items() if value is not None}
        try:
            questions.append(Question.model_validate(given))
        except ValidationError as error:
            raise InputError(f"{row.place}: {error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error
    return questions


def score_answer(question: Question, answer: Mapping[str, Any]) -> Scored:
    """Return the outcome of an answer, as `rankvideo ask --json` prints it."""
    if not question.answerable:
        return Scored("false_answer") if answer["answered"] else Scored("right")
    if not answer["answered"]:
        return Scored("false_abstention")
    faults = tuple(_faults(question, answer["answer"], answer["citations"]))
    return Scored("wrong", faults) if faults else Scored("right")


def _faults(question: Question, text: str, citations: Sequence[Mapping[str, Any]]) -> list[str]:
    said = plain(text)
    words = "\n".join([said, *(plain(citation["quote"] or "") for citation in citations)])
    faults = []
    for span in question.expected:
        if not any(_occurs(pattern, words) for pattern in span.answers):
            faults.append(f"no accepted answer ({span.video})")
        if not any(span.overlaps(cited["path"], cited["start"], cited["end"]) for cited in citations):
            faults.append(f"no citation of {span.video} {span.start:.1f}-{span.end:.1f}")
    return faults + [f"must not: {pattern}" for pattern in question.must_not if _occurs(pattern, said)]


def is_right_quote(question: Question, path: str, start: float, end: float, quote: str) -> bool:
    """Return whether a quote of a file answers a question, or one of its parts."""
    said = plain(quote)
    if any(_occurs(pattern, said) for pattern in question.must_not):
        return False
    return any(
        span.overlaps(path, start, end) and any(_occurs(pattern, said) for pattern in span.answers)
        for span in question.expected
    )


def plain(text: str) -> str:
    """Return a text in NFKC with straight apostrophes and single spaces, without markers of citations.

    >>> plain("At nine\u2009[Ferries @ 00:25], it\u2019s said.")
    "At nine , it's said."
    """
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    return " ".join(_MARKERS.sub(" ", text).split())


def _occurs(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.I | re.S | re.M) is not None
