"""Give a LlamaIndex agent a video archive: it searches, reads a transcript and answers with citations.

    python examples/agent_tools.py

Runs offline on a little rendered archive. A script stands in for the language model: pass yours to FunctionAgent instead.
"""

import asyncio
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM

from rankvideo_rag import Settings, VideoArchive, VideoArchiveToolSpec, index
from rankvideo_rag.synthetic import generate_questions, render_archive


def scripted(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
    """Search for the question, read the best video, answer; then say what the last tool said."""
    question = next(message.content for message in messages if message.role == MessageRole.USER)
    told = [message.content or "" for message in messages if message.role == MessageRole.TOOL]
    if len(told) == 3:
        return ChatMessage(role="assistant", content=told[-1])
    video = re.search(r"video_id=(\w+)", told[0]) if told else None
    calls = [
        ("search_videos", {"query": question, "top_k": 3}),
        ("get_transcript", {"video_id": video[1] if video else ""}),
        ("answer", {"question": question}),
    ]
    name, arguments = calls[len(told)]
    call = ToolCallBlock(tool_call_id=str(len(told)), tool_name=name, tool_kwargs=arguments)
    return ChatMessage(role="assistant", blocks=[call])


async def ask(archive: VideoArchive, question: str) -> None:
    llm = MockFunctionCallingLLM(response_generator=scripted)
    agent = FunctionAgent(tools=VideoArchiveToolSpec(archive).to_tool_list(), llm=llm, streaming=False)
    run = agent.run(question)
    async for event in run.stream_events():
        if isinstance(event, ToolCallResult):
            print(f"--- {event.tool_name}({event.tool_kwargs})\n{event.tool_output.content}\n")
    print(f"=== {question}\n{await run}")


with tempfile.TemporaryDirectory() as folder:
    clips = render_archive(Path(folder, "videos"), clips=12)
    index([Path(folder, "videos")], Path(folder, "archive"), Settings.load(ocr="none"))
    with VideoArchive.open(Path(folder, "archive")) as archive:
        told = next(question for question in generate_questions(clips) if question.channel == "speech")
        asyncio.run(ask(archive, told.text))
