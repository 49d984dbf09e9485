"""Checks for a judge, and its judgements. A judgement is yes, partial or no, or has no label and a reason for that."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, Protocol

CheckKind = Literal["passage", "claims", "nugget", "video"]
"""What a claim is checked against: a passage, a list of claims, a text that may hold it in part (nugget), or a video."""

Label = Literal["yes", "partial", "no"]
"""Only nuggets can be `partial`."""


class Check(NamedTuple):
    """A claim and what it is checked against. Equal checks have the same judgement."""

    kind: CheckKind
    claim: str
    context: str = ""  # the text that the claim was taken from; for a nugget, the question
    passage: str = ""  # empty for a video
    video_id: str | None = None
    start: float | None = None  # seconds; None for the whole video
    end: float | None = None


class Judgement(NamedTuple):
    """A judge's decision on a check. Without a label, `reason` says why."""

    label: Label | None
    reason: str | None = None
    reply: str | None = None  # text that the judge generated

    @property
    def supported(self) -> bool | None:
        """Whether the claim is fully supported; None where that is unknown."""
        return None if self.label is None else self.label == "yes"


PENDING = Judgement(None, "not judged yet")
"""Stands for a judgement that is still to be requested. Compare it by identity."""


class Judge(Protocol):
    """Judges claims. Judgements are cached under its name and version."""

    @property
    def name(self) -> str:
        """Backend, model and revision on one line."""

    @property
    def version(self) -> str:
        """Version of the prompt or rule; changes whenever the same check may get another judgement."""

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check, in order."""


class AskJudge(Protocol):
    """Returns the judgement on a check, or PENDING."""

    @property
    def has_video_judge(self) -> bool:
        """Whether claims can be checked against videos."""

    def __call__(self, check: Check) -> Judgement:
        """Return the judgement on a check."""


def any_supported(checks: Iterable[Check], ask: AskJudge) -> bool | None:
    """Return whether any check is supported; None where none is and one is unknown. Stops at the first that is."""
    unknown = False
    for check in checks:
        judgement = ask(check)
        if judgement.supported:
            return True
        if judgement is PENDING:
            return None
        unknown |= judgement.label is None
    return None if unknown else False
