"""The command that compares two backends."""

import json
from pathlib import Path

import pytest
from support.fake_server import serving
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag.cli import app


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["eval", "compare-backends", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_recording_agrees_with_its_backend(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    models = ("--model", "-", "--model", f"{file}=scripted")
    code, printed = run("--backend", "scripted", "--backend", "recorded", *models, "--pairs", 12)
    assert code == 0
    assert "They agree." in printed
    assert "scripted:patterns" in printed
    code, printed = run(
        "--backend", "scripted", "--backend", "recorded", "--model", "-", "--model", file, "--pairs", 12, "--json"
    )
    found = json.loads(printed)
    assert code == 0
    assert (found["agree"], found["largest"], len(found["pairs"])) == (True, 0.0, 12)
    assert found["second_name"] == "recorded:scripted:patterns@1"


def test_different_margins_end_with_exit_code_1(tmp_path: Path) -> None:
    with serving() as server:  # it knows nothing of pixels: every margin is 0
        models = ("--model", "-", "--model", server.address)
        code, printed = run("--backend", "scripted", "--backend", "server", *models, "--pairs", 4, "--json")
    found = json.loads(printed)
    assert code == 1
    assert not found["agree"]
    assert found["largest"] >= 2.0


def test_own_videos_and_questions_are_used(tmp_path: Path, world: World) -> None:
    questions = tmp_path / "questions.tsv"
    questions.write_text("1\ta red circle\n2\tsomething moving left\n")
    own = ("--videos", world.videos, "--questions", questions)
    code, printed = run("--backend", "scripted", "--backend", "scripted", *own, "--pairs", 6, "--json")
    assert code == 0
    assert len(json.loads(printed)["pairs"]) == 6


@pytest.mark.parametrize("arguments", [("--backend", "scripted"), ("--backend", "scripted") * 3])
def test_two_backends_are_needed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="two backends to compare"):
        run(*arguments)
