"""The server backend against an endpoint that misbehaves: numbers or a reason by the deadline, never a wrong number."""

import asyncio
import base64
import gzip
import io
import json
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.schema import NodeWithScore, TextNode
from PIL import Image
from support.fake_server import Handler, Json, completion, serving
from support.world import World

from rankvideo_rag import RankVideoRerank
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.models.vlm.server import ServerVLM, load

LABELS = ("yes", "no")
DEADLINE = 3.0  # seconds: for a healthy reply on a busy machine
MISBEHAVE = 5.0  # seconds that a slow reply takes
PATIENCE = 60.0  # seconds: a limit that only ends hangs
WAITS = (0.1, 0.3)  # before a retry, on average; a user's are longer


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankvideo_rag.models.vlm.endpoint._WAITS", WAITS)
    monkeypatch.setattr("rankvideo_rag.models.vlm.server_info._BLANKS", ("", " "))  # half as many requests


def frames(seed: int = 0, times: tuple[float, ...] = (30.0, 30.4, 33.0, 41.125)) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(times), 32, 64, 3), dtype=np.uint8)
    return Frames(pixels, np.array(times))


def prompt(margin: float) -> Prompt:
    return Prompt("Judge.", (frames(), f"Is it there? margin {margin}"))


def margin_of(answer: LabelLogprobs) -> float:
    assert answer.values is not None, answer.reason
    return answer.values[0] - answer.values[1]


def changed(change: Callable[[Json], object]) -> Callable[[Handler, Json], bool]:
    """A reply that is right but for one change."""

    def misbehave(handler: Handler, request: Json) -> bool:
        reply = completion(request)
        change(reply)
        handler.answer(reply)
        return True

    return misbehave


def top(reply: Json) -> list[Json]:
    found: list[Json] = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return found


def status(code: int, body: Json = b"no", **headers: str) -> Callable[[Handler, Json], bool]:
    def misbehave(handler: Handler, request: Json) -> bool:
        handler.answer(body, status=code, **headers)
        return True

    return misbehave


def raw(content: bytes, kind: str = "application/json", **headers: Any) -> Callable[[Handler, Json], bool]:
    def misbehave(handler: Handler, request: Json) -> bool:
        handler.answer(content, kind=kind, **headers)
        return True

    return misbehave


def silence(handler: Handler, request: Json) -> bool:
    time.sleep(MISBEHAVE)
    return True


def drip_body(handler: Handler, request: Json) -> bool:
    content = json.dumps(completion(request)).encode()
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    return drip(handler, content)


def drip_headers(handler: Handler, request: Json) -> bool:
    return drip(handler, b"HTTP/1.1 200 OK\r\nx-slow: " + b"z" * 1000)


def drip(handler: Handler, content: bytes) -> bool:
    handler.close_connection = True
    until = time.monotonic() + MISBEHAVE
    for at in range(len(content)):
        if time.monotonic() > until:
            break
        handler.wfile.write(content[at : at + 1])
        handler.wfile.flush()
        time.sleep(0.05)
    return True


def close_early(handler: Handler, request: Json) -> bool:
    handler.close_connection = True
    return True


def close_in_the_middle(handler: Handler, request: Json) -> bool:
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"id": "half')
    return True


def endless(handler: Handler, request: Json) -> bool:
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("content-type", "application/json")
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b" " * 65536)
    return True


def replace_logprob(text: str) -> Callable[[Handler, Json], bool]:
    """The first number of the reply written as that, JSON or not."""

    def misbehave(handler: Handler, request: Json) -> bool:
        reply = completion(request)
        top(reply)[0]["logprob"] = "HERE"
        handler.answer(json.dumps(reply).replace('"HERE"', text).encode())
        return True

    return misbehave


def drop(token: int) -> Callable[[Handler, Json], bool]:
    return changed(
        lambda reply: top(reply).__delitem__(next(i for i, t in enumerate(top(reply)) if t["token"] == f"token_id:{token}"))
    )


def set_all(value: float) -> Callable[[Handler, Json], bool]:
    return changed(lambda reply: [one.update(logprob=value) for one in top(reply)])


def update_choice(**fields: Any) -> Callable[[Handler, Json], bool]:
    return changed(lambda reply: reply["choices"][0].update(fields))


