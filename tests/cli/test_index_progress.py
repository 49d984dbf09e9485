"""The stages that `rankvideo index` shows while it runs: times, rates and remaining time."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from rankvideo_rag.cli.index_progress import StageClock, StageRate, stages_table
from rankvideo_rag.indexing.build import IndexEvent
from rankvideo_rag.schema import FileOutcome


def done(name: str) -> IndexEvent:
    return IndexEvent(Path(name), None, FileOutcome(path=name, outcome="ok"))


def rates_after(total: int, *events: tuple[float, IndexEvent]) -> list[StageRate]:
    """Rates after these events, each at its second."""
    now = 0.0
    clock = StageClock(total, lambda: now)
    for now, event in events:  # noqa: B007 (the clock reads it)
        clock.record(event)
    return list(clock.rates())


def test_a_stage_lasts_until_the_next_one_begins() -> None:
    one, two = Path("one.mp4"), Path("two.mp4")
    rates = rates_after(
        10,
        (100, IndexEvent(one, "probe")),
        (101, IndexEvent(one, "frames")),
        (103, IndexEvent(one, "vectors")),
        (104, IndexEvent(one, "frames")),
        (106, IndexEvent(one, "vectors")),
        (107, done("one.mp4")),
        (150, IndexEvent(two, "probe")),
        (153, done("two.mp4")),
    )
    assert rates == [StageRate("probe", 2, 4, 16), StageRate("frames", 1, 4, 16), StageRate("vectors", 1, 2, 8)]
    assert [rate.rate for rate in rates] == [0.5, 0.25, 0.5]


def test_unchanged_files_shorten_the_remaining_time() -> None:
    slow = [(0.0, IndexEvent(Path("one"), "speech")), (30.0, done("one"))]
    unchanged = [(30.0, done(f"old{number}")) for number in range(5)]
    (rate,) = rates_after(12, *slow, *unchanged)
    assert (rate.seconds, rate.left) == (30, 30)  # six files took 30 s, six are to come


def test_the_remaining_time_is_unknown_before_a_file_is_done() -> None:
    (rate,) = rates_after(3, (1, IndexEvent(Path("one"), "hash")))
    assert (rate.files, rate.seconds, rate.rate) == (1, 0, 0)
    assert rate.left == float("inf")


@pytest.mark.parametrize(("left", "words"), [(float("inf"), "-"), (75.4, "0:01:15")])
def test_the_table_shows_the_remaining_time(left: float, words: str) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stages_table([StageRate("speech", 4, 8.0, left)]))
    assert console.export_text().split()[-5:] == ["speech", "4", "0:00:08", "0.50", words]
