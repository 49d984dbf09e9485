"""Descriptions of clips by a vision-language model: generated once, searchable, kept while their clip is."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag import VideoArchive
from rankvideo_rag.cli import app
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.indexing.describe import DescribeOptions, describe
from rankvideo_rag.indexing.run import index
from rankvideo_rag.indexing.update import update
from rankvideo_rag.models.vlm import Generation, Prompt
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM

SETTINGS = Settings.load(embedder="scripted", ocr="none", clip_seconds=4.0)
TWO_AT_ONCE = DescribeOptions(batch_size=2)


class CountingVLM(ScriptedVLM):
    """A scripted model that counts the prompts it answers."""

    def __init__(self, name: str = "counting:1") -> None:
        self.name = name
        self.prompts = 0

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        self.prompts += len(prompts)
        return super().generate(prompts, max_tokens=max_tokens)


class InterruptedVLM(CountingVLM):
    """Is interrupted in its second batch."""

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        if self.prompts:
            raise KeyboardInterrupt
        return super().generate(prompts, max_tokens=max_tokens)


class SilentVLM(ScriptedVLM):
    """Fails on one clip and writes nothing about all others."""

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        if len(prompts) > 1:
            raise ModelError("one prompt at a time")
        return [Generation("<think>a red disc</think> ", 5) for _ in prompts]


@pytest.fixture
def videos(world: World, tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    for number, clip in enumerate(world.clips[:3]):
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder / f"{number}.mp4")
    return folder


@pytest.fixture
def archive(videos: Path, tmp_path: Path) -> Path:
    index([videos], tmp_path / "archive", SETTINGS)
    return tmp_path / "archive"


def descriptions(archive: Path) -> dict[str, list[TextSpan]]:
    with closing(Store.open(archive)) as store:
        found = {Path(video.path).name: store.spans(video_id) for video_id, video in store.videos().items()}
    return {name: [span for span in spans if span.channel == "description"] for name, spans in found.items()}


def count_clips(archive: Path) -> int:
    with closing(Store.open(archive)) as store:
        return store.clip_count()


def test_every_clip_is_described_with_the_model_recorded(archive: Path) -> None:
    seen: list[int] = []
    report = describe(archive, CountingVLM(), TWO_AT_ONCE, progress=seen.append)
    clips = count_clips(archive)
    assert clips > 3
    assert (report.described, report.unchanged, report.failed, report.model) == (clips, 0, (), "counting:1")
    assert (max(seen), sum(seen)) == (2, clips)
    with closing(Store.open(archive)) as store:
        for video_id in store.videos():
            spans = [span for span in store.spans(video_id) if span.channel == "description"]
            assert [(span.start, span.end) for span in spans] == [(clip.start, clip.end) for clip in store.clips_of(video_id)]
            assert {span.source for span in spans} == {"counting:1"}


def test_descriptions_are_searched_as_a_channel_and_shown_with_the_clip(archive: Path) -> None:
    describe(archive, CountingVLM())
    word = descriptions(archive)["0.mp4"][0].text.split()[1]
    with VideoArchive.open(archive) as opened:
        found = opened.as_retriever().retrieve(word)
        first = next(node for node in found if node.metadata.get("rank_description") == 1)
        assert word in first.get_content()


def test_committed_clips_are_not_described_again_after_an_interruption(archive: Path) -> None:
    interrupted, second, third = InterruptedVLM(), CountingVLM(), CountingVLM()
    with pytest.raises(KeyboardInterrupt):
        describe(archive, interrupted, TWO_AT_ONCE)
    assert interrupted.prompts == 2
    assert sum(len(spans) for spans in descriptions(archive).values()) == 2
    report = describe(archive, second, TWO_AT_ONCE)
    assert (second.prompts, report.unchanged) == (count_clips(archive) - 2, 2)
    describe(archive, third)
    assert third.prompts == 0


def test_a_killed_run_keeps_every_committed_batch_and_is_resumed(archive: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from rankvideo_rag.indexing.describe import DescribeOptions, describe\n"
        "from rankvideo_rag.testing.scripted_vlm import ScriptedVLM\n"
        "def kill(count):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "describe(Path(sys.argv[1]), ScriptedVLM(), DescribeOptions(batch_size=2), progress=kill)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(archive)], check=False)
    assert killed.returncode == -signal.SIGKILL
    report = describe(archive, ScriptedVLM(), TWO_AT_ONCE)
    assert (report.described, report.unchanged) == (count_clips(archive) - 2, 2)
    whole = descriptions(archive)
    describe(archive, CountingVLM(ScriptedVLM.name), replace=True)
    assert descriptions(archive) == whole


def test_another_model_needs_replace_and_replaces_everything(archive: Path) -> None:
    describe(archive, CountingVLM("first:1"))
    with pytest.raises(InputError, match=r"described by first:1, not by second:1: give --replace"):
        describe(archive, CountingVLM("second:1"))
    report = describe(archive, CountingVLM("second:1"), replace=True)
    assert report.described == count_clips(archive)
    assert {span.source for spans in descriptions(archive).values() for span in spans} == {"second:1"}


def test_a_clip_without_a_description_has_a_reason_and_is_tried_again(archive: Path, videos: Path) -> None:
    (videos / "0.mp4").unlink()
    os.utime(videos / "1.mp4", ns=(1_700_000_000_000_000_000,) * 2)
    report = describe(archive, SilentVLM(), TWO_AT_ONCE)
    codes = {Path(clip.path).name: clip.reason.partition(":")[0] for clip in report.failed}
    assert (report.described, codes) == (0, {"0.mp4": "vanished", "1.mp4": "changed", "2.mp4": "empty"})
    update(archive, SETTINGS)
    assert describe(archive, ScriptedVLM()).described == count_clips(archive)


def test_descriptions_survive_updates_of_unchanged_clips_and_go_with_changed_ones(archive: Path, videos: Path) -> None:
    describe(archive, CountingVLM())
    before = descriptions(archive)
    (videos / "1.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nnew words\n")
    (videos / "2.mp4").rename(videos / "moved.mp4")
    update(archive, SETTINGS)
    assert descriptions(archive) == {"0.mp4": before["0.mp4"], "1.mp4": before["1.mp4"], "moved.mp4": before["2.mp4"]}
    update(archive, SETTINGS.model_copy(update={"subtitles": False}))
    assert descriptions(archive)["1.mp4"] == before["1.mp4"]
    index([videos], archive, Settings.load(clip_seconds=2.0))
    assert set(map(len, descriptions(archive).values())) == {0}


def test_the_command_describes_with_a_real_model(
    archive: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

    model = tiny_qwen3_vl(tmp_path_factory.mktemp("qwen3-vl"))
    arguments = ["describe", str(archive), "--backend", "transformers", "--model", str(model), "--device", "cpu"]
    shown = CliRunner().invoke(app, [*arguments, "--max-frames", "4", "--max-tokens", "8", "--json"], catch_exceptions=False)
    report = json.loads(shown.stdout)
    assert report["described"] + len(report["failed"]) == count_clips(archive)
    assert {clip["reason"].partition(":")[0] for clip in report["failed"]} <= {"empty"}
    assert report["model"].startswith("transformers:")
    assert shown.exit_code == (3 if report["failed"] else 0)


def test_the_command_reports_clips_and_model(archive: Path) -> None:
    shown = CliRunner().invoke(app, ["describe", str(archive), "--backend", "scripted"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert f"{count_clips(archive)} clips described by {ScriptedVLM.name}" in " ".join(shown.stdout.split())
    again = CliRunner().invoke(app, ["describe", str(archive), "--backend", "scripted"], catch_exceptions=False)
    assert "0 clips described" in again.stdout
