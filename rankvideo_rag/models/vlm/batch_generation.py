"""Generate texts for many prompts, so that one that breaks the model does not cost others their texts."""

from collections.abc import Sequence

from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.vlm import VLM, Generation, Prompt


def generate_each(vlm: VLM, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation | ModelError]:
    """Generate a text for each prompt, in the order given. A call that fails is repeated for each half of its prompts."""
    if not prompts:
        return []
    try:
        written = vlm.generate(prompts, max_tokens=max_tokens)
        if len(written) != len(prompts):
            raise ModelError(f"{vlm.name} gave {len(written)} texts for {len(prompts)} prompts")
    except ModelError as error:
        if len(prompts) == 1:
            return [error]
        half = len(prompts) // 2
        return [one for part in (prompts[:half], prompts[half:]) for one in generate_each(vlm, part, max_tokens=max_tokens)]
    return list(written)
