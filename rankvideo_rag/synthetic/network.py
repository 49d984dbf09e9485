"""The untrained tiny model: Qwen3-VL's architecture, 2.7 million weights, a vocabulary of the words of synthetic clips.

The fixed parts of prompts and every possible time of a frame are one token each: a ranking prompt has about 55 tokens.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

from rankvideo_rag.models.vlm.prompt_spec import VIDEO_FIRST
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.synthetic import grammar
from rankvideo_rag.synthetic.grammar import caption
from rankvideo_rag.synthetic.scenes import training_scenes
from rankvideo_rag.testing.tiny_checkpoints import SENTENCES, qwen_tokenizer, random_qwen3_vl
from rankvideo_rag.training.synthesis.prompts import CAPTION

SIDE = 64  # pixels, of a frame that the network reads
SPEC = VIDEO_FIRST.model_copy(
    update={
        "name": "synthetic",
        "frames": FrameBudget(max_frames=8, min_pixels=SIDE * SIDE, max_pixels=SIDE * SIDE),
    }
)

_TEXT = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 32,
    "initializer_range": 0.05,
}
_VISION = {
    "depth": 4,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_heads": 4,
    "out_hidden_size": 128,
    "deepstack_visual_indexes": [1, 2],
    "initializer_range": 0.05,
}
_MAX_SECONDS = 10.0  # seconds of which every tenth has a token


def write_untrained_model(folder: Path, *, seed: int) -> Path:
    """Write the model with its processor and tokenizer into a folder."""
    tokenizer = qwen_tokenizer(list(_sentences()), vocabulary_size=6000, added_tokens=list(_single_tokens()))
    return random_qwen3_vl(folder, tokenizer, text=_TEXT, vision=_VISION, seed=seed)


def _sentences() -> Iterator[str]:
    """Yield sentences with every word of captions and queries."""
    random = Random(0)
    yield from (caption(scene) for _ in range(300) for scene in training_scenes(random))
    ways: tuple[Mapping[str, tuple[str, ...]], ...] = (
        grammar.COLOUR_WAYS,
        grammar.SHAPE_WAYS,
        grammar.MOTION_WAYS,
        grammar.EVENT_WAYS,
        grammar.BACKGROUND_WAYS,
    )
    yield from (f"{way} {way} something {way}" for table in ways for words in table.values() for way in words)
    yield from (pattern.format("something", "something") for pattern in grammar.TOGETHER + grammar.BEFORE + grammar.AFTER)
    yield from ("a video on an and", "system\nuser\nassistant\n", *SENTENCES[:2])


def _single_tokens() -> Iterator[str]:
    yield from filter(None, (SPEC.system, *SPEC.question.split("{query}"), CAPTION.system, CAPTION.user))
    yield from ("<think>", "</think>", "<answer>", "</answer>")
    yield from (f"<{tenth / 10:.1f} seconds>" for tenth in range(round(10 * _MAX_SECONDS)))
