"""Build OpenAI-compatible chat requests from prompts, and read log-probabilities from the replies.

Frames are sent inside the request as PNG, which is lossless; no URL of a picture is ever sent. vLLM gets them as one video with
the frames' true times, other servers as pictures in order with their times written between them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion_token_logprob import TopLogprob
from pydantic import BaseModel, ValidationError

from rankvideo_rag.formats.strict import explain_faults
from rankvideo_rag.media import Frames
from rankvideo_rag.models.video_inputs import png_base64, video_metadata
from rankvideo_rag.models.vlm import LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import prompt_videos
from rankvideo_rag.models.vlm.endpoint import RequestError
from rankvideo_rag.models.vlm.label_tokens import normalize_label

# A template that adds no markers around a video: see label_tokens.chat_text.
QWEN3_VL_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'video' -%}{{- '<|video_pad|>' -}}{%- else -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{- '<|im_end|>\n' -}}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}"
)
_GREEDY = {"temperature": 0.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
_VLLM_GREEDY = {"top_k": 0, "min_p": 0.0, "repetition_penalty": 1.0}  # else the checkpoint's own settings apply
_TOP_LOGPROBS = 20  # the most that servers other than vLLM return
_ZERO = -9998.0  # vLLM writes -9999 for the logarithm of 0
_ROUNDING = 1e-3  # by which log-probabilities may exceed what is possible


class ServerInfo(NamedTuple):
    """What differs between servers, found out when the backend is loaded."""

    model: str
    is_vllm: bool
    chat_template: str | None  # None: the server's own


Kind = TypeVar("Kind", bound=BaseModel)
LabelIds = Mapping[str, Sequence[int]]  # label -> vocabulary ids; empty where the server does not return tokens by id


def parse_reply(kind: type[Kind], text: bytes) -> Kind:
    """Parse a reply strictly, which the openai client does not. Raises RequestError."""
    try:
        return kind.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise RequestError(f"the reply cannot be used: {explain_faults(error, whole='the whole')}") from error


def parse_completion(text: bytes) -> ChatCompletion:
    """Parse the reply to a request for one completion. Raises RequestError."""
    completion = parse_reply(ChatCompletion, text)
    if len(completion.choices) != 1:
        raise RequestError(f"the reply cannot be used: it has {len(completion.choices)} choices, 1 was requested")
    return completion


def encode_videos(prompts: Sequence[Prompt]) -> dict[int, list[str]]:
    """Return the encoded frames of all videos, by `id` of their Frames: the frames of a video that is shown twice, once."""
    return {id(frames): png_base64(frames) for frames in prompt_videos(prompts)}


def label_request(info: ServerInfo, prompt: Prompt, images: Mapping[int, list[str]], ids: LabelIds) -> dict[str, Any]:
    """Build a request for the log-probabilities of labels as the next token."""
    options: dict[str, Any] = {"max_tokens": 1, "logprobs": True}
    if info.is_vllm:
        asked = sorted({token for tokens in ids.values() for token in tokens})
        options |= {"logprob_token_ids": asked, "return_tokens_as_token_ids": True}
    else:
        options |= {"top_logprobs": _TOP_LOGPROBS}
    return greedy_request(info, prompt, images, **options)


def greedy_request(info: ServerInfo, prompt: Prompt, images: Mapping[int, list[str]], **options: Any) -> dict[str, Any]:
    """Build a request for one greedy completion."""
    greedy = _GREEDY | (_VLLM_GREEDY if info.is_vllm else {})
    return chat_request(info, prompt, images) | options | greedy


def chat_request(info: ServerInfo, prompt: Prompt, images: Mapping[int, list[str]]) -> dict[str, Any]:
    """Build the part of a request that decides how the prompt is rendered."""
    body: dict[str, Any] = {"model": info.model, "messages": _messages(info, prompt, images)}
    if not info.is_vllm:
        return body
    body |= {"add_generation_prompt": not prompt.prefill, "continue_final_message": bool(prompt.prefill)}
    if info.chat_template is not None:
        body["chat_template"] = info.chat_template
    if videos := prompt_videos([prompt]):
        true_times = video_metadata(videos[0])
        shown = {name: true_times[name] for name in ("fps", "frames_indices", "total_num_frames", "duration")}
        body["media_io_kwargs"] = {"video": {"num_frames": len(videos[0]), **shown}}
        body["mm_processor_kwargs"] = {"do_sample_frames": False, "do_resize": False}
    return body


def explain_unsupported(info: ServerInfo, prompt: Prompt) -> str | None:
    """Return why this server cannot process a prompt; None where it can."""
    if info.is_vllm and len(prompt_videos([prompt])) > 1:
        return "over HTTP one video a prompt can be shown with its true times, and this prompt shows more"
    if prompt.prefill and not info.is_vllm:
        return "this server cannot continue an answer: use a prompt that is read at first_token, or vLLM"
    return None


def read_logprobs(completion: ChatCompletion, labels: Sequence[str], ids: LabelIds) -> LabelLogprobs:
    """Return the log-probability of each label: from the tokens requested by id, or else from the likeliest tokens.

    By id, each token must be there exactly once. Among the likeliest, rarer spellings of a label may be missing from its sum,
    and a label that is not there has no number. Raises RequestError for numbers that are not log-probabilities.
    """
    found = _first_position(completion)
    if ids:
        return _sum_by_id(found, ids)
    rows = {label: [one.logprob for one in found if normalize_label(one.token) == normalize_label(label)] for label in labels}
    missing = [label for label, row in rows.items() if not row]
    if missing:
        return LabelLogprobs(None, f"{', '.join(map(repr, missing))} is not among the {len(found)} likeliest tokens")
    return _sum_rows(rows)


def _messages(info: ServerInfo, prompt: Prompt, images: Mapping[int, list[str]]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in prompt.user:
        if isinstance(part, str):
            content.append({"type": "text", "text": part})
        elif info.is_vllm:
            # vLLM's name for a list of pictures; it tells their format from the bytes, not from the name.
            content.append({"type": "video_url", "video_url": {"url": "data:video/jpeg;base64," + ",".join(images[id(part)])}})
        else:
            content += _as_images(part, images[id(part)])
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    prefill = [{"role": "assistant", "content": prompt.prefill}] if prompt.prefill else []
    return [*system, {"role": "user", "content": content}, *prefill]


def _as_images(frames: Frames, images: Sequence[str]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for time, image in zip(frames.times, images, strict=True):
        content.append({"type": "text", "text": f"<{time:.1f} seconds>"})
        content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}})
    return content


def _first_position(completion: ChatCompletion) -> list[TopLogprob]:
    logprobs = completion.choices[0].logprobs
    if logprobs is None or logprobs.content is None:
        raise RequestError("the reply has no log-probabilities: the server does not return any, or not for this model")
    if not logprobs.content:
        raise RequestError("the reply cannot be used: its log-probabilities are empty")
    found = logprobs.content[0].top_logprobs
    if not all(math.isfinite(one.logprob) for one in found):
        raise RequestError("the reply cannot be used: a log-probability is not a finite number")
    return found


def _sum_by_id(found: Sequence[TopLogprob], ids: LabelIds) -> LabelLogprobs:
    given: dict[str, float] = {}
    for one in found:
        if one.token in given:
            raise RequestError(f"the reply cannot be used: it names {one.token!r} twice")
        given[one.token] = one.logprob
    missing = [label for label, tokens in ids.items() if not all(f"token_id:{token}" in given for token in tokens)]
    if missing:
        return LabelLogprobs(None, f"the reply has no log-probability for {', '.join(map(repr, missing))}")
    return _sum_rows({label: [given[f"token_id:{token}"] for token in tokens] for label, tokens in ids.items()})


def _sum_rows(rows: Mapping[str, Sequence[float]]) -> LabelLogprobs:
    impossible = [value for row in rows.values() for value in row if value > _ROUNDING]
    if impossible:
        raise RequestError(f"the reply cannot be used: {impossible[0]} is the logarithm of no probability")
    usable = {label: [value for value in row if value > _ZERO] for label, row in rows.items()}
    without = [label for label, row in usable.items() if not row]
    if without:
        return LabelLogprobs(None, f"the model gives {', '.join(map(repr, without))} no probability at all")
    values = tuple(float(np.logaddexp.reduce(row)) for row in usable.values())
    total = sum(math.exp(value) for value in dict(zip(map(normalize_label, usable), values, strict=True)).values())
    if total > 1 + _ROUNDING * len(values):
        raise RequestError(f"the reply cannot be used: the probabilities of the labels sum to {total:.3f}")
    return LabelLogprobs(values)
