"""What `rankvideo index` shows of its stages while it runs: times, rates and what is left, by hand."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from rankvideo_rag.cli.index import stages_table
from rankvideo_rag.cli.throughput import Pace, Stages
from rankvideo_rag.indexing.build import IndexEvent
from rankvideo_rag.schema import FileOutcome


def done(name: str) -> IndexEvent:
    return IndexEvent(Path(name), None, FileOutcome(path=name, outcome="ok"))


def heard(total: int, *events: tuple[float, IndexEvent]) -> list[Pace]:
    """The paces after these events, each at its second."""
    now = 0.0
    stages = Stages(total, lambda: now)
    for now, event in events:  # noqa: B007 (the clock reads it)
        stages.hear(event)
    return list(stages.paces())


def test_each_stage_has_the_time_until_the_next_one_and_a_share_of_what_is_left() -> None:
    one, two = Path("one.mp4"), Path("two.mp4")
    paces = heard(
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
    assert paces == [Pace("probe", 2, 4, 16), Pace("frames", 1, 4, 16), Pace("vectors", 1, 2, 8)]
    assert [pace.rate for pace in paces] == [0.5, 0.25, 0.5]


def test_unchanged_files_make_what_is_left_shorter() -> None:
    slow = [(0.0, IndexEvent(Path("one"), "speech")), (30.0, done("one"))]
    unchanged = [(30.0, done(f"old{number}")) for number in range(5)]
    (pace,) = heard(12, *slow, *unchanged)
    assert (pace.seconds, pace.left) == (30, 30)  # six files took 30 s, six are to come


def test_before_a_file_is_done_nobody_knows_how_long_it_will_take() -> None:
    (pace,) = heard(3, (1, IndexEvent(Path("one"), "hash")))
    assert (pace.files, pace.seconds, pace.rate) == (1, 0, 0)
    assert pace.left == float("inf")


@pytest.mark.parametrize(("left", "words"), [(float("inf"), "-"), (75.4, "0:01:15")])
def test_the_table_tells_them(left: float, words: str) -> None:
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(stages_table([Pace("speech", 4, 8.0, left)]))
    assert console.export_text().split()[-5:] == ["speech", "4", "0:00:08", "0.50", words]
