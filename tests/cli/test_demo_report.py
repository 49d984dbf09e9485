"""rankvideo demo report: answers about the little world measured with reranking and without, in one command."""

import json
from pathlib import Path

from typer.testing import CliRunner

from rankvideo_rag.cli import app
from rankvideo_rag.cli.demo_report import unanswerable
from rankvideo_rag.eval.report.records import ArchiveReport
from rankvideo_rag.synthetic import plan_clips
from rankvideo_rag.synthetic.scenes import Attributes


def matches(asked: Attributes, shown: Attributes) -> bool:
    return all(value in (None, told) for value, told in zip(asked, shown, strict=True))


def test_nothing_in_the_world_shows_what_its_unanswerable_questions_ask_for() -> None:
    world = plan_clips(45, seed=0)
    absent = unanswerable(world, most=12, seed=0)
    assert len(absent) == 12
    for one in absent:
        assert one.query is not None
        assert (one.judgements, one.claims) == ({}, ())
        grounded = [clip.scene for clip in world if one.query.background in (None, clip.scene.background)]
        if one.kind == "one":
            (look,) = one.query.shapes
            assert not any(matches(look, shown) for scene in grounded for shown in scene.shapes), one.text


def test_one_command_renders_asks_and_measures_with_an_interval_and_abstention(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["demo", "report", "--output", str(tmp_path), "--clips", "10", "--json"], catch_exceptions=False
    )
    found = ArchiveReport.model_validate(json.loads(result.stdout))
    assert found.benefit.low <= found.benefit.mean <= found.benefit.high
    names = {one.name: one for one in found.measures}
    for measure in ("CitationRecall", "CitationPrecision", "TimeP@hit", "AbstainR"):
        assert all(one.mean is not None for one in names[measure].estimates.values()), measure
    assert (tmp_path / "report" / "report.html").exists()
    assert any(not one.answerable for one in found.questions)
    for counts in found.counts.values():
        assert counts.verified_quotes == counts.quotes > 0
