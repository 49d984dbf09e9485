"""Prompts on one video packed into one row have the margins of separate rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, VIDEO_FIRST, PromptSpec
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl
from rankvideo_rag.training.batches import Collator, PromptRow
from rankvideo_rag.training.inputs import InputProcessor
from rankvideo_rag.training.packing import PackedBatch, pack_prompts
from rankvideo_rag.training.vision_cache import VisionFeatureCache

QUESTIONS = ("a red square", "a blue circle that is still, seen for a long time", "no", "a red square moves")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("packing") / "tiny")


@pytest.fixture(scope="module")
def network(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder).eval()


def frame_source(path: str) -> Frames:
    """Noise; one video is wider and longer than the others."""
    count, width = (8, 96) if path == "wide" else (4, 64)
    pixels = np.random.default_rng(len(path)).integers(0, 256, (count, 64, width, 3), dtype=np.uint8)
    return Frames(pixels, np.arange(count) / 2)


def prompts(folder: Path, spec: PromptSpec, pairs: list[tuple[str, str]]) -> PackedBatch:
    processor = InputProcessor(AutoProcessor.from_pretrained(folder), model_type="qwen3_vl")
    collator = Collator(
        processor,
        frame_source,
        lambda q, frames: PromptRow(processor.prompt(spec.prompt(q, frames))),
        is_cached=lambda _: False,
    )
    return pack_prompts(*collator.rows(pairs))


@torch.inference_mode()
def last_logits(network: Any, made: PackedBatch) -> torch.Tensor:
    """(prompts, vocabulary) at the end of each prompt."""
    logits = network(
        input_ids=made.batch.tokens,
        attention_mask=made.batch.mask,
        position_ids=made.batch.positions,
        mm_encoder_outputs={"video": VisionFeatureCache(network.model, enabled=False).features(made.batch)},
        use_cache=False,
    ).logits
    at_ends: torch.Tensor = logits[made.ends[:, 0], made.ends[:, 1]]
    return at_ends


def test_questions_on_one_video_share_a_row_with_unchanged_logits(folder: Path, network: Any) -> None:
    pairs = [(question, video) for question in QUESTIONS for video in ("first", "wide", "third")]
    together = prompts(folder, VIDEO_FIRST, pairs)
    assert together.batch.tokens.shape[0] == 3
    alone = torch.cat([last_logits(network, prompts(folder, VIDEO_FIRST, [pair])) for pair in pairs])
    torch.testing.assert_close(last_logits(network, together), alone, atol=2e-5, rtol=0)


def test_questions_in_a_shared_row_do_not_affect_each_other(folder: Path, network: Any) -> None:
    kept, changed = ("a red square", "first"), [("is it blue", "first"), ("is it a green star, or what is it", "first")]
    answer_logits = [last_logits(network, prompts(folder, VIDEO_FIRST, [other, kept]))[1] for other in changed]
    torch.testing.assert_close(answer_logits[0], answer_logits[1], atol=2e-5, rtol=0)


def test_question_first_prompts_are_not_packed(folder: Path, network: Any) -> None:
    pairs = [(question, "first") for question in QUESTIONS[:2]]
    made = prompts(folder, RANKVIDEO, pairs)
    assert made.batch.tokens.shape[0] == 2
    assert made.batch.mask.ndim == 2
    alone = torch.cat([last_logits(network, prompts(folder, RANKVIDEO, [pair])) for pair in pairs])
    torch.testing.assert_close(last_logits(network, made), alone, atol=2e-5, rtol=0)


def test_a_repeated_pair_is_computed_once(folder: Path, network: Any) -> None:
    pairs = [("a red square", "first"), ("a blue circle", "first"), ("a red square", "first")]
    made = prompts(folder, VIDEO_FIRST, pairs)
    assert made.batch.tokens.shape[1] == prompts(folder, VIDEO_FIRST, pairs[:2]).batch.tokens.shape[1]
    answer_logits = last_logits(network, made)
    assert torch.equal(answer_logits[0], answer_logits[2])