FAULTS: dict[str, tuple[Callable[[Handler, Json], bool], str]] = {
    "no answer": (silence, "within the time allowed"),
    "status 429 for ever": (status(429), "429"),
    "status 429 that asks for an hour": (status(429, retry_after="3600"), "within the time allowed"),
    "status 500": (status(500, {"error": "EngineDeadError"}), "EngineDeadError"),
    "status 502 for ever": (status(502), "502"),
    "status 503 for ever": (status(503), "503"),
    "status 400 with words": (status(400, {"error": {"message": "max_tokens is too large"}}), "max_tokens is too large"),
    "status 204": (status(204, b""), "204"),
    "a redirect elsewhere": (status(302, location="http://127.0.0.1:9/"), "302"),
    "HTML": (raw(b"<html>login</html>", "text/html"), "JSON was expected: <html>login"),
    "nothing": (raw(b""), "cannot be used"),
    "truncated JSON": (raw(b'{"id": "chatcmpl-1", "choices": [{"index": 0, "logp'), "cannot be used"),
    "another shape": (raw(b"[1, 2, 3]"), "cannot be used"),
    "brackets without end": (raw(b"[" * 200_000), "cannot be used"),
    "no UTF-8": (raw(b'{"id": "\xff\xfe"}'), "cannot be used"),
    "packed though plain was asked for": (raw(gzip.compress(b"{}" * 9), content_encoding="gzip"), "cannot be used"),
    "a body byte by byte": (drip_body, "within the time allowed"),
    "headers byte by byte": (drip_headers, "within the time allowed"),
    "closes at once": (close_early, "connection broke"),
    "closes in the middle": (close_in_the_middle, "connection broke"),
    "10 MB": (raw(b" " * 10_000_000), "longer than 4 MiB"),
    "a body without end": (endless, "longer than 4 MiB"),
    "no choice": (changed(lambda reply: reply.update(choices=[])), "choices"),
    "two choices": (changed(lambda reply: reply["choices"].append(reply["choices"][0])), "choices"),
    "somebody else's reply": (changed(lambda reply: reply.update(id="chatcmpl-other")), "it is to request"),
    "no log-probabilities": (update_choice(logprobs=None), "has no log-probabilities"),
    "no position": (update_choice(logprobs={"content": []}), "cannot be used"),
    "nothing at the position": (changed(lambda reply: top(reply).clear()), "'yes', 'no'"),
    "without yes": (changed(lambda reply: top(reply).__delitem__(slice(0, 3))), "no log-probability for 'yes'"),
    "without one spelling of no": (drop(12), "no log-probability for 'no'"),
    "a token twice": (changed(lambda reply: top(reply).append(top(reply)[0])), "twice"),
    "null": (replace_logprob("null"), "cannot be used"),
    "minus infinity": (replace_logprob("-Infinity"), "cannot be used"),
    "NaN": (replace_logprob("NaN"), "cannot be used"),
    "1e308": (replace_logprob("1e308"), "logarithm of no probability"),
    "1e999": (replace_logprob("1e999"), "cannot be used"),
    "a number in quotes": (replace_logprob('"-0.5"'), "cannot be used"),
    "true": (replace_logprob("true"), "cannot be used"),
    "above 0": (set_all(0.5), "logarithm of no probability"),
    "probabilities that sum to 6": (set_all(0.0), "sum to 6.000"),
    "the floor that stands for zero": (set_all(-9999.0), "no probability at all"),
    "-1e308": (set_all(-1e308), "no probability at all"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_ends_by_the_deadline_with_a_reason_and_no_number(fault: str) -> None:
    misbehave, words = FAULTS[fault]
    with serving(misbehave) as server:
        vlm = load(server.address, deadline=DEADLINE)
        vlm.label_logprobs([], LABELS)
        began = time.monotonic()
        [answer] = vlm.label_logprobs([prompt(1.0)], LABELS)
        assert time.monotonic() - began < PATIENCE
    assert answer.values is None
    assert not answer.abstained
    assert words in str(answer.reason)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_does_not_affect_other_prompts(fault: str) -> None:
    misbehave, _ = FAULTS[fault]

    def only_the_second(handler: Handler, request: Json) -> bool:
        return "margin 2.0" in json.dumps(request) and misbehave(handler, request)

    with serving(only_the_second) as server:
        first, second, third = load(server.address, deadline=DEADLINE).label_logprobs(
            [prompt(1.0), prompt(2.0), prompt(-3.0)], LABELS
        )
    assert margin_of(first) == pytest.approx(1.0)
    assert second.values is None
    assert margin_of(third) == pytest.approx(-3.0)


def load_with_deadline(model: str | None, *, device: str | None = None) -> Any:
    return load(model, deadline=DEADLINE)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_one_clip_ranks_that_clip_last_with_its_status(fault: str, world: World) -> None:
    misbehave, _ = FAULTS[fault]
    clips = [clip for clip in world.clips if clip.seconds >= 4.0][:3]
    # Two seconds of the second clip are 4 frames, four seconds of the others 8; frames travel as PNG.
    spans = [(clips[0], 4.0), (clips[1], 2.0), (clips[2], 4.0)]
    nodes = [
        NodeWithScore(
            node=TextNode(
                text=clip.stem, metadata={"file_path": str(world.videos / f"{clip.stem}.mp4"), "start": 0.0, "end": end}
            ),
            score=1.0,
        )
        for clip, end in spans
    ]

    def only_the_second(handler: Handler, request: Json) -> bool:
        return json.dumps(request).count("iVBOR") == 4 and misbehave(handler, request)

    with serving(only_the_second) as server:
        reranker = RankVideoRerank(backend=f"{__name__}:load_with_deadline", model=server.address)
        began = time.monotonic()
        found = reranker.postprocess_nodes(nodes, query_str="margin 1.5")
        assert time.monotonic() - began < PATIENCE
    assert [hit.node.get_content() for hit in found] == [clips[0].stem, clips[2].stem, clips[1].stem]
    assert [hit.score for hit in found] == [pytest.approx(1.5), pytest.approx(1.5), None]
    assert found[2].metadata["rerank_status"].startswith("failed: ")


def test_a_stopped_server_is_reported_as_no_connection() -> None:
    with serving() as server:
        vlm = load(server.address, deadline=DEADLINE)
    began = time.monotonic()
    [answer] = vlm.label_logprobs([prompt(1.0)], LABELS)
    assert time.monotonic() - began < PATIENCE
    assert answer.values is None
    assert "no connection" in str(answer.reason)


@pytest.mark.parametrize("code", [429, 502, 503])
def test_a_busy_server_is_retried_twice(code: int) -> None:
    def busy_twice(handler: Handler, request: Json) -> bool:
        return len(handler.server.requests) <= 2 and status(code)(handler, request)

    with serving(busy_twice) as server:
        [answer] = load(server.address, deadline=PATIENCE).label_logprobs([prompt(1.25)], LABELS)
        first, second, third = server.moments
    assert margin_of(answer) == pytest.approx(1.25)
    assert second - first >= WAITS[0] / 2
    assert third - second >= WAITS[1] / 2


@pytest.mark.parametrize("misbehave", [status(500), status(400), raw(b"{"), close_early])
def test_other_errors_are_not_retried(misbehave: Callable[[Handler, Json], bool]) -> None:
    with serving(misbehave) as server:
        load(server.address, deadline=DEADLINE).label_logprobs([prompt(1.0)], LABELS)
        assert len(server.requests) == 1


def test_a_prompt_that_kills_the_engine_does_not_affect_others() -> None:
    """The engine dies under everything that is in flight with the poisoned prompt: eight at first, then halves."""
    margins = [float(n) for n in range(8)]
    first_wave = []

    def dies(handler: Handler, request: Json) -> bool:
        with handler.server.lock:
            first_wave.append(1)
            together = len(first_wave) <= 8
        return (together or "margin 5.0" in json.dumps(request)) and close_early(handler, request)

    with serving(dies) as server:
        answers = load(server.address, deadline=PATIENCE, concurrency=8).label_logprobs([prompt(m) for m in margins], LABELS)
        assert len(server.requests) <= 8 + 8 + 4 + 2
    assert [None if answer.values is None else round(margin_of(answer), 6) for answer in answers] == [0, 1, 2, 3, 4, None, 6, 7]


def test_after_repeated_failures_requests_are_paused() -> None:
    with serving(status(500)) as server:
        vlm = load(server.address, deadline=DEADLINE, concurrency=2)
        answers = vlm.label_logprobs([prompt(float(n)) for n in range(100)], LABELS)
        assert len(server.requests) < 20
    assert all(answer.values is None for answer in answers)
    assert "not asked again" in str(answers[-1].reason)


def test_requests_resume_after_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankvideo_rag.models.vlm.endpoint._PAUSE", 0.3)
    broken = [True]
    with serving(lambda handler, request: broken[0] and status(500)(handler, request)) as server:
        vlm = load(server.address, deadline=DEADLINE, concurrency=1)
        vlm.label_logprobs([prompt(float(n)) for n in range(6)], LABELS)
        broken[0] = False
        time.sleep(0.4)
        [answer] = vlm.label_logprobs([prompt(2.5)], LABELS)
    assert margin_of(answer) == pytest.approx(2.5)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.permutations(range(5)), lost=st.sets(st.integers(0, 4), max_size=2))
def test_reordered_or_lost_replies_are_not_mixed_up(order: list[int], lost: set[int]) -> None:
    """Five requests wait for each other; each then gets the reply to another one, or none."""
    margins = [-2.0, -1.0, 0.0, 1.0, 2.0]
    replies: dict[int, Json] = {}

    def mixed_up(handler: Handler, request: Json) -> bool:
        number = next(n for n, margin in enumerate(margins) if f"margin {margin}" in json.dumps(request))
        with handler.server.lock:
            replies[number] = completion(request)
        until = time.monotonic() + 10
        while len(replies) < 5 and time.monotonic() < until:
            time.sleep(0.002)
        if number in lost:
            return close_early(handler, request)
        handler.answer(replies[order[number]])
        return True

    with serving(mixed_up) as server:
        answers = load(server.address, deadline=PATIENCE).label_logprobs([prompt(margin) for margin in margins], LABELS)
    for number, answer in enumerate(answers):
        if answer.values is not None:
            assert margin_of(answer) == pytest.approx(margins[number])
        assert (answer.values is None) == (number in lost or order[number] != number)


def test_frames_are_sent_losslessly_with_their_true_times_and_no_url() -> None:
    with serving() as server:
        load(server.address).label_logprobs([prompt(1.0)], LABELS)
        [request] = server.requests
    video, text = request["messages"][1]["content"]
    data = video["video_url"]["url"].removeprefix("data:video/jpeg;base64,")
    sent = np.stack([np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))) for one in data.split(",")])
    assert np.array_equal(sent, frames().pixels)
    assert text == {"type": "text", "text": "Is it there? margin 1.0"}
    about = request["media_io_kwargs"]["video"]
    assert [index / about["fps"] for index in about["frames_indices"]] == [30.0, 30.4, 33.0, 41.125]
    assert request["mm_processor_kwargs"] == {"do_sample_frames": False, "do_resize": False}
    assert request["logprob_token_ids"] == [1, 2, 3, 11, 12, 13]
    assert "://" not in json.dumps(request)


