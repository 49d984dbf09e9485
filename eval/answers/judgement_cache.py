"""Cache judgements in a file, so that measures can be recomputed without any model.

The file is JSON Lines, one judgement per line, keyed by a hash of the judge's name, its version and the whole check. Lines are
only appended; of two with the same key the later one counts.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, TypeVar

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.io import validate
from rankvideo_rag.eval.answers.judge import PENDING, Check, CheckKind, Judge, Judgement, Label
from rankvideo_rag.formats.strict import read_json_lines
from rankvideo_rag.schema import Record

Result = TypeVar("Result")
_NO_TEXT = Judgement(None, "there is no text to check the claim against")


class CachedJudgement(Record):
    """A line of the file. The key identifies the check; the claim is there for human readers."""

    key: str
    judge: str
    version: str
    kind: CheckKind
    claim: str
    label: Label | None
    reason: str | None = None
    reply: str | None = None


class JudgementCache:
    """Asks a text judge and, if given, a video judge for judgements, once for each check.

    With a file, cached judgements are reused and new ones appended as they are made. Checks whose cached judgement has no label
    (the judge failed, or its reply was invalid) are judged again, unless the judge is a ReplayJudge.
    """

    def __init__(self, text_judge: Judge, video_judge: Judge | None = None, *, file: str | Path | None = None) -> None:
        self._text_judge = text_judge
        self._video_judge = video_judge
        self._file = Path(file) if file else None
        cached = read_judgements(self._file) if self._file and self._file.exists() else []
        self._cached = {line.key: line for line in cached}
        self._known: dict[Check, Judgement] = {}
        self._asked: dict[Check, Judgement] = {}  # by the function that is being run
        self._used: dict[Check, Judgement] = {}

    @property
    def has_video_judge(self) -> bool:
        """Whether claims can be checked against videos."""
        return self._video_judge is not None

    @property
    def judges(self) -> tuple[str, ...]:
        """Names and versions of the judges."""
        return tuple(f"{one.name} {one.version}".strip() for one in (self._text_judge, self._video_judge) if one)

    @property
    def used(self) -> dict[Check, Judgement]:
        """The judgements that the results of the last `run_batched` rest on."""
        return dict(self._used)

    def __call__(self, check: Check) -> Judgement:
        """Return the judgement on a check; PENDING where it is not known yet."""
        if check not in self._known:
            self._known[check] = self._lookup(check)
        self._asked[check] = self._known[check]
        return self._known[check]

    def run_batched(self, functions: Sequence[Callable[[], Result]]) -> list[Result]:
        """Return the functions' results, running each again until none of the judgements it asks for is pending.

        Functions can thus ask for one judgement after another, and only as long as the result is open, while the judge gets the
        pending checks of all functions in large batches.
        """
        self._used = {}
        results: dict[int, Result] = {}
        while len(results) < len(functions):
            waiting: dict[Check, None] = {}
            for number in sorted(set(range(len(functions))) - results.keys()):
                self._asked = {}
                result = functions[number]()
                pending = [check for check, judgement in self._asked.items() if judgement is PENDING]
                waiting |= dict.fromkeys(pending)
                if not pending:
                    results[number] = result
                    self._used |= self._asked
            self._judge(waiting)
        return [results[number] for number in range(len(functions))]

    def _lookup(self, check: Check) -> Judgement:
        if not _is_video(check) and not check.passage.strip():
            return _NO_TEXT
        judge = self._judge_for(_is_video(check))
        line = self._cached.get(cache_key(judge, check)) if self._cached else None
        if line is None or (line.label is None and not isinstance(judge, ReplayJudge)):
            return PENDING
        return Judgement(line.label, line.reason, line.reply)

    def _judge(self, checks: Iterable[Check]) -> None:
        """Judge checks and cache each judgement as it is made. Those on text come first."""
        for is_video, batch in groupby(sorted(checks, key=_is_video), key=_is_video):
            judge = self._judge_for(is_video)
            pending = list(batch)
            for check, judgement in zip(pending, judge.judge(pending), strict=True):
                self._append(judge, check, judgement)
                self._known[check] = judgement

    def _judge_for(self, is_video: bool) -> Judge:
        judge = self._video_judge if is_video else self._text_judge
        if judge is None:
            raise InputError("a claim is to be checked against a video, and there is no video judge")
        return judge

    def _append(self, judge: Judge, check: Check, judgement: Judgement) -> None:
        if self._file is None:
            return
        line = CachedJudgement(
            key=cache_key(judge, check),
            judge=judge.name,
            version=judge.version,
            kind=check.kind,
            claim=check.claim,
            **judgement._asdict(),
        )
        with self._file.open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(line.model_dump()) + "\n")


class ReplayJudge(NamedTuple):
    """Stands for a judge whose judgements are all in the file. It has none of its own."""

    name: str
    version: str
    file: str

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Raise InputError with the number of missing judgements."""
        raise InputError(
            f"{self.file} lacks {len(checks)} judgements of {self.name}, the first on {checks[0].claim[:80]!r}: "
            f"answers or references have changed since. Run once without replaying to add them"
        )


def replay_judgements(file: str | Path, *, judge: str | None = None, video_judge: str | None = None) -> JudgementCache:
    """Return a cache that uses the judgements of a file only.

    Where the file has judgements of several judges, name one by the beginning of its name: else raises InputError.
    """
    lines = read_judgements(file)
    text = _select_judge([line for line in lines if not _is_video(line)], judge, "--judge", file)
    video = _select_judge([line for line in lines if _is_video(line)], video_judge, "--video-judge", file)
    return JudgementCache(text or ReplayJudge("any text judge", "", str(file)), video, file=file)


def read_judgements(file: str | Path) -> list[CachedJudgement]:
    """Read a file of judgements. Raises InputError, with the line's number, for an invalid line."""
    return [validate(CachedJudgement, row.value, row.place) for row in read_json_lines(file, "a judgement")]


def cache_key(judge: Judge, check: Check) -> str:
    """Return the SHA-256 of the judge's name, its version and the whole check."""
    return hashlib.sha256(json.dumps([judge.name, judge.version, *check]).encode()).hexdigest()


def _is_video(one: Check | CachedJudgement) -> bool:
    return one.kind == "video"


def _select_judge(lines: Iterable[CachedJudgement], prefix: str | None, option: str, file: str | Path) -> ReplayJudge | None:
    judges = {f"{line.judge} {line.version}": ReplayJudge(line.judge, line.version, str(file)) for line in lines}
    matching = [name for name in judges if name.startswith(prefix or "")]
    if len(matching) > 1 or (prefix and not matching):
        known = ", ".join(map(repr, sorted(judges))) or "no judge"
        raise InputError(f"{file}: which judge is to be replayed? It has judgements of {known}: name one with {option}")
    return judges[matching[0]] if matching else None
