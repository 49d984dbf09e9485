"""The command line as a stranger meets it: real processes, exit codes, JSON contracts, messages that say what to do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commands import COMMAND, start
from support.world import World

from rankvideo_rag.synthetic import render_archive


def rankvideo(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=120
    )


def test_search_prints_the_json_that_scripts_rely_on(world: World) -> None:
    clip = next(c for c in world.clips if c.narration)
    found = json.loads(rankvideo("search", world.archive, clip.narration[0].text, "--json").stdout)
    told = {"rank", "video_id", "path", "title", "start", "end", "score", "channels", "text", "duplicate_of"} | {
        "scores",
        "evidence",
        "unscored",
    }
    assert set(found[0]) == told
    assert found[0]["rank"] == 1
    assert Path(found[0]["path"]).stem == clip.stem
    assert found[0]["channels"] == {"speech": 1, "speech_meaning": 1}
    assert clip.narration[0].text in found[0]["text"]


def test_ask_prints_the_json_that_scripts_rely_on(world: World) -> None:
    clip = next(c for c in world.clips if c.narration)
    done = rankvideo("ask", world.archive, clip.narration[0].text, "--json")
    answer = json.loads(done.stdout)
    told = {
        "question",
        "answered",
        "answer",
        "reason",
        "llm_status",
        "claims",
        "citations",
        "removed_citations",
        "removed_claims",
        "prompt",
    }
    assert set(answer) == told | {"clips"}
    assert set(answer["citations"][0]) == {"video_id", "path", "start", "end", "quote"}
    assert answer["citations"][0]["quote"] == clip.narration[0].text
    assert answer["removed_citations"] == []
    assert "not reranked (abstained: the scripted model" in done.stderr
    assert done.returncode == 0


def test_ask_with_an_llm_of_the_users_own(world: World, tmp_path: Path) -> None:
    clip = next(c for c in world.clips if c.narration)
    said = clip.narration[0].text.rstrip(".")
    (tmp_path / "my_llm.py").write_text(
        "from llama_index.core.llms import CustomLLM, CompletionResponse, LLMMetadata\n"
        "class Mine(CustomLLM):\n"
        "    @property\n"
        "    def metadata(self): return LLMMetadata()\n"
        "    def complete(self, prompt, formatted=False, **k): return CompletionResponse(text='"
        f"{said} [1]. Not so [99].')\n"
        "    def stream_complete(self, prompt, formatted=False, **k): raise NotImplementedError\n"
        "def load(): return Mine()\n"
    )
    command = [sys.executable, "-c", "import sys; sys.path.insert(0, '.'); from rankvideo_rag.cli import main; main()"]
    asked = [*command, "ask", str(world.archive), clip.narration[0].text, "--llm", "my_llm:load", "--json"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert answer["answer"].startswith(f"{said} [{clip.stem} @ 00:00].")
    assert answer["removed_citations"] == [{"marker": "[99]", "reason": "no clip 99 was shown"}]


def test_index_prints_the_json_that_scripts_rely_on_and_says_3_for_a_bad_input(world: World, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy2(world.videos / "clip-01.mp4", tmp_path / "in")
    (tmp_path / "in" / "bad.mp4").write_text("no video")
    for unchanged in (0, 2):
        done = rankvideo("index", tmp_path / "in", "--output", tmp_path / "archive", "--ocr", "none", "--json")
        report = json.loads(done.stdout)
        assert {name: report[name] for name in ("ok", "partial", "skipped", "failed")} == {
            "ok": 1,
            "partial": 0,
            "skipped": 1,
            "failed": 0,
        }
        assert [set(video) for video in report["videos"]] == [{"path", "outcome", "reason", "clips"}] * 2
        assert report["unchanged"] == unchanged
        assert set(report["work"]) == {"decodes", "embeddings", "texts"}
        assert any(report["work"].values()) == (unchanged == 0)
        assert done.returncode == 3


def test_index_prints_a_table_and_each_reason_for_people(world: World, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.mp4").write_text("no video")
    done = rankvideo("index", tmp_path / "in", "--output", tmp_path / "archive", "--ocr", "none")
    assert "not_media" in done.stdout
    assert "bad.mp4" in done.stdout
    assert "speech is taken from subtitles only: --asr whisper --asr-model base recognizes it" in done.stderr


def test_names_that_are_no_text_survive_and_cannot_play_tricks_on_the_terminal(world: World, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    data = (world.videos / "clip-01.mp4").read_bytes()
    names = [b"caf\xe9.mp4", "two\nlines \u202e.mp4".encode(), b"[bold]x.mp4"]
    for i, name in enumerate(names):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(data + bytes(i))  # bytes after the end change only the content hash
    (tmp_path / "in" / os.fsdecode(b"bad\xff[bold].mp4")).write_text("no video")
    (tmp_path / "in" / "loose.mp4").symlink_to(tmp_path / "nowhere")
    for _ in range(2):
        done = rankvideo("index", tmp_path / "in", "--output", tmp_path / "archive", "--ocr", "none", "--json")
        outcomes = {os.fsencode(video["path"]).rpartition(b"/")[2]: video for video in json.loads(done.stdout)["videos"]}
        assert [outcomes[name]["outcome"] for name in names] == ["ok"] * 3
        assert outcomes[b"bad\xff[bold].mp4"]["reason"].startswith("not_media: ")
        assert outcomes[b"loose.mp4"]["reason"].startswith("broken_link: ")
    told = rankvideo("index", tmp_path / "in", "--output", tmp_path / "archive", "--ocr", "none").stdout
    assert "bad\\udcff[bold].mp4" in told
    question = f"something {world.clips[0].shots[0][0].colour}"
    listed = rankvideo("search", tmp_path / "archive", question).stdout
    assert "two lines" in listed
    assert "\u202e" not in told + listed
    hits = json.loads(rankvideo("search", tmp_path / "archive", question, "--json").stdout)
    assert {os.fsencode(hit["path"]).rpartition(b"/")[2] for hit in hits} == set(names)


def test_ctrl_c_stops_at_once_and_the_same_command_goes_on(world: World, tmp_path: Path) -> None:
    render_archive(tmp_path / "in", clips=30, seed=5)
    arguments = ["index", str(tmp_path / "in"), "--output", str(tmp_path / "archive"), "--ocr", "none", "--json"]
    running = start(*arguments)
    database = tmp_path / "archive" / "archive.db-wal"
    while not (database.exists() and database.stat().st_size > 100_000):
        time.sleep(0.01)
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    _, complaint = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Run the same command again to continue." in complaint
    assert "Traceback" not in complaint
    report = json.loads(rankvideo(*arguments).stdout)
    assert report["ok"] == 30
    assert 0 < report["unchanged"] < 30
    assert report["work"]["embeddings"] == 30 - report["unchanged"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["index", "missing", "--output", "a"], 2, "there is no missing: give a folder of videos"),
        (["index", ".", "--output", "a"], 2, "no video or audio file under ."),
        (["index", ".", "--output", "a", "--profile", "huge"], 2, "unknown profile 'huge': choose one of tiny, cpu, gpu"),
        (["index", ".", "--output", "a", "--asr-model", "base", "--asr", "none"], 2, "contradict each other"),
        (["ask", "missing", "why?"], 1, "no archive at missing. Make one with: rankvideo index FOLDER --output missing"),
        (["ask", "{archive}", "  "], 2, "the question is empty"),
        (["ask", "{archive}", "x", "--llm", "gpt"], 2, "package.module:function"),
        (["ask", "{archive}", "x", "--reranker", "magic"], 2, "no backend 'magic' in rankvideo_rag.models.vlm"),
        (["search", "{archive}", "something red", "--reranker", "transformers", "--reranker-model", "./none"], 2, "./none"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_use_gets_one_message_that_says_what_to_do(
    world: World, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = rankvideo(*(a.format(archive=world.archive) for a in arguments), cwd=tmp_path)
    assert done.returncode == code
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_archive_is_not_asked_with_another_profile(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKVIDEO_EMBEDDER")
    done = rankvideo("ask", world.archive, "x", "--profile", "gpu")
    assert done.returncode == 1
    assert "was made with the embedder scripted:built-in" in " ".join(done.stderr.split())


def test_help_lists_every_command() -> None:
    done = rankvideo("--help")
    commands = ("index", "update", "remove", "search", "ask", "info", "gc", "serve", "doctor", "demo")
    for command in commands:
        assert command in done.stdout


def test_info_tells_what_an_archive_holds_and_how_it_was_made(world: World) -> None:
    facts = json.loads(rankvideo("info", world.archive, "--json").stdout)
    assert (facts["videos"], facts["clips"], facts["vectors"], facts["profile"]) == (*[len(world.clips)] * 3, "tiny")
    assert facts["spans_speech"] == sum(len(clip.narration) for clip in world.clips)
    assert facts["embedder"].startswith("scripted:built-in")


def test_doctor_names_packages_ffmpeg_downloads_and_remedies() -> None:
    checkup = json.loads(rankvideo("doctor", "--json").stdout)
    packages = {package["name"]: package for package in checkup["packages"]}
    assert packages["vllm"]["version"] or packages["vllm"]["hint"] == "pip install 'rankvideo-rag[vllm]'"
    assert packages["av"]["version"]
    (av,) = [library for library in checkup["media"] if library["package"].startswith("av ")]
    assert av["ffmpeg"].startswith("FFmpeg ")
    assert av["warning"] is None
    profiles = {profile["name"]: profile for profile in checkup["profiles"]}
    assert profiles["tiny"]["missing"] == []
    assert all(model["cached"] for model in profiles["tiny"]["models"])  # they ship
    assert {model["name"] for model in profiles["gpu"]["models"]} >= {"hltcoe/RankVideo", "large-v3"}
    assert all(model["gigabytes"] > 0 for profile in profiles.values() for model in profile["models"])
