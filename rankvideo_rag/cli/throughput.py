"""How fast each stage of indexing goes, and how long it will take: reckoned from the files that are done. Draws nothing.

The time of a stage is the time for which the run is in it. What is read ahead meanwhile is not counted: a stage that need not
wait for it is quick.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rankvideo_rag.indexing.build import IndexEvent


class Pace(NamedTuple):
    """One stage so far."""

    stage: str
    files: int  # that went through it
    seconds: float
    left: float  # seconds that the files to come will be in it, if they are as those before

    @property
    def rate(self) -> float:
        """Files for each second in the stage."""
        return self.files / self.seconds if self.seconds else 0.0


class Stages:
    """Hears the events of a run over `total` files."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self._total, self._clock = total, clock
        self._done = 0
        self._seconds: dict[str, float] = {}
        self._files: dict[str, int] = {}
        self._last: dict[str, object] = {}  # the file that was last in each stage: some are entered again and again
        self._now: tuple[str, float] | None = None

    def hear(self, event: "IndexEvent") -> None:
        """Note what has begun or is done."""
        now = self._clock()
        if self._now:
            stage, since = self._now
            self._seconds[stage] += now - since
        self._now = None
        if event.done:
            self._done += 1
        elif event.stage:
            self._now = event.stage, now
            self._files[event.stage] = self._files.get(event.stage, 0) + (self._last.get(event.stage) != event.path)
            self._seconds.setdefault(event.stage, 0.0)
            self._last[event.stage] = event.path

    def paces(self) -> Iterator[Pace]:
        """The stages that were met, in the order in which they were."""
        for stage, seconds in list(self._seconds.items()):  # it is drawn while events come in
            left = seconds / self._done * (self._total - self._done) if self._done else float("inf")
            yield Pace(stage, self._files[stage], seconds, left)
