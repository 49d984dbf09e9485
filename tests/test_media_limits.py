"""The options media_seconds and media_bytes reach every part that reads videos."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata
from llama_index.core.schema import NodeWithScore, TextNode
from support.answering import FixedLLM, answer_of
from support.world import World, asked
from typer.testing import CliRunner

from rankvideo_rag import VideoArchive
from rankvideo_rag.cli import app
from rankvideo_rag.errors import RankVideoError
from rankvideo_rag.eval.answers.judge import Check
from rankvideo_rag.eval.answers.judges.video_judge import VideoJudge
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.server import create_app
from rankvideo_rag.settings import Settings

QUESTION = "a red circle moving left"
TOO_SMALL = MediaLimits(seconds=1e-6)
NAMED = "media_seconds"  # what an error about this limit names


class ChatLLM(FixedLLM):
    """A chat model with a fixed reply, which frames can be sent to."""

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(is_chat_model=True)

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return ChatResponse(message=ChatMessage(role="assistant", content=self.reply))


@pytest.fixture
def archive(world: World) -> Iterator[VideoArchive]:
    with VideoArchive.open(world.archive, score_cache="none", rerank_depth=1, media_seconds=1e-6) as opened:
        yield opened


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKVIDEO_MEDIA_SECONDS", "1e-6")
    monkeypatch.setenv("RANKVIDEO_SCORE_CACHE", "none")
    monkeypatch.setenv("RANKVIDEO_RERANK_DEPTH", "1")


def test_limits_are_read_from_settings() -> None:
    assert MediaLimits.from_settings(Settings.load(media_seconds=7, media_bytes=1 << 29)) == MediaLimits(7.0, 1 << 29)
    assert MediaLimits.from_settings(Settings.load()) == MediaLimits()


def test_an_archive_passes_both_on(world: World) -> None:
    with VideoArchive.open(world.archive, media_seconds=7, media_bytes=1 << 29) as archive:
        reranker = archive.as_reranker()
    assert reranker is not None
    assert reranker.limits == MediaLimits(7.0, 1 << 29)


def test_the_reranker_of_an_archive_keeps_them(archive: VideoArchive) -> None:
    with pytest.raises(RankVideoError, match=NAMED):
        archive.as_query_engine().query(QUESTION)


def test_the_synthesizer_of_an_archive_keeps_them(
    world: World, archive: VideoArchive, caplog: pytest.LogCaptureFixture
) -> None:
    file = {"file_path": str(next(world.videos.glob("*.mp4")))}
    whole, clip = (
        TextNode(text="The ferry leaves at nine.", metadata=file | span) for span in ({}, {"start": 0.0, "end": 1.0})
    )
    archive.as_synthesizer().synthesize("When?", [NodeWithScore(node=whole, score=1.0)])  # reads how long the file is
    synthesizer = archive.as_synthesizer(ChatLLM(reply="It leaves at nine [1]."), frames=1)
    usage = answer_of(synthesizer.synthesize("When?", [NodeWithScore(node=clip, score=1.0)])).prompt
    assert NAMED in caplog.text
    assert usage is not None
    assert [NAMED in part.reason for part in usage.omitted] == [True]


async def test_the_server_keeps_them(archive: VideoArchive, caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.ASGITransport(create_app(archive))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
        reply = await client.post("/api/ask", json={"question": QUESTION})
    assert reply.status_code == 500
    assert NAMED in caplog.text


@pytest.mark.parametrize("command", [["ask"], ["search", "--rerank"]])
def test_ask_and_search_keep_them(world: World, environment: None, command: list[str]) -> None:
    failed = CliRunner().invoke(app, [command[0], str(world.archive), QUESTION, *command[1:]])
    assert isinstance(failed.exception, RankVideoError)
    assert NAMED in str(failed.exception)


def test_eval_report_keeps_them(world: World, environment: None, tmp_path: Path) -> None:
    question = next(one for one in asked(world, "visual") if one.kind == "one")
    (tmp_path / "q.jsonl").write_text(f"{question.model_dump_json()}\n")
    (tmp_path / "r.txt").write_text("".join(f"{question.question_id} 0 {stem} 1\n" for stem in question.judgements))
    files = ["--questions", str(tmp_path / "q.jsonl"), "--qrels", str(tmp_path / "r.txt"), "--stems"]
    done = CliRunner().invoke(app, ["eval", "report", str(world.archive), *files, "--output", str(tmp_path / "report")])
    assert "could not be scored" in done.output
    assert NAMED in "".join(file.read_text() for file in (tmp_path / "report").rglob("*.json*"))


def test_the_video_judge_keeps_them(world: World) -> None:
    path = next(world.videos.glob("*.mp4"))
    judge = VideoJudge(load_vlm("scripted"), RANKVIDEO, find=lambda video: path, limits=TOO_SMALL)
    (judgement,) = judge.judge([Check(kind="video", claim="a red circle", video_id="v", start=0.0, end=1.0)])
    assert judgement.label is None
    assert NAMED in (judgement.reason or "")
