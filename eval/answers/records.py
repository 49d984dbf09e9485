"""What was answered and what would have been right, as measures see them. This file reads no files and knows no measures."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import Field, model_validator

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.schema import Record


class CitedSpan(NamedTuple):
    """A place in a video that an answer cites, with the words that stand there."""

    video_id: str
    start: float  # seconds
    end: float
    words: str  # title, words of the clips that it lies in, and quote; empty where nothing is said or written


class SystemAnswer(NamedTuple):
    """An answer as it is measured. One that says that the archive does not answer has no statements."""

    query_id: str
    question: str
    answered: bool
    statements: tuple[Statement, ...]
    citations: tuple[CitedSpan, ...]
    shown: tuple[str, ...]  # words of the clips that the answer was made from
    files: Mapping[str, str]  # video id -> path, of all videos that it names

    @property
    def text(self) -> str:
        """The statements, without any mark of a citation."""
        return " ".join(statement.text for statement in self.statements)

    def videos(self, statement: Statement) -> list[str]:
        """The videos that a statement cites, each once."""
        return list(dict.fromkeys(self.citations[position].video_id for position in statement.cited))


class ReferenceClaim(Record):
    """Something that a good answer says: a nugget."""

    text: str = Field(min_length=1)
    vital: bool | None = None  # a good answer must say it; None: nobody decided
    videos: tuple[str, ...] = ()  # that bear it out
    spans: tuple[Moment, ...] = ()  # where in them

    @property
    def supporting_videos(self) -> list[str]:
        """Those named, and those of the spans."""
        return list(dict.fromkeys([*self.videos, *(span.video for span in self.spans)]))

    @model_validator(mode="after")
    def _check(self) -> "ReferenceClaim":
        if not self.text.strip():
            raise ValueError("its text is empty")
        for span in self.spans:
            if not 0 <= span.start < span.end:
                raise ValueError(f"the span {list(span)} does not end after it begins, or begins before 0")
        return self


class Reference(Record):
    """A question and what is right to say. Without claims or an answer, what rests on them is not measured."""

    query_id: str
    question: str
    answerable: bool  # whether the archive holds an answer
    claims: tuple[ReferenceClaim, ...] = ()
    answer: str | None = None

    @property
    def text(self) -> str:
        """All that is right to say, a line each: the answer and the claims."""
        return "\n".join([*([self.answer] if self.answer else []), *(claim.text for claim in self.claims)])

    @property
    def videos(self) -> list[str]:
        """All videos that bear out some claim, each once."""
        return list(dict.fromkeys(video for claim in self.claims for video in claim.supporting_videos))

    @model_validator(mode="after")
    def _check(self) -> "Reference":
        texts = [claim.text for claim in self.claims]
        twice = next((text for i, text in enumerate(texts) if text in texts[:i]), None)
        if twice is not None:
            raise ValueError(f"the claim {twice!r} stands twice: it would count twice")
        if not self.answerable and (self.claims or self.answer):
            raise ValueError("it has claims or an answer, though it says that the archive holds no answer")
        return self


class Case(NamedTuple):
    """A question with both. An answer that is not there is measured as an empty one, which abstains from nothing."""

    reference: Reference
    answer: SystemAnswer
    absent: bool = False


def make_cases(references: Mapping[str, Reference], answers: Mapping[str, SystemAnswer]) -> list[Case]:
    """A case for each reference. Raises InputError when no answer has a reference."""
    if not references:
        raise InputError("the references hold no question: there is nothing to measure against")
    if answers and not answers.keys() & references.keys():
        given, known = next(iter(answers)), next(iter(references))
        raise InputError(f"no answer has a reference: answers have ids such as {given!r}, references such as {known!r}")
    return [
        Case(reference, answers.get(query) or _no_answer(reference), absent=query not in answers)
        for query, reference in references.items()
    ]


def _no_answer(reference: Reference) -> SystemAnswer:
    return SystemAnswer(reference.query_id, reference.question, False, (), (), (), {})
