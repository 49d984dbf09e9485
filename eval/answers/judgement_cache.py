"""Verdicts that were made once, kept in a file and found again: a report is recomputed from it without any model.

The file is JSON Lines, a verdict a line, found by a hash of the judge's name, the version of its prompt and all that it was
asked. Lines are only ever added; of two with one key the later counts. This file knows no measures and runs no models.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.judge import PENDING, Check, CheckKind, Judge, Label, Verdict
from rankvideo_rag.formats.strict import read_json_lines
from rankvideo_rag.schema import Record

T = TypeVar("T")
_NOTHING = Verdict(None, "there are no words to hold the claim against")


class CachedVerdict(Record):
    """A verdict as it is kept. The claim stands there for people; the key decides."""

    key: str
    judge: str
    version: str
    kind: CheckKind
    claim: str
    label: Label | None
    reason: str | None = None
    reply: str | None = None


class JudgementCache:
    """Asks a judge of words and, if there is one, a judge of video, each check once.

    With a file, verdicts in it are not asked for again, and new ones are added as they are made. A check that got no label then
    (the judge broke, or wrote prose) is asked again now; `replaying` takes the file as it is and asks nobody.
    """

    def __init__(self, words: Judge, video: Judge | None = None, *, file: str | Path | None = None) -> None:
        self._words = words
        self._video = video
        self._file = Path(file) if file else None
        kept = read_verdicts(self._file) if self._file and self._file.exists() else []
        self._kept = {line.key: line for line in kept}
        self._known: dict[Check, Verdict] = {}
        self._asked: dict[Check, Verdict] = {}  # by the work that is being done
        self._used: dict[Check, Verdict] = {}

    @property
    def watches(self) -> bool:
        """Whether claims can be held against video."""
        return self._video is not None

    @property
    def used(self) -> dict[Check, Verdict]:
        """What the works that were settled last rest on."""
        return dict(self._used)

    def __call__(self, check: Check) -> Verdict:
        """The verdict on a check; PENDING, for now, where it is not known yet."""
        verdict = self._known.get(check)
        if verdict is None:
            verdict = self._found(check)
            self._known[check] = verdict
        self._asked[check] = verdict
        return verdict

    def settle(self, works: Sequence[Callable[[], T]]) -> list[T]:
        """What each work gives once every check that it asks for is known: it is done again and again until none is pending.

        Works that ask in turn, and only while their outcome is open, thus have their checks judged in large batches.
        """
        self._used = {}
        done: dict[int, T] = {}
        while len(done) < len(works):
            waiting: dict[Check, None] = {}
            for number in (number for number in range(len(works)) if number not in done):
                self._asked = {}
                result = works[number]()
                pending = [check for check, verdict in self._asked.items() if verdict is PENDING]
                waiting |= dict.fromkeys(pending)
                if not pending:
                    done[number] = result
                    self._used |= self._asked
            for video in (False, True):
                self._judge([check for check in waiting if (check.kind == "video") == video])
        return [done[number] for number in range(len(works))]

    def _found(self, check: Check) -> Verdict:
        if check.kind != "video" and not check.passage.strip():
            return _NOTHING
        judge = self._judge_of(check)
        line = self._kept.get(key(judge, check)) if self._kept else None
        if line is None or (line.label is None and not isinstance(judge, ReplayJudge)):
            return PENDING
        return Verdict(line.label, line.reason, line.reply)

    def _judge(self, checks: Sequence[Check]) -> None:
        if checks:
            judge = self._judge_of(checks[0])
            for check, verdict in zip(checks, judge.judge(checks), strict=True):
                self._keep(judge, check, verdict)
                self._known[check] = verdict

    def _judge_of(self, check: Check) -> Judge:
        if check.kind != "video":
            return self._words
        if self._video is None:
            raise InputError("a claim is to be held against a video, and no judge that watches was given")
        return self._video

    def _keep(self, judge: Judge, check: Check, verdict: Verdict) -> None:
        if self._file is not None:
            line = CachedVerdict(
                key=key(judge, check),
                judge=judge.name,
                version=judge.version,
                kind=check.kind,
                claim=check.claim,
                **verdict._asdict(),
            )
            with self._file.open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(line.model_dump()) + "\n")


class ReplayJudge(NamedTuple):
    """Stands for a judge whose verdicts are all in the file. Asked for one that is not, it says how many are missing."""

    name: str
    version: str
    file: str

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """Raises InputError."""
        raise InputError(
            f"{self.file} lacks {len(checks)} verdicts of {self.name} that are needed, the first on {checks[0].claim[:80]!r}: "
            f"answers or references have changed since. Run once without replaying to add them"
        )


def replay_judgements(file: str | Path, *, judge: str | None = None, video_judge: str | None = None) -> JudgementCache:
    """The verdicts of a file, and nothing else.

    Where the file holds several judges', name one by the beginning of its name. Raises InputError where it is still not clear.
    """
    lines = read_verdicts(file)
    words = _only([line for line in lines if line.kind != "video"], judge, "--judge", file)
    video = _only([line for line in lines if line.kind == "video"], video_judge, "--video-judge", file)
    return JudgementCache(words or ReplayJudge("any judge of words", "", str(file)), video, file=file)


def read_verdicts(file: str | Path) -> list[CachedVerdict]:
    """The lines of a file of verdicts. Raises InputError, with the line's number, for one that is none."""
    found = []
    for place, value in read_json_lines(file, "a verdict"):
        try:
            found.append(CachedVerdict.model_validate(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise InputError(f"{place} is no verdict ({'.'.join(map(str, first['loc']))}: {first['msg']})") from error
    return found


def key(judge: Judge, check: Check) -> str:
    """sha256 over the judge's name, its version and everything that it is asked."""
    return hashlib.sha256(json.dumps([judge.name, judge.version, *check]).encode()).hexdigest()


def _only(lines: Sequence[CachedVerdict], beginning: str | None, option: str, file: str | Path) -> ReplayJudge | None:
    judges = sorted({(line.judge, line.version) for line in lines})
    named = [judge for judge in judges if " ".join(judge).startswith(beginning or "")]
    if len(named) > 1 or (beginning and not named):
        known = ", ".join(repr(" ".join(judge)) for judge in judges) or "nobody"
        raise InputError(f"{file}: whose verdicts are to be replayed? It holds those of {known}: name one with {option}")
    return ReplayJudge(*named[0], str(file)) if named else None
