"""What the README says is true: its snippets run, its examples print what they promise."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from llama_index.core import Settings as LlamaIndexSettings
from llama_index.core import VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.schema import TextNode
from support.world import World

from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ASKING, INDEXING, RERANKING = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_snippet_that_asks_an_archive_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world.archive.parent)
    exec(ASKING, {})  # the text of the README, nothing else
    assert "The archive does not answer this." in capsys.readouterr().out


def test_the_snippet_that_makes_clips_in_somebody_elses_pipeline_runs(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copy(world.videos / f"{world.clips[0].stem}.mp4", tmp_path / "harbour.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    assert '{"profile": "cpu"}' in INDEXING  # its models would be downloaded
    exec(INDEXING.replace('{"profile": "cpu"}', '{"embedder": "scripted", "ocr": "none"}'), names)
    (node,) = names["nodes"]
    assert len(node.embedding) == len(names["clips"].embed_query("a red circle"))


async def test_the_snippet_that_reranks_somebody_elses_index_runs_sync_and_async(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(LlamaIndexSettings, "_llm", MockLLM())  # whoever pastes it has set theirs
    nodes = [TextNode(text=c.stem, metadata={"file_path": str(world.videos / f"{c.stem}.mp4")}) for c in world.clips[:6]]
    names = {"index": VectorStoreIndex(nodes, embed_model=MockEmbedding(8))}
    # The published weights cannot be had here: a tiny model of the same architecture takes their place, nothing else changes.
    assert '"hltcoe/RankVideo"' in RERANKING
    exec(RERANKING.replace("hltcoe/RankVideo", str(tiny_qwen3_vl(tmp_path / "tiny"))), names)
    engine = names["engine"]
    response = engine.query("a red circle")  # type: ignore[attr-defined]
    scores = [hit.score for hit in response.source_nodes]
    assert len(scores) == 5
    assert all(type(score) is float for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert all(hit.node.metadata["rerank_status"] == "ok" for hit in response.source_nodes)
    again = await engine.aquery("a red circle")  # type: ignore[attr-defined]
    assert [hit.node_id for hit in again.source_nodes] == [hit.node_id for hit in response.source_nodes]


def test_the_command_that_reranks_in_bulk_runs_as_printed(world: World, tmp_path: Path) -> None:
    (command,) = re.findall(r"^rankvideo (rerank (?:.*\\\n)*.*)", README, re.MULTILINE)
    arguments = command.replace("\\\n", " ").split()
    stems = [clip.stem for clip in world.clips[:2]]
    (tmp_path / "queries.tsv").write_text("q1\ta red circle\n")
    (tmp_path / "first.json").write_text(json.dumps({"q1": dict.fromkeys(stems, 1.0)}))
    (tmp_path / "videos").symlink_to(world.videos)
    assert arguments[-2:] == ["--model", "hltcoe/RankVideo"]
    arguments[-1] = str(tiny_qwen3_vl(tmp_path / "tiny"))
    run = [sys.executable, "-c", "from rankvideo_rag.cli import main; main()", *arguments]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for stem in stems:
        verdict = json.loads((tmp_path / "verdicts" / f"{stem}_reranking_tiny.json").read_text())[stem]["q1"]
        assert verdict["logit_delta"] == pytest.approx(verdict["logprob_yes"] - verdict["logprob_no"])


@pytest.mark.parametrize("example", sorted(path.name for path in (ROOT / "examples").glob("*.py")))
def test_every_example_runs_as_printed(example: str) -> None:
    done = subprocess.run([sys.executable, str(ROOT / "examples" / example)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_wheel_owns_one_name_only_and_ships_every_part(tmp_path: Path) -> None:
    built = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(built, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"rankvideo_rag"}
    for part in ("indexing/build.py", "agents/tools.py", "eval/measures.py", "server/page.html", "py.typed"):
        assert f"rankvideo_rag/{part}" in names
