"""vLLM for real, on the CPU with a tiny Qwen3-VL: in this process and behind `vllm serve`, against transformers.

Skipped where vLLM is not installed; `make test-vllm` installs it beside, in an environment of its own, and runs this file.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("vllm", reason="vLLM is not installed: make test-vllm")

import torch
from transformers import AutoConfig, Qwen3VLForConditionalGeneration

from rankvideo_rag.eval.backend_agreement import BackendAgreement, compare_backends
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import VLM, Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, VIDEO_FIRST
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

# The warnings are those of vLLM and what it brings, and come from threads of its own.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.timeout(600)]

LABELS = ("yes", "no")
TOLERANCE = 0.02  # nats
SHAPES = ("a red square", "a blue circle", "a green star", "something that moves to the left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With heads of 32 numbers: vLLM's attention on the CPU has no kernel for fewer."""
    folder = tiny_qwen3_vl(tmp_path_factory.mktemp("vllm") / "tiny")
    config = AutoConfig.from_pretrained(folder)
    config.text_config.head_dim = 32
    config.text_config.rope_parameters["mrope_section"] = [8, 4, 4]
    torch.manual_seed(0)
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> VLM:
    return load_vlm("transformers", str(folder), device="cpu")


@pytest.fixture(scope="module")
def engine(folder: Path) -> VLM:
    began = time.monotonic()
    vlm = load_vlm("vllm", str(folder))
    print(f"vLLM loaded in {time.monotonic() - began:.0f} s")  # noqa: T201
    return vlm


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[VLM]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # What `vllm serve` runs; that command asks for the version of a package `vllm`, and the one for CPUs has another name.
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", folder, "--served-model-name", "tiny"]
    command += ["--host", "127.0.0.1"]
    command += ["--port", str(port), "--dtype", "float32", "--enforce-eager", "--max-model-len", "2048"]
    command += ["--kv-cache-memory-bytes", str(1 << 29), "--limit-mm-per-prompt", '{"video": 1, "image": 0}']
    command += ["--trust-request-mm-kwargs", "--trust-request-chat-template", "--no-mm-device-do-normalize"]
    environment = os.environ | {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(list(map(str, command)), env=environment, start_new_session=True)
    try:
        _wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
        yield load_vlm("server", f"http://127.0.0.1:{port}/v1#tiny")
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 400
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            time.sleep(1)
    raise AssertionError(f"vllm serve did not come up (exit code {process.poll()})")


def shown(seed: int, *, times: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5), width: int = 64, height: int = 64) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(times), height, width, 3), dtype=np.uint8)
    return Frames(pixels, np.array(times))


def pairs() -> list[Prompt]:
    """64 of them: 16 videos of several lengths, sizes and uneven times, four questions each, two forms of prompt."""
    starts = (0.0, 0.4, 3.0, 3.6, 11.0)
    videos = [
        shown(seed, times=tuple(seed + start for start in starts[: 2 + seed % 4]), width=64 + 32 * (seed % 3))
        for seed in range(16)
    ]
    return [(RANKVIDEO if n % 2 else VIDEO_FIRST).prompt(text, video) for n, video in enumerate(videos) for text in SHAPES]


def report(found: BackendAgreement, seconds: float, who: str) -> None:
    print(f"{who}: largest difference {found.largest:.2e} nats over {len(found.pairs)} pairs, {seconds:.1f} s")  # noqa: T201


def check(vlm: VLM, ours: VLM, who: str) -> None:
    began = time.monotonic()
    found = compare_backends(ours, vlm, pairs(), LABELS, tolerance=TOLERANCE)
    report(found, time.monotonic() - began, who)
    assert found.tokens == "same"
    assert len(found.pairs) == 64
    assert not [pair for pair in found.pairs if pair.difference is None]
    assert found.largest is not None
    assert found.largest < TOLERANCE
    assert found.order_identical
    assert found.agree


def test_vllm_in_this_process_gives_the_margins_of_transformers(engine: VLM, ours: VLM) -> None:
    check(engine, ours, "in process")


def test_vllm_gives_the_log_probabilities_themselves_not_only_their_difference(engine: VLM, ours: VLM) -> None:
    prompts = pairs()[:8]
    for mine, theirs in zip(ours.label_logprobs(prompts, LABELS), engine.label_logprobs(prompts, LABELS), strict=True):
        assert theirs.values == pytest.approx(mine.values, abs=1e-3)


def test_the_same_pixels_at_other_times_are_another_video(engine: VLM) -> None:
    early, late = shown(1), shown(1, times=(70.0, 70.5, 71.0, 71.5))
    first, second = engine.label_logprobs([VIDEO_FIRST.prompt("a star", frames) for frames in (early, late)], LABELS)
    assert first.values != second.values


def test_a_refused_prompt_does_not_affect_others(engine: VLM) -> None:
    good = RANKVIDEO.prompt("a star", shown(1))
    long = Prompt("", ("star " * 9000,))
    [first, refused, last] = engine.label_logprobs([good, long, good], LABELS)
    assert first.values is not None
    assert last.values is not None
    assert refused.values is None
    assert "context length is 4096 tokens" in str(refused.reason)


def test_vllm_writes_what_transformers_writes(engine: VLM, ours: VLM) -> None:
    prompts = pairs()[:3]
    assert engine.generate(prompts, max_tokens=6) == ours.generate(prompts, max_tokens=6)


def test_vllm_serve_gives_the_margins_of_transformers(server: VLM, ours: VLM) -> None:
    check(server, ours, "over HTTP")


def test_vllm_serve_writes_what_transformers_writes(server: VLM, ours: VLM) -> None:
    prompts = pairs()[:3]
    assert server.generate(prompts, max_tokens=6) == ours.generate(prompts, max_tokens=6)
