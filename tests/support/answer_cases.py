"""Small answers and references for tests of the measures of answers, and judgements that are looked up in a table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rankvideo_rag.eval.answers.judge import Check, Judgement, Label
from rankvideo_rag.eval.answers.records import Case, CitedSpan, Reference, ReferenceClaim, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.answers.values import MeasureValue


def answer(*said: tuple[str, str], words: Mapping[str, str] = {}, answered: bool = True) -> SystemAnswer:
    """An answer of (statement, ids of the videos that it cites) pairs; each video is cited from second 0 to 10."""
    videos = list(dict.fromkeys(video for _, ids in said for video in ids.split()))
    statements = tuple(Statement(text, tuple(videos.index(video) for video in ids.split())) for text, ids in said)
    cited = tuple(CitedSpan(video, 0.0, 10.0, words.get(video, "")) for video in videos)
    return SystemAnswer("q", "Q?", answered, statements, cited)


def reference(*claims: tuple[str, str], **options: Any) -> Reference:
    """A reference of (claim, ids of the videos that support it) pairs."""
    made = tuple(ReferenceClaim(text=text, videos=tuple(ids.split())) for text, ids in claims)
    return Reference(query_id="q", question="Q?", answerable=True, claims=made, **options)


def case(given: SystemAnswer, right: Reference) -> Case:
    return Case(right, given)


class TableAsk:
    """Judgements by (kind, claim, passage or video). A check that is not in the table is a KeyError."""

    def __init__(self, table: Mapping[tuple[str, str, str], Label | Judgement], *, has_video_judge: bool) -> None:
        self._table = table
        self.has_video_judge = has_video_judge

    def __call__(self, check: Check) -> Judgement:
        found = self._table[check.kind, check.claim, check.video_id or check.passage]
        return found if isinstance(found, Judgement) else Judgement(found)


def judged(table: Mapping[tuple[str, str, str], Label | Judgement], *, video: bool = False) -> TableAsk:
    """Return judgements from a table; with `video`, measures check claims against videos as well."""
    return TableAsk(table, has_video_judge=video)


class TableJudge:
    """A judge with such a table. It counts how often it is asked."""

    version = "1"

    def __init__(self, table: Mapping[tuple[str, str, str], Label | Judgement], name: str = "table") -> None:
        self._ask = judged(table)
        self.name = name
        self.asked: list[Check] = []

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        for check in checks:
            self.asked.append(check)
            yield self._ask(check)


def numbers(values: Mapping[str, MeasureValue], *names: str) -> list[float | None]:
    return [values[name].value for name in names]
