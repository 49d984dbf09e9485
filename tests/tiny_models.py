"""Tiny models with random weights in the formats of the real ones: for tests of the loaders, not of what they answer.

Built from a seed in about a second, with no download. The vocabulary holds several spellings of yes and no.
"""

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
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
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    WhisperFeatureExtractor,
)

# At this size a second thread costs more than it brings.
torch.set_num_threads(1)

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

# Qwen's layout: each turn between <|im_start|>role and <|im_end|>, pictures and videos where they stand in the turn.
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

QUERY_PROMPT = "Retrieve videos relevant to the query."
DOCUMENT_PROMPT = "Represent the video."


def tiny_qwen3_vl(folder: Path, *, seed: int = 0) -> Path:
    """A Qwen3-VL that AutoModelForImageTextToText and AutoProcessor load from the folder."""
    processor = _qwen_processor()
    torch.manual_seed(seed)
    Qwen3VLForConditionalGeneration(_qwen_config(processor.tokenizer)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


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
    """A SentenceTransformer of the CLIP family: pictures and text, no video, no prompts."""
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
    pictures = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    CLIPProcessor(image_processor=pictures, tokenizer=tokenizer).save_pretrained(backbone)
    model = SentenceTransformer(modules=[Transformer(str(backbone))], device="cpu")
    model.save_pretrained(str(folder), create_model_card=False)
    return folder


def tiny_omni_embedder(folder: Path, *, seed: int = 0) -> Path:
    """A SentenceTransformer on a tiny Qwen2.5-Omni thinker, OmniEmbed's kind of model: video, sound and text in one space."""
    backbone = folder.with_name(folder.name + "-backbone")
    tokenizer = _omni_tokenizer(backbone)
    torch.manual_seed(seed)
    Qwen2_5OmniThinkerForConditionalGeneration(_omni_config(tokenizer)).save_pretrained(backbone)
    template = CHAT_TEMPLATE.replace("<|vision_start|><|video_pad|><|vision_end|>", "<|vision_bos|><|VIDEO|><|vision_eos|>")
    audio = "{%- elif part.type == 'audio' -%}{{- '<|audio_bos|><|AUDIO|><|audio_eos|>' -}}"
    template = template.replace("{%- else -%}{{- part.text -}}", audio + "{%- else -%}{{- part.text -}}")
    ears = WhisperFeatureExtractor(feature_size=128)
    Qwen2_5OmniProcessor(
        Qwen2VLImageProcessor(), Qwen2VLVideoProcessor(), ears, tokenizer, chat_template=template
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
    """The processor asks its tokenizer for its marks by name: these stand in the saved settings."""
    marks = {"image_token": "<|IMAGE|>", "audio_token": "<|AUDIO|>", "video_token": "<|VIDEO|>"} | {
        f"{sense}_{end}_token": f"<|{sense}_{end}|>" for sense in ("vision", "audio") for end in ("bos", "eos")
    }
    tokenizer = _qwen_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL_TOKENS[1:], *marks.values()]})
    tokenizer.save_pretrained(folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"extra_special_tokens": marks}))
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


def _qwen_config(tokenizer: Qwen2Tokenizer) -> Qwen3VLConfig:
    token = tokenizer.convert_tokens_to_ids
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "max_position_embeddings": 4096,
            "initializer_range": 0.2,  # wide, so that answers differ between inputs
            # The sections share out half of head_dim between time, height and width.
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [4, 2, 2],
                "mrope_interleaved": True,
            },
            "pad_token_id": token("<|endoftext|>"),
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
        },
        vision_config={
            "depth": 3,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,  # a square: the table is 8 x 8
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": 0.2,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def _qwen_processor() -> Qwen3VLProcessor:
    tokenizer = _qwen_tokenizer()
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


def _qwen_tokenizer() -> Qwen2Tokenizer:
    vocabulary = Tokenizer(models.BPE())
    vocabulary.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    vocabulary.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, min_frequency=1, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False
    )
    vocabulary.train_from_iterator(SENTENCES, trainer)
    merges = [tuple(merge) for merge in json.loads(vocabulary.to_str())["model"]["merges"]]
    tokenizer = Qwen2Tokenizer(vocab=vocabulary.get_vocab(with_added_tokens=False), merges=merges, model_max_length=4096)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL_TOKENS[1:])})
    return tokenizer


def _clip_tokenizer() -> CLIPTokenizer:
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    units = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={unit: index for index, unit in enumerate(units)}, merges=[], model_max_length=77)
