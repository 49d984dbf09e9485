"""Answers, references, and the cases that measures are computed on."""

from collections.abc import Mapping
from typing import NamedTuple

from pydantic import Field, model_validator

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.strict import first_repeated
from rankvideo_rag.schema import Record


class CitedSpan(NamedTuple):
    """A span of a video that an answer cites, with its text."""

    video_id: str
    start: float  # seconds
    end: float
    text: str  # titles and text of the clips around it, and the quote; empty where nothing is said or shown in writing

    @property
    def moment(self) -> Moment:
        """The span without its text."""
        return Moment(self.video_id, self.start, self.end)


class SystemAnswer(NamedTuple):
    """An answer to be measured. One that abstains has no statements."""

    query_id: str
    question: str
    answered: bool
    statements: tuple[Statement, ...]
    citations: tuple[CitedSpan, ...]
    clip_texts: tuple[str, ...] = ()  # of the clips that the generator was given, where they have any
    video_paths: Mapping[str, str] = {}  # video id -> path, of all videos that it names
    display_text: str = ""  # with citation markers, as users see it
    clips: tuple[Moment, ...] = ()  # that the generator was given, best first; one without times covers the whole video
    quotes: int = 0
    verified_quotes: int = 0  # found in the text of a clip of their video that the generator was given

    @property
    def text(self) -> str:
        """The statements without citation markers."""
        return " ".join(statement.text for statement in self.statements)

    def videos(self, statement: Statement) -> list[str]:
        """Return the videos that a statement cites, without repetitions."""
        return list(dict.fromkeys(self.citations[position].video_id for position in statement.cited))


class ReferenceClaim(Record):
    """A claim that a good answer makes: a nugget."""

    text: str = Field(min_length=1)
    vital: bool | None = None  # whether a good answer must make it; None: unknown
    videos: tuple[str, ...] = ()  # that support it
    spans: tuple[Moment, ...] = ()  # that support it

    @property
    def supporting_videos(self) -> list[str]:
        """The named videos and those of the spans."""
        return list(dict.fromkeys([*self.videos, *(span.video for span in self.spans)]))

    @model_validator(mode="after")
    def _check(self) -> "ReferenceClaim":
        if not self.text.strip():
            raise ValueError("its text is empty")
        for span in self.spans:
            if not 0 <= span.start < span.end:
                raise ValueError(f"the span {list(span)} starts before 0, or does not end after its start")
        return self


class Reference(Record):
    """A question and its correct answer. Measures that need claims or an answer skip a reference without them."""

    query_id: str
    question: str
    answerable: bool  # whether the archive holds an answer
    claims: tuple[ReferenceClaim, ...] = ()
    answer: str | None = None

    @property
    def text(self) -> str:
        """The answer and the claims, one per line."""
        return "\n".join([*([self.answer] if self.answer else []), *(claim.text for claim in self.claims)])

    @property
    def videos(self) -> list[str]:
        """All videos that support some claim, without repetitions."""
        return list(dict.fromkeys(video for claim in self.claims for video in claim.supporting_videos))

    @model_validator(mode="after")
    def _check(self) -> "Reference":
        repeated = first_repeated([claim.text for claim in self.claims])
        if repeated is not None:
            raise ValueError(f"the claim {repeated!r} is repeated: it would count twice")
        if not self.answerable and (self.claims or self.answer):
            raise ValueError("it has claims or an answer, but is marked as not answerable")
        return self


class Case(NamedTuple):
    """A question with its reference and answer. A missing answer is measured as an empty one that does not abstain."""

    reference: Reference
    answer: SystemAnswer
    absent: bool = False  # the system gave no answer


def make_cases(references: Mapping[str, Reference], answers: Mapping[str, SystemAnswer]) -> list[Case]:
    """Pair each reference with its answer. Raises InputError when no answer has a reference."""
    if not references:
        raise InputError("the references hold no question: there is nothing to measure against")
    if answers and not answers.keys() & references.keys():
        given, known = next(iter(answers)), next(iter(references))
        raise InputError(f"no answer has a reference: answers have ids such as {given!r}, references such as {known!r}")
    return [
        Case(one, answers.get(query) or SystemAnswer(query, one.question, False, (), ()), absent=query not in answers)
        for query, one in references.items()
    ]
