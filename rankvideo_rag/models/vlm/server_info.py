"""What an endpoint serves and understands: found out once, when the server backend is loaded.

vLLM tells vocabulary ids, takes frames with their times, and lets the form of a prompt be chosen; others do none of these.
"""

import itertools
import os

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt
from rankvideo_rag.models.vlm.conversation import prompt_videos
from rankvideo_rag.models.vlm.endpoint import Address, Circuit, Endpoint, Failure
from rankvideo_rag.models.vlm.openai_protocol import QWEN3_VL_TEMPLATE, Ask, ModelList, TokenList, encode_frames, parse, request

KEY_VARIABLE = "RANKVIDEO_SERVER_KEY"
# 224 pixels are a multiple of what every Qwen-VL cuts a frame into.
_PROBE = Prompt("", (Frames(np.zeros((2, 224, 224, 3), np.uint8), np.array([0.0, 1.0])),))
_TEXT_ONLY = "not a multimodal model"  # what vLLM says of a picture to a model without eyes
_BLANKS = ("", " ", "\t", "\u00a0")  # that a token of a label may begin with
_LONGEST_IN_ALL_CASES = 4  # letters; longer labels have the three usual spellings


async def introduce(address: Address, *, due: float) -> Ask:
    """Find out which model is served and what the endpoint understands. Raises ModelError, InputError."""
    async with Endpoint(address.base_url, Circuit(), headers=headers()) as endpoint:
        served = parse(ModelList, await endpoint.ask("/models", due=due)).data
        named = [model for model in served if address.model in (None, model.id)]
        if len(named) != 1:
            names = ", ".join(model.id for model in served)
            raise InputError(f"{address.base_url} serves {names}: name one of them after a #, as in {address.base_url}#{names}")
        ask = Ask(named[0].id, is_vllm=named[0].owned_by == "vllm", chat_template=None)
        return await _with_template(endpoint, ask, due=due) if ask.is_vllm else ask


async def _with_template(endpoint: Endpoint, ask: Ask, *, due: float) -> Ask:
    """The same, with a chat template of ours where the server's puts marks around a video that has marks of its own."""
    marks = [await tokens_of(endpoint, ask, text, due=due) for text in ("<|vision_start|>", "<|video_pad|>")]
    if any(len(mark) != 1 for mark in marks):
        return ask
    [start], [pad] = marks
    try:
        shown = await rendered(endpoint, ask, _PROBE, due=due)
    except Failure as failure:
        if _TEXT_ONLY in str(failure):
            return ask  # its vocabulary has the marks of its relatives with eyes, as Qwen3's has
        raise
    if pad not in shown or shown[: shown.index(pad)].count(start) < 2:
        return ask
    ask = ask._replace(chat_template=QWEN3_VL_TEMPLATE)
    await rendered(endpoint, ask, _PROBE, due=due)  # fails here rather than at every prompt where templates are not trusted
    return ask


async def tokens_of(endpoint: Endpoint, ask: Ask, text: str, *, due: float) -> list[int]:
    """A text's vocabulary ids."""
    body = {"model": ask.model, "prompt": text, "add_special_tokens": False}
    return parse(TokenList, await endpoint.ask("/tokenize", body, due=due, below_version=False)).tokens


async def rendered(endpoint: Endpoint, ask: Ask, prompt: Prompt, *, due: float) -> list[int]:
    """A prompt's vocabulary ids, a placeholder for each token of a picture included. The model does not run for it."""
    pictures = {id(frames): encode_frames(frames, as_video=True) for frames in prompt_videos([prompt])}
    return parse(
        TokenList, await endpoint.ask("/tokenize", request(ask, prompt, pictures), due=due, below_version=False)
    ).tokens


def spellings(label: str) -> list[str]:
    """Texts that read as the label once stripped and lower-cased.

    >>> spellings("no")[:5]
    ['no', 'nO', 'No', 'NO', ' no']
    """
    plain = label.strip().lower()
    if len(plain) <= _LONGEST_IN_ALL_CASES:
        cases = ["".join(letters) for letters in itertools.product(*((letter, letter.upper()) for letter in plain))]
    else:
        cases = [plain, plain.capitalize(), plain.upper()]
    return list(dict.fromkeys(blank + text for blank in _BLANKS for text in cases))


def headers() -> dict[str, str]:
    """What every request carries: the key, where there is one."""
    key = os.environ.get(KEY_VARIABLE)
    return {"authorization": f"Bearer {key}"} if key else {}
