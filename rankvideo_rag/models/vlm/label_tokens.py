"""Render prompts with a Qwen3-VL style processor, and find the tokens of labels in its vocabulary."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rankvideo_rag.models.vlm import Prompt
from rankvideo_rag.models.vlm.conversation import chat_messages

_VIDEO = "<|video_pad|>"
_VIDEO_TURN = f"<|vision_start|>{_VIDEO}<|vision_end|>"


def chat_text(processor: Any, prompt: Prompt, *, model_type: str) -> str:
    """Render the chat up to where the answer begins.

    Qwen3-VL's processor puts markers around every pair of frames, and its template another pair around the whole video.
    RankVideo was trained and run without the outer ones; current processors, also in vLLM, keep them unless removed here.
    """
    text: str = processor.apply_chat_template(chat_messages(prompt), tokenize=False, add_generation_prompt=True)
    if model_type.startswith("qwen3_vl"):
        text = text.replace(_VIDEO_TURN, _VIDEO)
    return text + prompt.prefill


def token_ids_by_text(tokenizer: Any) -> Mapping[str, list[int]]:
    """Return vocabulary ids by normalized text: `yes`, ` Yes` and `YES` are all under `yes`."""
    tokens: defaultdict[str, list[int]] = defaultdict(list)
    for token, text in enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))])):
        tokens[normalize_label(text)].append(token)
    return dict(tokens)


def normalize_label(text: str) -> str:
    """Strip and lower-case a label or the text of a token."""
    return text.strip().lower()
