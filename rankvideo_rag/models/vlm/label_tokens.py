"""Text and labels as a Qwen3-VL style processor has them: the chat before it is cut into tokens, the tokens of a label.

Knows a transformers processor by its methods only, and imports none.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from rankvideo_rag.models.vlm import Prompt
from rankvideo_rag.models.vlm.conversation import chat_messages

_VIDEO = "<|video_pad|>"
_VIDEO_TURN = f"<|vision_start|>{_VIDEO}<|vision_end|>"


def chat_text(processor: Any, prompt: Prompt, *, model_type: str) -> str:
    """The chat up to where the answer begins.

    Qwen3-VL puts marks around every pair of frames, and its template a further pair around the whole video. RankVideo was
    trained and run without the outer ones; current processors, and vLLM with them, keep them unless they are taken out here.
    """
    text: str = processor.apply_chat_template(chat_messages(prompt), tokenize=False, add_generation_prompt=True)
    if model_type.startswith("qwen3_vl"):
        text = text.replace(_VIDEO_TURN, _VIDEO)
    return text + prompt.prefill


def token_ids_by_text(tokenizer: Any) -> Mapping[str, list[int]]:
    """Vocabulary ids by what they read as: `yes`, ` Yes` and `YES` read as `yes`."""
    tokens: defaultdict[str, list[int]] = defaultdict(list)
    for token, text in enumerate(tokenizer.batch_decode([[token] for token in range(len(tokenizer))])):
        tokens[normalize_label(text)].append(token)
    return dict(tokens)


def normalize_label(text: str) -> str:
    """What a label or a token reads as: stripped and in lower case."""
    return text.strip().lower()
