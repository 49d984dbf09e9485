"""report.jsonl in the archive's folder: one line for each path of the last run, in the order of their listing.

Each line is ASCII: a character that no terminal should get, and a byte of a path that is no UTF-8, is an escape (`\\u202e`,
`\\udcff`) from which a JSON reader and `os.fsencode` give the path back. While a run goes on there is no report.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rankvideo_rag.errors import ArchiveLocked
from rankvideo_rag.files import replace_file
from rankvideo_rag.indexing.build import IndexEvent
from rankvideo_rag.schema import FileOutcome
from rankvideo_rag.storage.storage_errors import convert_errors

REPORT = "report.jsonl"
_NOT_REACHED = "not_reached: the run ended before this file's turn; the same command goes on"

logger = logging.getLogger(__name__)


class RunReport:
    """Hears the events of a run and writes the report at its end, also of a run that was stopped.

    A path that a run came to twice has one line, with what became of it last.
    """

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self._file = folder / REPORT
        self._lines: dict[str, bytes | None] = dict.fromkeys(map(str, paths))
        self._since = time.monotonic()
        self._begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, ArchiveLocked):
            return  # the report is that of whoever writes the archive
        try:
            replace_file(self._file, b"".join(line or _not_reached(path) for path, line in self._lines.items()))
        except OSError as failure:  # the archive holds the same outcomes, and a full disk has been said already
            logger.warning("%s was not written: %s", self._file, failure.strerror)

    def recording(self, on_event: Callable[[IndexEvent], None]) -> Callable[[IndexEvent], None]:
        """A listener that notes what is done and passes everything on."""

        def hear(event: IndexEvent) -> None:
            self._begin()
            if event.done:
                self._note(event.done, event.seconds)
            on_event(event)

        return hear

    def _begin(self) -> None:
        """What the last run left, a killed one too, goes once this one holds the archive: it is heard of only then."""
        if not self._begun:
            self._begun = True
            for left in (self._file, *self._file.parent.glob(f".{REPORT}.*")):
                with convert_errors(self._file.parent):
                    left.unlink(missing_ok=True)

    def _note(self, done: FileOutcome, took: float | None) -> None:
        now = time.monotonic()
        before = self._lines.get(done.path)
        seconds = (now - self._since if took is None else took) + (json.loads(before)["seconds"] if before else 0.0)
        self._since = now
        self._lines[done.path] = _line(done, round(seconds, 3))


def _line(file: FileOutcome, seconds: float) -> bytes:
    """path, outcome, code, reason, video_id, clips and seconds, which the path took."""
    facts = {
        "path": file.path,
        "outcome": file.outcome,
        "code": file.reason.partition(":")[0] if file.reason else None,
        "reason": file.reason,
        "video_id": file.video_id,
        "clips": file.clips,
        "seconds": seconds,
    }
    return json.dumps(facts).encode("ascii") + b"\n"


def _not_reached(path: str) -> bytes:
    return _line(FileOutcome(path=path, outcome="failed", reason=_NOT_REACHED), 0.0)
