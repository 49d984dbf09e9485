"""Find out what a server serves and supports, once, when the server backend is loaded.

vLLM returns vocabulary ids, takes frames with their times, and lets a request choose the chat template; others do not.
"""

import itertools

import numpy as np
from pydantic import BaseModel, Field

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt
from rankvideo_rag.models.vlm.endpoint import Address, Endpoint, RequestError
from rankvideo_rag.models.vlm.openai_protocol import (
    QWEN3_VL_TEMPLATE,
    ServerInfo,
    chat_request,
    encode_videos,
    parse_reply,
)

# 224 pixels are a multiple of the patch sizes of all Qwen-VL models.
_PROBE = Prompt("", (Frames(np.zeros((2, 224, 224, 3), np.uint8), np.array([0.0, 1.0])),))
_TEXT_ONLY = "not a multimodal model"  # part of vLLM's error for a picture sent to a text model
_BLANKS = ("", " ", "\t", "\u00a0")  # that a label's token may begin with
_MAX_ALL_CASES = 4  # letters; longer labels have the three usual spellings


class _Tokens(BaseModel):
    tokens: list[int]  # of vLLM's /tokenize


class _ServedModel(BaseModel):
    id: str
    owned_by: str | None = None


class _ServedModels(BaseModel):
    data: list[_ServedModel] = Field(min_length=1)


async def fetch_server_info(endpoint: Endpoint, address: Address, *, due: float) -> ServerInfo:
    """Return which model is served and what the server supports. Raises ModelError, and InputError for another model."""
    served = parse_reply(_ServedModels, await endpoint.request("/models", due=due)).data
    named = [model for model in served if address.model in (None, model.id)]
    if len(named) != 1:
        names = ", ".join(model.id for model in served)
        raise InputError(f"{address.base_url} serves {names}: name one of them after a #, as in {address.base_url}#{names}")
    info = ServerInfo(named[0].id, is_vllm=named[0].owned_by == "vllm", chat_template=None)
    return await _choose_template(endpoint, info, due=due) if info.is_vllm else info


async def _choose_template(endpoint: Endpoint, info: ServerInfo, *, due: float) -> ServerInfo:
    """Set a chat template where the server's own adds markers around a video that has markers already."""
    markers = [await tokenize(endpoint, info, text, due=due) for text in ("<|vision_start|>", "<|video_pad|>")]
    if any(len(marker) != 1 for marker in markers):
        return info
    [start], [pad] = markers
    try:
        shown = await tokenize_prompt(endpoint, info, _PROBE, due=due)
    except RequestError as error:
        if _TEXT_ONLY in str(error):
            return info  # a text model with the vocabulary of its multimodal relatives, such as Qwen3
        raise
    if pad not in shown or shown[: shown.index(pad)].count(start) < 2:
        return info
    info = info._replace(chat_template=QWEN3_VL_TEMPLATE)
    await tokenize_prompt(endpoint, info, _PROBE, due=due)  # fails now, not at every prompt, where templates are not trusted
    return info


async def tokenize(endpoint: Endpoint, info: ServerInfo, text: str, *, due: float) -> list[int]:
    """Return a text's vocabulary ids."""
    return await _tokenize(endpoint, {"model": info.model, "prompt": text, "add_special_tokens": False}, due=due)


async def tokenize_prompt(endpoint: Endpoint, info: ServerInfo, prompt: Prompt, *, due: float) -> list[int]:
    """Return a prompt's vocabulary ids, with a placeholder for each token of a picture. The model does not run."""
    return await _tokenize(endpoint, chat_request(info, prompt, encode_videos([prompt])), due=due)


async def _tokenize(endpoint: Endpoint, body: dict[str, object], *, due: float) -> list[int]:
    return parse_reply(_Tokens, await endpoint.request("/tokenize", body, due=due, below_version=False)).tokens


def spellings(label: str) -> list[str]:
    """Return texts that equal the label once stripped and lower-cased.

    >>> spellings("no")[:5]
    ['no', 'nO', 'No', 'NO', ' no']
    """
    plain = label.strip().lower()
    if len(plain) <= _MAX_ALL_CASES:
        cases = ["".join(letters) for letters in itertools.product(*((letter, letter.upper()) for letter in plain))]
    else:
        cases = [plain, plain.capitalize(), plain.upper()]
    return list(dict.fromkeys(blank + text for blank in _BLANKS for text in cases))