def test_the_numbers_are_log_probabilities_summed_over_the_spellings_of_a_label() -> None:
    with serving() as server:
        [answer] = load(server.address).label_logprobs([prompt(0.0)], LABELS)
    assert answer.values == pytest.approx((math.log(0.45), math.log(0.45)))  # the server gives 0.9 to both together


def test_a_label_that_is_no_token_gives_a_reason() -> None:
    with serving() as server:
        answers = load(server.address).label_logprobs([prompt(0.0), prompt(1.0)], ("yes", "perhaps"))
    assert [answer.values for answer in answers] == [None, None]
    assert "'perhaps'" in str(answers[0].reason)


def test_a_prompt_without_frames_abstains_and_is_not_sent() -> None:
    empty = Frames(np.zeros((0, 32, 32, 3), np.uint8), np.zeros(0))
    with serving() as server:
        nothing, answer = load(server.address).label_logprobs([Prompt("", (empty, "?")), prompt(1.0)], LABELS)
        assert len(server.requests) == 1
    assert nothing.abstained
    assert margin_of(answer) == pytest.approx(1.0)


def test_two_videos_in_one_prompt_are_refused() -> None:
    with serving() as server:
        [answer] = load(server.address).label_logprobs([Prompt("", (frames(), "and", frames(1)))], LABELS)
        assert not server.requests
    assert "shows more" in str(answer.reason)


