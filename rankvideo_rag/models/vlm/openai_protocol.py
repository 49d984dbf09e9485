"""OpenAI-compatible chat completions as data: a prompt becomes a request, a reply becomes numbers or a reason.

Frames travel inside the request, as PNG, which loses nothing; no address of a picture is ever sent. To vLLM they go as one
video with the frames' true times, to others as pictures in order with their times written between them. Pure: no network.
"""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rankvideo_rag.media import Frames
from rankvideo_rag.models.video_inputs import video_metadata
from rankvideo_rag.models.vlm import LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import prompt_videos
from rankvideo_rag.models.vlm.endpoint import Failure
from rankvideo_rag.models.vlm.label_tokens import normalize_label

# A template without marks of its own around a video: see vocabulary.chat_text.
QWEN3_VL_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{- '<|video_pad|>' -}}{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{- '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
GREEDY = {"temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
VLLM_GREEDY = GREEDY | {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}  # else the checkpoint's own settings hold
MOST_LIKELY = 20  # tokens that an endpoint other than vLLM names at most
_NOTHING = -9998.0  # vLLM writes -9999 for the logarithm of 0
_ROUNDING = 1e-3  # by which log-probabilities may exceed what is possible


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False, strict=True)


class TokenLogprob(_Part):
    token: str
    logprob: float


class _Position(_Part):
    top_logprobs: list[TokenLogprob]


class _Positions(_Part):
    content: list[_Position] = Field(min_length=1)


class _Message(_Part):
    content: str | None = None


class _Choice(_Part):
    message: _Message
    logprobs: _Positions | None = None
    finish_reason: str | None = None


class _Usage(_Part):
    completion_tokens: int = Field(ge=0)


class Reply(_Part):
    """One completion."""

    id: str
    choices: list[_Choice] = Field(min_length=1, max_length=1)
    usage: _Usage | None = None


class TokenList(_Part):
    """What vLLM's /tokenize answers."""

    tokens: list[int]


class Model(_Part):
    id: str
    owned_by: str | None = None


class ModelList(_Part):
    """What /v1/models answers."""

    data: list[Model] = Field(min_length=1)


class Ask(NamedTuple):
    """What differs between endpoints, found out when the backend is loaded."""

    model: str
    is_vllm: bool
    chat_template: str | None  # None: the server's own


Kind = TypeVar("Kind", bound=BaseModel)


def parse(kind: type[Kind], text: bytes) -> Kind:
    """A reply of that kind. Raises Failure that names the first thing wrong with it."""
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise Failure(f"the reply cannot be used: {where}: {first['msg']}") from error


def request(ask: Ask, prompt: Prompt, pictures: Mapping[int, str], **options: Any) -> dict[str, Any]:
    """A request for one completion. `pictures` holds the encoded frames by `id` of their Frames."""
    body = {"model": ask.model, "messages": _messages(ask, prompt, pictures), **options}
    if not ask.is_vllm:
        return body
    body |= {"add_generation_prompt": not prompt.prefill, "continue_final_message": bool(prompt.prefill)}
    if ask.chat_template is not None:
        body["chat_template"] = ask.chat_template
    if videos := prompt_videos([prompt]):
        true_times = video_metadata(videos[0])
        shown = {name: true_times[name] for name in ("fps", "frames_indices", "total_num_frames", "duration")}
        body["media_io_kwargs"] = {"video": {"num_frames": len(videos[0]), **shown}}
        body["mm_processor_kwargs"] = {"do_sample_frames": False, "do_resize": False}
    return body


def refusal(ask: Ask, prompt: Prompt) -> str | None:
    """Why this endpoint cannot be asked this prompt; None where it can."""
    if ask.is_vllm and len(prompt_videos([prompt])) > 1:
        return "over HTTP one video a prompt can be shown with its true times, and this prompt shows more"
    if prompt.prefill and not ask.is_vllm:
        return "this endpoint cannot go on with an answer that is begun: use a prompt that is read at first_token, or vLLM"
    return None


def encode_frames(frames: Frames, *, as_video: bool) -> str:
    """The frames as PNG in base64: one data address for a video, or one picture a line."""
    pictures = []
    for pixels in frames.pixels:
        with io.BytesIO() as file:
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
            pictures.append(base64.b64encode(file.getvalue()).decode())
    # vLLM's name for a list of pictures; it looks at the bytes, not at the name, to tell their format.
    return "data:video/jpeg;base64," + ",".join(pictures) if as_video else "\n".join(pictures)


def _messages(ask: Ask, prompt: Prompt, pictures: Mapping[int, str]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for part in prompt.user:
        if isinstance(part, str):
            said.append({"type": "text", "text": part})
        elif ask.is_vllm:
            said.append({"type": "video_url", "video_url": {"url": pictures[id(part)]}})
        else:
            said += _as_pictures(part, pictures[id(part)])
    turns: list[dict[str, Any]] = [{"role": "system", "content": prompt.system}] if prompt.system else []
    begun: list[dict[str, Any]] = [{"role": "assistant", "content": prompt.prefill}] if prompt.prefill else []
    return [*turns, {"role": "user", "content": said}, *begun]


def _as_pictures(frames: Frames, encoded: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = []
    for time, picture in zip(frames.times, encoded.splitlines(), strict=True):
        shown.append({"type": "text", "text": f"<{time:.1f} seconds>"})
        shown.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}})
    return shown


def of_ids(reply: Reply, asked: Mapping[str, Sequence[int]]) -> LabelLogprobs:
    """The log-probability of each label from tokens that were asked for by id; each must be there exactly once.

    Raises Failure for numbers that are no log-probabilities.
    """
    given: dict[str, float] = {}
    for one in _first_position(reply):
        if one.token in given:
            raise Failure(f"the reply cannot be used: it names {one.token!r} twice")
        given[one.token] = one.logprob
    missing = [label for label, ids in asked.items() if not all(f"token_id:{token}" in given for token in ids)]
    if missing:
        return LabelLogprobs(None, f"the reply has no log-probability for {', '.join(map(repr, missing))}")
    return _sums({label: [given[f"token_id:{token}"] for token in ids] for label, ids in asked.items()})


def of_texts(reply: Reply, labels: Sequence[str]) -> LabelLogprobs:
    """The log-probability of each label from the likeliest tokens, which is all that endpoints other than vLLM tell.

    Rarer spellings of a label may be missing from its sum; a label that is not among them at all has no number.
    """
    given = _first_position(reply)
    rows = {label: [one.logprob for one in given if normalize_label(one.token) == normalize_label(label)] for label in labels}
    missing = [label for label, row in rows.items() if not row]
    if missing:
        return LabelLogprobs(None, f"{', '.join(map(repr, missing))} is not among the {len(given)} likeliest tokens")
    return _sums(rows)


def _first_position(reply: Reply) -> list[TokenLogprob]:
    positions = reply.choices[0].logprobs
    if positions is None:
        raise Failure("the reply has no log-probabilities: the endpoint does not give any, or not for this model")
    return positions.content[0].top_logprobs


def _sums(rows: Mapping[str, Sequence[float]]) -> LabelLogprobs:
    impossible = [value for row in rows.values() for value in row if value > _ROUNDING]
    if impossible:
        raise Failure(f"the reply cannot be used: {impossible[0]} is the logarithm of no probability")
    usable = {label: [value for value in row if value > _NOTHING] for label, row in rows.items()}
    without = [label for label, row in usable.items() if not row]
    if without:
        return LabelLogprobs(None, f"the model gives {', '.join(map(repr, without))} no probability at all")
    values = tuple(float(np.logaddexp.reduce(row)) for row in usable.values())
    total = sum(math.exp(value) for value in dict(zip(map(normalize_label, usable), values, strict=True)).values())
    if total > 1 + _ROUNDING * len(values):
        raise Failure(f"the reply cannot be used: the probabilities of the labels sum to {total:.3f}")
    return LabelLogprobs(values)
