"""Language models served over HTTP."""

import json
import time

import pytest
from support.answering import answer_of, hit
from support.commands import start
from support.llm_server import Kind, serving
from support.world import World

from rankvideo_rag.answering.openai_like import load_openai_like
from rankvideo_rag.errors import ModelError
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer

pytest.importorskip("llama_index.llms.openai_like", reason="needs the extra served")

NODES = [hit("The ferry leaves at nine. It is never late.")]
ANSWER = "It leaves at nine [ferry.mp4 @ 00:00]."


@pytest.mark.parametrize("kind", ["vllm", "llama.cpp", "ollama"])
def test_the_context_length_is_that_of_the_server(kind: Kind) -> None:
    with serving(kind=kind, context=6000) as server:
        llm = load_openai_like(server.address)
        assert (llm.metadata.context_window, llm.metadata.model_name) == (6000, "tiny")
        assert llm.metadata.num_output == 1500
        assert str(VideoAnswerSynthesizer(llm).synthesize("When?", NODES)) == ANSWER


def test_a_context_length_that_is_not_reported_is_assumed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with serving(kind="other") as server:
        assert load_openai_like(server.address).metadata.context_window == 4096
        assert "does not report its context length: 4096 tokens are assumed" in caplog.text
        assert load_openai_like(server.address, context_window=9000).metadata.context_window == 9000


def test_an_unknown_model_is_an_error_that_names_those_served() -> None:
    with serving() as server:
        assert load_openai_like(f"{server.address}/#tiny").metadata.model_name == "tiny"
        with pytest.raises(ModelError, match="serves tiny, not large"):
            load_openai_like(f"{server.address}#large")
    with pytest.raises(ModelError, match=r"no model is served at http://127\.0\.0\.1:9"):
        load_openai_like("http://127.0.0.1:9/v1")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_slow_answer_is_waited_for_with_one_request(streaming: bool) -> None:
    with serving(silence=1.0) as server:
        llm = load_openai_like(server.address, timeout=30)
        response = VideoAnswerSynthesizer(llm, streaming=streaming).synthesize("When?", NODES)
        assert str(response) == ANSWER
        assert len(server.chats) == 1


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("speed", [{"silence": 30.0}, {"silence": 0.0, "pause": 0.3}], ids=["silent", "drips"])
async def test_the_time_limit_holds_for_the_whole_answer(streaming: bool, speed: dict[str, float]) -> None:
    if not streaming and "pause" in speed:
        pytest.skip("without a stream, an answer arrives at once")
    with serving("It leaves at nine [1]. " * 20, **speed) as server:
        llm = load_openai_like(server.address, timeout=1.0)
        synthesizer = VideoAnswerSynthesizer(llm, streaming=streaming)
        began = time.monotonic()
        response = synthesizer.synthesize("When does the ferry leave?", NODES)
        str(response)
        later = await synthesizer.asynthesize("When does the ferry leave?", NODES)
        if streaming:
            "".join([token async for token in later.async_response_gen()])  # type: ignore[union-attr]
        assert time.monotonic() - began < 10
        for found in map(answer_of, (response, later)):
            assert found.llm_status == "failed"
            assert "no complete answer within 1 s (llm_timeout)" in (found.reason or "")
            assert found.answered
        assert len(server.chats) == 2  # one for each question


def test_a_served_error_is_reported_and_the_archive_quoted() -> None:
    with serving(status=400) as server:
        synthesizer = VideoAnswerSynthesizer(load_openai_like(server.address))
        answer = answer_of(synthesizer.synthesize("When does the ferry leave?", NODES))
    assert answer.text == "“The ferry leaves at nine.” [ferry.mp4 @ 00:00]"
    assert answer.llm_status == "failed"
    assert "the prompt has 9000 tokens, the context 8192" in (answer.reason or "")


def test_ask_tells_what_it_waits_for_and_reports_a_time_limit_that_is_over(world: World) -> None:
    question = next(clip for clip in world.clips if clip.narration).narration[0].text
    with serving(silence=60.0) as server:
        waiting = start("ask", world.archive, question, "--llm-url", server.address, "--llm-timeout", "2", "--json")
        printed, told = waiting.communicate(timeout=120)
        assert len(server.chats) == 1
    assert waiting.returncode == 3
    assert f"waiting for the LLM at {server.address}, at most 2 s" in told
    assert "no complete answer within 2 s (llm_timeout)" in told
    answer = json.loads(printed)
    assert (answer["llm_status"], answer["answered"]) == ("failed", True)


def test_ask_prints_the_answer_of_a_served_model(world: World) -> None:
    clip = next(clip for clip in world.clips if clip.narration)
    with serving(f"“{clip.narration[0].text}” [1].", kind="llama.cpp", pause=0.05) as server:
        asking = start("ask", world.archive, clip.narration[0].text, "--llm-url", server.address, "--json")
        printed, told = asking.communicate(timeout=120)
        assert server.chats[0]["stream"] is True
    assert asking.returncode == 0, told
    assert json.loads(printed)["llm_status"] == "answered"