def test_a_prefilled_answer_is_continued() -> None:
    with serving() as server:
        load(server.address).label_logprobs([prompt(1.0)._replace(prefill="<answer>")], LABELS)
        [request] = server.requests
    assert request["messages"][-1] == {"role": "assistant", "content": "<answer>"}
    assert request["continue_final_message"]
    assert not request["add_generation_prompt"]


def test_doubled_video_markers_are_avoided_by_our_own_chat_template() -> None:
    with serving(doubles_marks=True) as doubling, serving() as plain:
        for server in (doubling, plain):
            load(server.address).label_logprobs([prompt(1.0)], LABELS)
        assert "<|video_pad|>" in doubling.requests[0]["chat_template"]
        assert "<|vision_start|>" not in doubling.requests[0]["chat_template"]
        assert "chat_template" not in plain.requests[0]


def test_a_server_other_than_vllm_gets_pictures_and_is_read_by_its_likeliest_tokens() -> None:
    with serving(owner="somebody") as server:
        vlm = load(server.address)
        [answer] = vlm.label_logprobs([prompt(1.5)], LABELS)
        [request] = server.requests
        [begun] = vlm.label_logprobs([prompt(1.5)._replace(prefill="<answer>")], LABELS)
    assert margin_of(answer) == pytest.approx(1.5)
    kinds = [part["type"] for part in request["messages"][1]["content"]]
    assert kinds == ["text", "image_url"] * 4 + ["text"]
    assert request["messages"][1]["content"][6]["text"] == "<41.1 seconds>"
    assert request["top_logprobs"] == 20
    assert not {"logprob_token_ids", "media_io_kwargs", "request_id"} & set(request)
    assert "first_token" in str(begun.reason)
    assert vlm.token_ids(prompt(1.0)) is None


