"""Tiny Qwen3-VL checkpoints with random weights, in the format of the real one, for tests, benchmarks and training.

Built from a seed in about a second, without a download. The vocabulary holds several spellings of yes and no.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

SENTENCES = (
    "yes no Yes No YES NO yes no Yes No YES NO",
    "yes\nno\nYes\nNo\nYES\nNO",
    "a red square moves to the left, a blue circle is still, a green star vanishes",
    "system user assistant: is the video relevant to the query? Respond with <answer>yes</answer> or <answer>no</answer>.",
    "<0.2 seconds><1.2 seconds> a helpful assistant specialized in video and text understanding",
)

# Qwen's layout: each turn between <|im_start|>role and <|im_end|>, images and videos at their place in the turn.
CHAT_TEMPLATE = """{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\n' -}}
{%- if message.content is string -%}{{- message.content -}}{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'video' -%}{{- '<|vision_start|><|video_pad|><|vision_end|>' -}}
{%- elif part.type == 'image' -%}{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}
{%- else -%}{{- part.text -}}{%- endif -%}
{%- endfor -%}{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"""


def tiny_qwen3_vl(folder: Path, *, seed: int = 0) -> Path:
    """Save a Qwen3-VL that AutoModelForImageTextToText and AutoProcessor load from the folder; return the folder."""
    return random_qwen3_vl(folder, qwen_tokenizer(), text=_TEXT, vision=_VISION, seed=seed)


def random_qwen3_vl(
    folder: Path, tokenizer: Qwen2Tokenizer, *, text: Mapping[str, Any], vision: Mapping[str, Any], seed: int
) -> Path:
    """Save a Qwen3-VL for 8 frames of 64 x 64 pixels; `text` and `vision` are fields of its configuration."""
    torch.manual_seed(seed)
    Qwen3VLForConditionalGeneration(_qwen_config(tokenizer, text, vision)).save_pretrained(folder)
    _qwen_processor(tokenizer).save_pretrained(folder)
    return folder


def qwen_tokenizer(
    sentences: Sequence[str] = SENTENCES, *, vocabulary_size: int = 420, added_tokens: Sequence[str] = ()
) -> Qwen2Tokenizer:
    """Train a byte-level tokenizer of at most `vocabulary_size` tokens on sentences; `added_tokens` are added to it."""
    vocabulary = Tokenizer(models.BPE())
    vocabulary.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=1,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    vocabulary.train_from_iterator(sentences, trainer)
    merges = [tuple(merge) for merge in json.loads(vocabulary.to_str())["model"]["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=vocabulary.get_vocab(with_added_tokens=False), merges=merges, model_max_length=4096)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    tokenizer.add_tokens(list(added_tokens))
    return tokenizer


_TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "initializer_range": 0.2,  # wide, so that outputs differ between inputs
}
_VISION = {
    "depth": 3,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": 64,
    "deepstack_visual_indexes": [0, 1],
    "initializer_range": 0.2,
}


def _qwen_config(tokenizer: Qwen2Tokenizer, text: Mapping[str, Any], vision: Mapping[str, Any]) -> Qwen3VLConfig:
    token = tokenizer.convert_tokens_to_ids
    eighth = text["head_dim"] // 8
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 4096,
            # The sections divide half of head_dim between time, height and width.
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [2 * eighth, eighth, eighth],
                "mrope_interleaved": True,
            },
            "pad_token_id": token("<|endoftext|>"),
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            **text,
        },
        vision_config={
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "num_position_embeddings": 64,  # a square: the table is 8 x 8
            **vision,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def _qwen_processor(tokenizer: Qwen2Tokenizer) -> Qwen3VLProcessor:
    patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(**patches),
        tokenizer=tokenizer,
        # `size` counts pixels x frames: 8 frames of 64 x 64.
        video_processor=Qwen3VLVideoProcessor(
            **patches,
            max_frames=8,
            size={"shortest_edge": 4 * 32 * 32, "longest_edge": 8 * 64 * 64},
            cap_pixels_per_frame=False,
        ),
        chat_template=CHAT_TEMPLATE,
    )
