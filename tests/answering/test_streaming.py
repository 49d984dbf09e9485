"""Claims are released while the model is still writing."""

import asyncio
import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseAsyncGen, CompletionResponseGen, LLMMetadata
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM
from support.answering import FERRY, answer_of, context_of, hit, verify
from support.world import World, asked

from rankvideo_rag.answering.streaming import StreamingVerifier
from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


class LetterByLetter(CustomLLM):
    """An LLM that streams letter by letter, and keeps what it has written."""

    reply: str
    written: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="letters")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.reply)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        for end, letter in enumerate(self.reply, start=1):
            self.written.append(letter)
            yield CompletionResponse(text=self.reply[:end], delta=letter)

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        async def letters() -> CompletionResponseAsyncGen:
            for response in self.stream_complete(prompt):
                await asyncio.sleep(0)
                yield response

        return letters()


STREAM = "It leaves at nine [1]. It leaves at noon [1]. It is never late [1]. So says everybody [4]."


NODES = [hit("The ferry leaves at nine. It is never late.")]


def test_a_verified_claim_is_released_while_the_model_still_writes() -> None:
    llm = LetterByLetter(reply=STREAM)
    response = VideoAnswerSynthesizer(llm, streaming=True).synthesize("When?", NODES)
    assert isinstance(response, StreamingResponse)
    assert "answer" not in (response.metadata or {})
    released = [(text, len(llm.written)) for text in response.response_gen if text]
    first, letters = released[0]
    assert first == "It leaves at nine [ferry.mp4 @ 00:00]."
    assert letters < len(STREAM) / 2 + 3
    answer = answer_of(response)
    assert "".join(text for text, _ in released) == answer.text
    assert answer.text == "It leaves at nine [ferry.mp4 @ 00:00]. It is never late [ferry.mp4 @ 00:00]."
    assert [claim.text for claim in answer.removed_claims] == ["It leaves at noon.", "So says everybody."]


async def test_an_async_stream_ends_with_the_same_answer() -> None:
    at_once = VideoAnswerSynthesizer(LetterByLetter(reply=STREAM)).synthesize("When?", NODES)
    streamed = await VideoAnswerSynthesizer(LetterByLetter(reply=STREAM), streaming=True).asynthesize("When?", NODES)
    assert isinstance(streamed, AsyncStreamingResponse)
    text = "".join([token async for token in streamed.async_response_gen()])
    assert isinstance(at_once, Response)
    assert text == at_once.response
    assert (streamed.metadata or {})["answer"] == (at_once.metadata or {})["answer"]


@pytest.mark.parametrize(
    "written",
    [
        STREAM,
        "Everybody knows. It leaves at nine. [1] [1] It is red [1]. It is never late. [1]\n- It leaves at nine [1]",
        json.dumps({"claims": [{"text": "It leaves at nine.", "evidence": [1]}, {"text": "It is red.", "evidence": [1]}]}),
        'Here: ```json\n{"claims": [{"text": "It leaves at nine.", "evidence": [1]}]}\n```',
        "I do not know.",
    ],
)
@pytest.mark.parametrize("unsupported", ["drop", "mark"])
def test_released_text_is_a_prefix_of_the_answer_for_any_token_size(written: str, unsupported: Any) -> None:
    expected = verify("When?", written, [FERRY], unsupported=unsupported)
    for size in (1, 3, 10, 1000):
        verifier = StreamingVerifier(context_of("When?", [FERRY], unsupported=unsupported))
        released = "".join(verifier.feed(written[i : i + size]) for i in range(0, len(written), size))
        finished = verifier.finish()
        assert released + finished.rest == finished.answer.text == expected.text
        assert finished.answer == expected


def test_a_query_engine_streams(world: World) -> None:
    with VideoArchive.open(world.archive, reranker="none") as archive:
        question = asked(world, "speech")[0]
        synthesizer = archive.as_synthesizer(LetterByLetter(reply="I cannot help with that."), streaming=True)
        response = archive.as_query_engine(response_synthesizer=synthesizer).query(question.text)
        assert str(response).startswith("“")
        assert (response.metadata or {})["answer"]["answered"]
