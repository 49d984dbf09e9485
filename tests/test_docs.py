"""The README and the documentation: snippets run, commands exist, links resolve, examples print what they promise."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import typer.main
from llama_index.core import Settings as LlamaIndexSettings
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode
from support.world import World
from typer.core import TyperGroup

from rankvideo_rag.cli import app
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WITH_PYTHON = [ROOT / "README.md", ROOT / "docs/guides/llamaindex.md"]


def snippet(page: Path, marker: str) -> str:
    """The Python block of a page that contains `marker`."""
    (found,) = [block for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL) if marker in block]
    return str(found)


def shell_commands(page: Path) -> list[list[str]]:
    """The `rankvideo` commands in a page's shell blocks, split into words."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("rankvideo ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_page_exists_with_its_options(page: Path) -> None:
    for words in shell_commands(page):
        command = typer.main.get_command(app)
        arguments = words[1:]
        while isinstance(command, TyperGroup) and arguments and not arguments[0].startswith("-"):
            assert arguments[0] in command.commands, f"{page.name}: {' '.join(words)}"
            command = command.commands[arguments.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
        assert used <= known | {"--help"}, f"{page.name}: {' '.join(words)}: unknown {used - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_and_the_architecture_stay_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 9_000
    assert (ROOT / "ARCHITECTURE.md").stat().st_size <= 12_000


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_snippet_that_asks_an_archive_prints_the_answer(
    page: Path, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = next(clip for clip in world.clips if clip.narration)
    code = snippet(page, "as_query_engine()").replace("Where is the clean room with the telescope?", clip.narration[0].text)
    monkeypatch.chdir(world.archive.parent)
    exec(code, {})
    printed = capsys.readouterr().out
    assert clip.narration[0].text in printed
    assert f"{clip.stem}.mp4" in printed


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
async def test_the_snippet_that_reranks_an_index_runs_sync_and_async(
    page: Path, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(LlamaIndexSettings, "_llm", MockLLM())
    nodes = [TextNode(text=c.stem, metadata={"file_path": str(world.videos / f"{c.stem}.mp4")}) for c in world.clips[:6]]
    names: dict[str, Any] = {"index": VectorStoreIndex(nodes, embed_model=MockEmbedding(8))}
    # The published weights are not available to tests: a tiny model of the same architecture replaces them.
    code = snippet(page, '"hltcoe/RankVideo"').replace("hltcoe/RankVideo", str(tiny_qwen3_vl(tmp_path / "tiny")))
    exec(code, names)
    response = names["engine"].query("a red circle")
    scores = [hit.score for hit in response.source_nodes]
    assert len(scores) == 5
    assert all(type(score) is float for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert all(hit.node.metadata["rerank_status"] == "ok" for hit in response.source_nodes)
    again = await names["engine"].aquery("a red circle")
    assert [hit.node_id for hit in again.source_nodes] == [hit.node_id for hit in response.source_nodes]


def test_the_snippet_that_makes_clips_in_a_pipeline_runs(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shutil.copy(world.videos / f"{world.clips[0].stem}.mp4", tmp_path / "harbour.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    code = snippet(ROOT / "docs/guides/llamaindex.md", "VideoClips")
    assert '{"profile": "cpu"}' in code  # its models would be downloaded
    exec(code.replace('{"profile": "cpu"}', '{"embedder": "scripted", "ocr": "none"}'), names)
    (node,) = names["nodes"]
    assert len(node.embedding) == len(names["clips"].embed_query("a red circle"))


def test_the_snippet_that_indexes_a_folder_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(world.videos / f"{world.clips[0].stem}.mp4", tmp_path / "videos")
    monkeypatch.chdir(tmp_path)
    exec(snippet(ROOT / "docs/guides/llamaindex.md", "import index"), {})
    assert capsys.readouterr().out == "1 videos indexed\n"


def test_the_command_that_reranks_many_pairs_runs_as_printed(world: World, tmp_path: Path) -> None:
    (words,) = [words for words in shell_commands(ROOT / "README.md") if words[1] == "rerank"]
    stems = [clip.stem for clip in world.clips[:2]]
    (tmp_path / "queries.tsv").write_text("q1\ta red circle\n")
    (tmp_path / "first.json").write_text(json.dumps({"q1": dict.fromkeys(stems, 1.0)}))
    (tmp_path / "videos").symlink_to(world.videos)
    assert words[-2:] == ["--model", "hltcoe/RankVideo"]
    arguments = [*words[1:-1], str(tiny_qwen3_vl(tmp_path / "tiny"))]
    run = [sys.executable, "-m", "rankvideo_rag", *arguments]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for stem in stems:
        score = json.loads((tmp_path / "scores" / f"{stem}_reranking_tiny.json").read_text())[stem]["q1"]
        assert score["logit_delta"] == pytest.approx(score["logprob_yes"] - score["logprob_no"])


@pytest.mark.parametrize(
    ("example", "printed"),
    [
        ("agent_tools.py", "strikes thirteen at midnight"),
        ("ask_archive.py", "8 of 8 videos indexed"),
        ("benchmark_your_corpus.py", "nDCG@10"),
        ("calibrate_answers.py", "questions judged"),
        ("rerank_your_index.py", "<- shows it"),
        ("your_own_pipeline.py", "clip-"),
    ],
)
def test_every_example_prints_what_it_promises(example: str, printed: str) -> None:
    run = [sys.executable, str(ROOT / "examples" / example)]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


def test_every_example_is_tested() -> None:
    (mark,) = test_every_example_prints_what_it_promises.pytestmark  # type: ignore[attr-defined]
    assert sorted(name for name, _ in mark.args[1]) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def test_the_wheel_owns_one_name_and_ships_every_part(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"rankvideo_rag"}
    for part in ("indexing/build.py", "agents/tools.py", "eval/measures.py", "server/page.html", "py.typed"):
        assert f"rankvideo_rag/{part}" in names
