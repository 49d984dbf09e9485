"""Convert prompts to chat messages, and check them before a model reads them."""

from collections.abc import Sequence
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import LabelLogprobs, Prompt


def chat_messages(prompt: Prompt) -> list[dict[str, Any]]:
    """Return the messages for a chat template: a system message if there is a system text, and the user's, with placeholders
    for videos."""
    content = [{"type": "video"} if isinstance(part, Frames) else {"type": "text", "text": part} for part in prompt.user]
    system = [{"role": "system", "content": [{"type": "text", "text": prompt.system}]}] if prompt.system else []
    return [*system, {"role": "user", "content": content}]


def prompt_videos(prompts: Sequence[Prompt]) -> list[Frames]:
    """Return the videos of all prompts, in the order in which they are read."""
    return [part for prompt in prompts for part in prompt.user if isinstance(part, Frames)]


def has_empty_video(prompt: Prompt) -> bool:
    """Return whether a video of the prompt has no frames."""
    return any(not len(frames) for frames in prompt_videos([prompt]))


def abstain_from_empty(prompts: Sequence[Prompt]) -> dict[int, LabelLogprobs]:
    """Return an abstention for each prompt that shows a video without frames, by index."""
    nothing = LabelLogprobs(None, "the prompt shows no frame", abstained=True)
    return {index: nothing for index, prompt in enumerate(prompts) if has_empty_video(prompt)}


def validate_generation(prompts: Sequence[Prompt], *, max_tokens: int) -> None:
    """Raise InputError for prompts or a length that no backend can generate text for."""
    if max_tokens < 1:
        raise InputError(f"max_tokens = {max_tokens}: at least 1 is needed")
    empty = [index for index, prompt in enumerate(prompts) if has_empty_video(prompt)]
    if empty:
        raise InputError(f"prompt {empty[0]} of {len(prompts)} shows a video without frames: omit it")


def estimate_length(prompt: Prompt) -> int:
    """Estimate a prompt's tokens: one for about 6,000 bytes of pixels, or for 4 letters."""
    return sum(part.pixels.size // 6_000 if isinstance(part, Frames) else len(part) // 4 for part in prompt.user)
