"""Render prompts with a Qwen3-VL style processor, and find the tokens of labels in its vocabulary."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
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


def explain_missing(labels: Sequence[str], tokens: Mapping[str, list[int]], model: str) -> str | None:
    """Return why a model cannot score these labels: no token of `token_ids_by_text` is a label; None where all have one."""
    missing = [label for label in labels if normalize_label(label) not in tokens]
    return f"no single token of {model} reads as {', '.join(map(repr, missing))}" if missing else None


def normalize_label(text: str) -> str:
    """Strip and lower-case a label or the text of a token."""
    return text.strip().lower()
