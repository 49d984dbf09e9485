"""Language models that call functions or are served over HTTP."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from support.answering import answer_of, hit

from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


def function_call(*claims: dict[str, Any], name: str = "CitedAnswer") -> ChatMessage:
    block = ToolCallBlock(tool_call_id="1", tool_name=name, tool_kwargs={"claims": list(claims)})
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=[block])


async def test_claims_are_read_from_a_function_call() -> None:
    calls: list[Any] = []

    def reply(messages: Sequence[ChatMessage], **options: Any) -> ChatMessage:
        calls.append((messages, options))
        return function_call({"text": "It leaves at nine.", "evidence": [1], "quote": "leaves at nine"})

    synthesizer = VideoAnswerSynthesizer(MockFunctionCallingLLM(response_generator=reply, system_prompt="Be brief."))
    nodes = [hit("The ferry leaves at nine. {boundary} It is never late.")]
    for response in (synthesizer.synthesize("When?", nodes), await synthesizer.asynthesize("When?", nodes)):
        answer = answer_of(response)
        assert answer.text == "It leaves at nine [ferry.mp4 @ 00:00]."
        assert answer.claims[0].status == "quoted"
        assert answer.citations[0].quote == "leaves at nine."
    (system, user), options = calls[0]
    assert (system.content, options["tools"][0].metadata.name) == ("Be brief.", "CitedAnswer")
    assert "It is never late." in user.content
    assert "{boundary} It is never late" in user.content  # text of a video is inserted, and not parsed as a template


def test_unknown_functions_are_not_run_and_prose_is_parsed() -> None:
    for message, text in (
        (function_call({"text": "It leaves at nine.", "evidence": [1]}, name="delete_archive"), NOT_ANSWERED),
        (ChatMessage(role=MessageRole.ASSISTANT, content="It leaves at nine [1]."), "It leaves at nine [ferry.mp4 @ 00:00]."),
    ):
        llm = MockFunctionCallingLLM(response_generator=lambda messages, message=message, **options: message)
        response = VideoAnswerSynthesizer(llm).synthesize("When?", [hit("The ferry leaves at nine.")])
        assert str(response) == text
