"""A prompt as the chat that a model's own template takes, and what can be told of it before any model reads it.

Pure: it knows neither models nor processors.
"""

from collections.abc import Sequence
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt


def chat_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """The turns of the chat: a system turn where there is a system text, and the user's. Videos are only marked."""
    said = [{"type": "video"} if isinstance(part, Frames) else {"type": "text", "text": part} for part in prompt.user]
    system = [{"role": "system", "content": [{"type": "text", "text": prompt.system}]}] if prompt.system else []
    return [*system, {"role": "user", "content": said}]


def prompt_videos(prompts: Sequence[Prompt]) -> list[Frames]:
    """Every video of the prompts, in the order in which they are read."""
    return [part for prompt in prompts for part in prompt.user if isinstance(part, Frames)]


def has_empty_video(prompt: Prompt) -> bool:
    """Whether a video of the prompt has no frames."""
    return any(not len(frames) for frames in prompt_videos([prompt]))


def validate_generation(prompts: Sequence[Prompt], *, max_tokens: int) -> None:
    """Raises InputError for what no backend can write a text after."""
    if max_tokens < 1:
        raise InputError(f"max_tokens = {max_tokens}: at least one token must be asked for")
    empty = [index for index, prompt in enumerate(prompts) if has_empty_video(prompt)]
    if empty:
        raise InputError(f"prompt {empty[0]} of {len(prompts)} shows a video without frames: leave it out")


def estimate_length(prompt: Prompt) -> int:
    """Something that grows with the number of tokens: a token shows some 6,000 bytes of pixels or 4 letters."""
    return sum(part.pixels.size // 6_000 if isinstance(part, Frames) else len(part) // 4 for part in prompt.user)