def test_a_label_that_is_not_among_the_likeliest_tokens_has_no_number() -> None:
    without_no = changed(lambda reply: top(reply).__delitem__(slice(3, 6)))
    with serving(without_no, owner="somebody") as server:
        [answer] = load(server.address).label_logprobs([prompt(1.5)], LABELS)
    assert answer.values is None
    assert "'no' is not among the 3 likeliest tokens" in str(answer.reason)


def test_a_text_is_written_with_its_length() -> None:
    with serving() as server:
        vlm = load(server.address)
        assert vlm.generate([prompt(1.0)] * 3, max_tokens=7) == [Generation("yes", 1)] * 3  # the end of the turn is not counted
        assert server.requests[0]["max_tokens"] == 7
        assert server.requests[0]["temperature"] == 0.0


def test_a_failed_generation_is_an_error() -> None:
    with serving(status(500, {"error": "EngineDeadError"})) as server, pytest.raises(ModelError, match="EngineDeadError"):
        load(server.address, deadline=DEADLINE).generate([prompt(1.0)], max_tokens=7)


def test_it_works_inside_an_event_loop_and_from_many_threads() -> None:
    with serving() as server:
        vlm = load(server.address)

        async def inside() -> list[LabelLogprobs]:
            many = [asyncio.to_thread(vlm.label_logprobs, [prompt(float(n))], LABELS) for n in range(6)]
            return vlm.label_logprobs([prompt(9.0)], LABELS) + [one for found in await asyncio.gather(*many) for one in found]

        answers = asyncio.run(inside())
    assert [margin_of(answer) for answer in answers] == pytest.approx([9.0, 0, 1, 2, 3, 4, 5])


def test_a_key_goes_with_every_request_and_stays_out_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKVIDEO_SERVER_KEY", "secret")
    seen = []

    def note(handler: Handler, request: Json) -> bool:
        seen.append(handler.headers["authorization"])
        return False

    with serving(note) as server:
        vlm = load(server.address)
        vlm.label_logprobs([prompt(1.0)], LABELS)
        assert vlm.name == f"server:tiny@http://127.0.0.1:{server.server_port}/v1"
    assert seen == ["Bearer secret"]


def test_the_only_model_of_an_endpoint_needs_no_name() -> None:
    with serving() as server:
        vlm = load_vlm("server", server.address.partition("#")[0])
        assert isinstance(vlm, ServerVLM)
        assert vlm.name.startswith("server:tiny@")
        with pytest.raises(InputError, match="serves tiny"):
            load_vlm("server", server.address.replace("#tiny", "#huge"))


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://host/v1", "http://", "http://user:secret@host/v1", "http://h/v1?a=b", "", None]
)
def test_an_invalid_address_is_refused_without_repeating_its_secrets(address: str | None) -> None:
    with pytest.raises(InputError) as error:
        load_vlm("server", address)
    assert "secret" not in str(error.value)


def test_a_server_that_is_not_there_when_loading_is_an_error() -> None:
    with serving() as server:
        address = server.address
    with pytest.raises(ModelError, match="no connection"):
        load(address, load_deadline=3.0)
