"""What a judge is asked, and what it says: three-valued, so that "no" and "nobody knows" are never mixed up.

This file knows neither judges nor measures.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

CheckKind = Literal["passage", "claims", "nugget", "video"]
"""What a claim is held against: a passage of text, a list of claims, a text in which it may be captured in part, a video."""

Label = Literal["yes", "partial", "no"]
"""`partial` is said of nuggets only."""


class Check(NamedTuple):
    """Is this claim borne out by that? Two equal checks have one verdict."""

    kind: CheckKind
    claim: str
    context: str = ""  # the text that the claim was taken from; of a nugget, the question
    passage: str = ""  # what the claim is held against; empty for video
    video_id: str | None = None  # for video only
    start: float | None = None  # seconds; None for the whole video
    end: float | None = None


class Verdict(NamedTuple):
    """What a judge said. Without a label, `reason` says why there is none."""

    label: Label | None
    reason: str | None = None
    reply: str | None = None  # what the judge wrote, if it writes

    @property
    def supported(self) -> bool | None:
        """Whether the claim is borne out, wholly; None where that is not known."""
        return None if self.label is None else self.label == "yes"


PENDING = Verdict(None, "not asked yet")
"""What is said of a check before a judge was asked: recognised by identity."""

AskJudge = Callable[[Check], Verdict]


class Judge(Protocol):
    """Gives verdicts. Its name and version are part of what each is kept under."""

    @property
    def name(self) -> str:
        """Backend, model and revision in one line."""

    @property
    def version(self) -> str:
        """Of the prompt, or of the rule: changes whenever the same inputs may get another verdict."""

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """One verdict for each check, in their order, given out as they are made."""


def any_supported(checks: Iterable[Check], ask: AskJudge) -> bool | None:
    """Whether any of these holds, asked one after the other until one does; None where none does and one is not known."""
    unknown = False
    for check in checks:
        verdict = ask(check)
        if verdict.supported:
            return True
        if verdict is PENDING:
            return None
        unknown |= verdict.label is None
    return None if unknown else False
