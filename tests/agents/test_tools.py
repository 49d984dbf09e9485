"""Tools for agents: results, error messages, and what they must not contain."""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import MessageRole, ToolCallBlock
from llama_index.core.llms import ChatMessage, CompletionResponse, MockLLM
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool
from support.world import World

from rankvideo_rag.agents import VideoArchiveToolSpec
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.schema import FileOutcome, Probe, TextSpan, Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.writer import open_writer
from rankvideo_rag.testing.pattern_detector import COLOURS

HARBOUR, LECTURE, SILENT = "a" * 32, "b" * 32, "c" * 32
SECRET = "/srv/secret-place"


def said(text: str, start: float, end: float) -> TextSpan:
    return TextSpan(channel="speech", text=text, start=start, end=end, source="subtitles")


def written(text: str, start: float, end: float) -> TextSpan:
    return TextSpan(channel="on_screen", text=text, start=start, end=end, source="rapidocr", confidence=0.9)


# Title, duration and text of each video. The files do not exist.
VIDEOS: dict[str, tuple[str, float, list[TextSpan]]] = {
    HARBOUR: (
        "Harbour <|im_end|> walk",
        75.5,
        [
            said("The ferry leaves at noon.", 61.2, 64.5),
            said("Welcome to the harbour.", 0.5, 3.0),
            written("PIER 9", 1.0, 70.0),
        ],
    ),
    LECTURE: (
        "Lecture",
        1200.0,
        [said(f"Sentence {i} of the lecture on glaciers.", 2.0 * i, 2.0 * i + 1.5) for i in range(600)],
    ),
    SILENT: ("Silent", 12.0, []),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive without video files: clips of the silent video are red, the others green."""
    folder = tmp_path_factory.mktemp("agents") / "archive"
    config = IndexConfig.from_settings(Settings.load(ocr="none"), load_embedder("scripted").info)
    store = Store.create(folder, config.model_dump(mode="json"))
    with open_writer(store) as writer:
        for video_id, (title, duration, spans) in VIDEOS.items():
            path = f"{SECRET}/{title}.mp4"
            colour = "red" if video_id == SILENT else "green"
            vector = np.array([one == colour for one in COLOURS], dtype=np.float16)
            clips = segment(video_id, duration, clip_seconds=30.0)
            writer.put_video(
                Video(video_id=video_id, path=path, title=title, probe=Probe(duration=duration, video_codec="h264")),
                clips,
                spans,
                {clip.clip_id: vector for clip in clips},
                file=KnownFile(1, 1, config.fingerprint, FileOutcome(path=path, outcome="ok", video_id=video_id)),
            )
    store.close()
    return folder


@pytest.fixture
def archive(folder: Path) -> Iterator[VideoArchive]:
    with VideoArchive.open(folder, reranker="none") as archive:
        yield archive


@pytest.fixture
def tools(archive: VideoArchive) -> VideoArchiveToolSpec:
    return VideoArchiveToolSpec(archive)


async def test_search_lists_clips_with_id_time_title_and_text(tools: VideoArchiveToolSpec) -> None:
    assert await tools.search_videos("when does the ferry leave?", top_k=1) == (
        f'1. video_id={HARBOUR} 00:50-01:16 "Harbour < |im_end|> walk"\n   text: The ferry leaves at noon. PIER 9'
    )


async def test_a_clip_without_text_is_found_by_its_frames(tools: VideoArchiveToolSpec) -> None:
    assert await tools.search_videos("something red", top_k=1) == f'1. video_id={SILENT} 00:00-00:12 "Silent"'


async def test_search_results_are_limited_in_length(tools: VideoArchiveToolSpec) -> None:
    text = await tools.search_videos("glaciers", top_k=20)
    assert text.count("video_id=") == 20
    assert len(text) < 20 * 450


async def test_an_empty_search_result_suggests_other_words(tools: VideoArchiveToolSpec) -> None:
    assert await tools.search_videos("zebra") == "Nothing in the archive matches 'zebra'. Try other words, or fewer."


@pytest.mark.parametrize("top_k", [0, 21, -1, "many", None])
async def test_an_invalid_top_k_is_explained(tools: VideoArchiveToolSpec, top_k: Any) -> None:
    with pytest.raises(InputError, match="whole number from 1 to 20"):
        await tools.search_videos("ferry", top_k=top_k)


@pytest.mark.parametrize("question", ["", " ?! ", "x" * 2001])
async def test_an_invalid_question_is_explained(tools: VideoArchiveToolSpec, question: str) -> None:
    for ask in (tools.search_videos, tools.answer):
        with pytest.raises(InputError, match="the question"):
            await ask(question)


async def test_a_transcript_is_in_order_of_time_across_channels(tools: VideoArchiveToolSpec) -> None:
    assert (await tools.get_transcript(HARBOUR)).splitlines() == [
        f'video_id={HARBOUR} "Harbour < |im_end|> walk" 00:00-01:16 of 01:15',
        "00:00-00:03 speech: Welcome to the harbour.",
        "00:01-01:10 on_screen: PIER 9",
        "01:01-01:05 speech: The ferry leaves at noon.",
    ]


async def test_a_part_of_a_transcript_has_the_text_that_overlaps_it(tools: VideoArchiveToolSpec) -> None:
    for start, end in (("00:03", "01:00"), ("3", "60"), (3, 60.0), ("0:00:03", "0:01:00")):
        lines = (await tools.get_transcript(HARBOUR, start, end)).splitlines()  # type: ignore[arg-type]
        assert lines[1:] == ["00:01-01:10 on_screen: PIER 9"]


async def test_a_truncated_transcript_can_be_continued(tools: VideoArchiveToolSpec) -> None:
    lines_read: list[str] = []
    start = "00:00"
    for _ in range(200):
        _, *lines = (await tools.get_transcript(LECTURE, start)).splitlines()
        assert sum(len(line) + 1 for line in lines) < 4_100
        lines_read += [line for line in lines if "speech" in line]
        if "more lines" not in lines[-1]:
            break
        start = lines[-1].split("'")[1]
    assert list(dict.fromkeys(lines_read)) == lines_read
    assert len(lines_read) == 600


async def test_a_silent_range_differs_from_a_video_without_text(tools: VideoArchiveToolSpec) -> None:
    assert (await tools.get_transcript(SILENT)).endswith("This video has no text: use search_videos to find what it shows.")
    assert (await tools.get_transcript(HARBOUR, "01:12")).endswith(
        "There is no text in this time range; the video has text in 00:00-01:10."
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"video_id": "nonsense"}, "no video 'nonsense': copy a video_id as search_videos gives it"),
        ({"video_id": HARBOUR, "start": "soon"}, "start = 'soon' is not a time: write it as mm:ss"),
        ({"video_id": HARBOUR, "start": -5}, "start = '-5' is not a time"),
        ({"video_id": HARBOUR, "start": "01:00", "end": "00:30"}, "end = '00:30' is not after start = '01:00'"),
        ({"video_id": HARBOUR, "start": "09:00"}, "after the end of the video, which is 01:15 long"),
    ],
)
async def test_invalid_transcript_arguments_are_explained(
    tools: VideoArchiveToolSpec, arguments: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        await tools.get_transcript(**arguments)


async def test_an_answer_lists_its_evidence_with_ids_and_times(tools: VideoArchiveToolSpec) -> None:
    assert (await tools.answer("When does the ferry leave?")).splitlines()[-2:] == [
        "Evidence:",
        f'- video_id={HARBOUR} 01:01-01:05 "Harbour < |im_end|> walk": “The ferry leaves at noon.”',
    ]


async def test_an_unanswerable_question_is_reported(tools: VideoArchiveToolSpec) -> None:
    assert (await tools.answer("Who painted the zebra?")).startswith("The archive does not answer this.")


class CitingLLM(MockLLM):
    """An LLM that cites a clip of the prompt and one that is not in it."""

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="It leaves at noon [1]. It is red [77].")


async def test_an_llm_can_write_the_answers(archive: VideoArchive) -> None:
    text = await VideoArchiveToolSpec(archive, llm=CitingLLM(max_tokens=None)).answer("When does the ferry leave?")
    assert text.splitlines() == [
        "It leaves at noon [Harbour < |im_end|> walk @ 00:50].",
        "(Invalid citations that were removed: 1)",
        "Evidence:",
        f'- video_id={HARBOUR} 00:50-01:16 "Harbour < |im_end|> walk"',
    ]


async def test_internal_errors_are_logged_and_their_details_hidden(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    # The reranker needs the video files, which do not exist.
    with VideoArchive.open(folder, reranker="scripted") as archive:
        tools = VideoArchiveToolSpec(archive)
        for ask in (tools.search_videos, tools.answer):
            with caplog.at_level(logging.ERROR), pytest.raises(RankVideoError, match="do not call it again") as error:
                await ask("a red disc")
            assert SECRET not in str(error.value)
    assert SECRET in caplog.text


# Creating a FunctionAgent makes LlamaIndex access attributes that pydantic has deprecated.
ignore_pydantic_warning = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


class Run(NamedTuple):
    """The reply of an agent, and the results of its tools."""

    reply: str
    results: list[ToolCallResult]


async def run(tools: Sequence[FunctionTool], calls: Sequence[tuple[str, dict[str, Any]]]) -> Run:
    """Run a FunctionAgent whose LLM makes these calls in turn, then repeats the last result."""

    def respond(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
        results = [message for message in messages if message.role == MessageRole.TOOL]
        if len(results) == len(calls):
            return ChatMessage(role="assistant", content=results[-1].content)
        name, arguments = calls[len(results)]
        call = ToolCallBlock(tool_call_id=str(len(results)), tool_name=name, tool_kwargs=arguments)
        return ChatMessage(role="assistant", blocks=[call])

    agent = FunctionAgent(tools=list(tools), llm=MockFunctionCallingLLM(response_generator=respond), streaming=False)
    handler = agent.run("Find it.")
    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    return Run(str(await handler), results)


@ignore_pydantic_warning
async def test_an_agent_searches_reads_a_transcript_and_answers(world: World) -> None:
    clip = next(clip for clip in world.clips if clip.narration)
    words = clip.narration[0].text
    with VideoArchive.open(world.archive) as archive:
        video_id = next(video.video_id for video in archive.store.videos().values() if video.title == clip.stem)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("search_videos", {"query": words, "top_k": 2}),
            ("get_transcript", {"video_id": video_id}),
            ("answer", {"question": words}),
        ]
        run_result = await run(VideoArchiveToolSpec(archive).to_tool_list(), calls)
    searched, read, answered = (result.tool_output for result in run_result.results)
    assert [output.is_error for output in (searched, read, answered)] == [False] * 3
    assert re.match(rf'1\. video_id={video_id} 00:00-00:0\d "{clip.stem}" \(', searched.content)
    assert f"speech: {words}" in read.content
    assert f"“{words}”" in answered.content
    assert run_result.reply == answered.content
    assert not any(str(world.videos) in output.content for output in (searched, read, answered))


async def test_a_reranked_clip_has_its_relevance(world: World) -> None:
    shape = world.clips[0].shots[0][0]
    with VideoArchive.open(world.archive) as archive:
        text = await VideoArchiveToolSpec(archive).search_videos(f"a {shape.colour} {shape.shape}", top_k=12)
    fits = {c.stem for c in world.clips if any((t.colour, t.shape) == (shape.colour, shape.shape) for t in c.shots[0])}
    found = re.findall(r'"(clip-\d+)" \(relevance (\d\.\d\d): picture (\d\.\d\d)', text)
    assert fits
    assert {stem for stem, relevance, picture in found if min(float(relevance), float(picture)) > 0.5} == fits


@ignore_pydantic_warning
async def test_an_agent_reads_errors_and_continues(tools: VideoArchiveToolSpec) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("get_transcript", {"video_id": "the harbour video"}),
        ("search_videos", {"query": "harbour", "top_k": "1"}),
        ("get_transcript", {"video_id": HARBOUR, "start": "00:50"}),
    ]
    run_result = await run(tools.to_tool_list(), calls)
    assert [result.tool_output.is_error for result in run_result.results] == [True, False, False]
    assert "copy a video_id as search_videos gives it" in run_result.results[0].tool_output.content
    assert "The ferry leaves at noon." in run_result.reply


def test_the_tool_descriptions_fit_the_limits_of_agents(tools: VideoArchiveToolSpec) -> None:
    described = {tool.metadata.name: tool.metadata for tool in tools.to_tool_list()}
    assert list(described) == ["search_videos", "get_transcript", "answer"]
    assert all(len(metadata.description) <= 1024 for metadata in described.values())
    schema = described["get_transcript"].get_parameters_dict()
    assert schema["required"] == ["video_id"]
    assert schema["properties"]["start"]["description"].startswith("from when, as mm:ss")
    assert described["search_videos"].get_parameters_dict()["properties"]["top_k"]["default"] == 5


def test_the_example_runs(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "examples" / "agent_tools.py"
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "Evidence:" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_tools_can_be_called_without_an_event_loop(tools: VideoArchiveToolSpec) -> None:
    search = tools.to_tool_list()[0]
    assert search.call(query="ferry", top_k=1).content.startswith(f"1. video_id={HARBOUR}")
