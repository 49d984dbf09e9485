"""Write report.jsonl in the archive's folder: one line per path of the last run, in listing order.

Lines are ASCII: control characters, and bytes of paths that are not UTF-8, are escaped (`\\u202e`, `\\udcff`), so that a JSON
reader and `os.fsencode` restore the path. There is no report while a run is in progress.
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
from rankvideo_rag.storage.database import convert_errors

REPORT = "report.jsonl"
_NOT_REACHED = "not_reached: the run ended before this file was processed; run the same command again to continue"

logger = logging.getLogger(__name__)


class RunReport:
    """Records the events of a run and writes the report when it ends or is stopped.

    A path that was processed twice has one line, with its last outcome.
    """

    def __init__(self, folder: Path, paths: Sequence[Path]) -> None:
        self._file = folder / REPORT
        self._lines: dict[str, bytes | None] = dict.fromkeys(map(str, paths))
        self._last_event = time.monotonic()
        self._started = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, ArchiveLocked):
            return  # the report belongs to the process that writes the archive
        try:
            replace_file(self._file, b"".join(line or _not_reached(path) for path, line in self._lines.items()))
        except OSError as failure:  # the archive holds the same outcomes, and a full disk has been reported already
            logger.warning("%s was not written: %s", self._file, failure.strerror)

    def recording(self, on_event: Callable[[IndexEvent], None]) -> Callable[[IndexEvent], None]:
        """Return a callback that records finished files and passes all events on."""

        def record(event: IndexEvent) -> None:
            self._start()
            if event.done:
                self._record(event.done, event.seconds)
            on_event(event)

        return record

    def _start(self) -> None:
        """Delete the previous report, once the first event shows that this run holds the writer's lock."""
        if not self._started:
            self._started = True
            for left in (self._file, *self._file.parent.glob(f".{REPORT}.*")):
                with convert_errors(self._file.parent):
                    left.unlink(missing_ok=True)

    def _record(self, done: FileOutcome, seconds: float | None) -> None:
        now = time.monotonic()
        before = self._lines.get(done.path)
        seconds = (now - self._last_event if seconds is None else seconds) + (json.loads(before)["seconds"] if before else 0.0)
        self._last_event = now
        self._lines[done.path] = _line(done, round(seconds, 3))


def _line(file: FileOutcome, seconds: float) -> bytes:
    """Return one line: path, outcome, code, reason, video_id, clips and processing seconds."""
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
