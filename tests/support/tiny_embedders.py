"""Tiny SentenceTransformers with random weights, in the formats of real ones, to test loading and encoding.

Built from a seed in about a second, without a download. Each function saves a model to a folder and returns the folder.
"""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizer,
    Qwen2_5OmniProcessor,
    Qwen2_5OmniThinkerConfig,
    Qwen2_5OmniThinkerForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    WhisperFeatureExtractor,
)

from rankvideo_rag.testing.tiny_checkpoints import CHAT_TEMPLATE, SPECIAL_TOKENS, qwen_tokenizer, tiny_qwen3_vl

QUERY_PROMPT = "Retrieve videos relevant to the query."
DOCUMENT_PROMPT = "Represent the video."


def tiny_qwen3_vl_embedder(folder: Path, *, seed: int = 0) -> Path:
    """A multimodal SentenceTransformer on a tiny Qwen3-VL: last token, unit length, prompts for queries and documents."""
    backbone = tiny_qwen3_vl(folder.with_name(folder.name + "-backbone"), seed=seed)
    transformer = Transformer(
        str(backbone),
        model_kwargs={"dtype": torch.float32},
        processing_kwargs={"chat_template": {"add_generation_prompt": True}},
    )
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    prompts = {"query": QUERY_PROMPT, "document": DOCUMENT_PROMPT}
    model = SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu", prompts=prompts)
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def tiny_clip_embedder(folder: Path, *, seed: int = 0) -> Path:
    """A SentenceTransformer of the CLIP family: images and text, no video, no prompts."""
    backbone = folder.with_name(folder.name + "-backbone")
    tokenizer = _clip_tokenizer()
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=layers
        | {
            "vocab_size": len(tokenizer),
            "max_position_embeddings": 77,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config=layers | {"image_size": 32, "patch_size": 16},
        projection_dim=24,
    )
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(backbone)
    images = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(backbone)
    model = SentenceTransformer(modules=[Transformer(str(backbone))], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def tiny_omni_embedder(folder: Path, *, seed: int = 0) -> Path:
    """A SentenceTransformer on a tiny Qwen2.5-Omni thinker, as OmniEmbed has: video, audio and text in one space."""
    backbone = folder.with_name(folder.name + "-backbone")
    tokenizer = _omni_tokenizer(backbone)
    torch.manual_seed(seed)
    Qwen2_5OmniThinkerForConditionalGeneration(_omni_config(tokenizer)).save_pretrained(backbone)
    template = CHAT_TEMPLATE.replace("<|vision_start|><|video_pad|><|vision_end|>", "<|vision_bos|><|VIDEO|><|vision_eos|>")
    audio = "{%- elif part.type == 'audio' -%}{{- '<|audio_bos|><|AUDIO|><|audio_eos|>' -}}"
    template = template.replace("{%- else -%}{{- part.text -}}", audio + "{%- else -%}{{- part.text -}}")
    features = WhisperFeatureExtractor(feature_size=128)
    Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(), Qwen2VLVideoProcessor(), features, tokenizer, chat_template=template
    ).save_pretrained(backbone)
    last_state = {"method": "forward", "method_output_name": ["hidden_states", -1]}
    transformer = Transformer(
        str(backbone),
        transformer_task="any-to-any",
        modality_config={kind: last_state for kind in ("text", "image", "audio", "video")}
        | {"message": last_state | {"format": "structured"}},
        module_output_name="token_embeddings",
        model_kwargs={"dtype": torch.float32},
    )
    modules = [transformer, Pooling(64, pooling_mode="lasttoken"), Normalize()]
    model = SentenceTransformer(modules=modules, device="cpu", prompts={"query": "Query: ", "document": ""})
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def _omni_tokenizer(folder: Path) -> Qwen2Tokenizer:
    """Return a tokenizer with the attributes (image_token, ...) that the processor reads, which come from its saved config."""
    special = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"} | {
        f"{modality}_{end}_token": f"<|{modality}_{end}|>" for modality in ("vision", "audio") for end in ("bos", "eos")
    }
    tokenizer = qwen_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL_TOKENS[1:], *special.values()]})
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"extra_special_tokens": special}))
    return Qwen2Tokenizer.from_pretrained(folder)


def _omni_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5OmniThinkerConfig:
    token = tokenizer.convert_tokens_to_ids
    return Qwen2_5OmniThinkerConfig(
        audio_config={
            "num_mel_bins": 128,
            "encoder_layers": 2,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 64,
            "d_model": 32,
            "output_dim": 64,
            "initializer_range": 0.2,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
            "initializer_range": 0.2,
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "initializer_range": 0.2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]},
            "pad_token_id": token("<|endoftext|>"),
        },
        image_token_index=token("<|IMAGE|>"),
        video_token_index=token("<|VIDEO|>"),
        audio_token_index=token("<|AUDIO|>"),
        audio_start_token_id=token("<|audio_bos|>"),
        audio_end_token_id=token("<|audio_eos|>"),
        vision_start_token_id=token("<|vision_bos|>"),
        vision_end_token_id=token("<|vision_eos|>"),
    )


def _clip_tokenizer() -> CLIPTokenizer:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    units = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={unit: index for index, unit in enumerate(units)}, merges=[], model_max_length=77)
