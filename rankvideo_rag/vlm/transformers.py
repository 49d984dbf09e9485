"""Qwen3-VL style models in this process, through transformers. Weights are safetensors; code from a hub is never run.

It knows prompts and frames, no clips, questions or archives.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from threading import Lock
from typing import Any, Literal

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from rankvideo_rag.checkpoints import explain_loading, fetch
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.video_inputs import check_size, frame_multiple, video_array, video_metadata
from rankvideo_rag.vlm import LabelLogprobs, Prompt

Dtype = Literal["float32", "bfloat16", "float16"]

_SETTING = "reranker_model"
_VIDEO_TURN = "<|vision_start|><|video_pad|><|vision_end|>"


def load(model: str | None, *, device: str | None = None, dtype: Dtype | None = None, batch_size: int = 4) -> "TransformersVLM":
    """Load a model by hub name or local folder. Without a device: a GPU where there is one, else the CPU.

    Without a dtype: bfloat16 on a GPU, float32 on the CPU. `batch_size` prompts run together; it changes no answer
    beyond rounding.
    """
    checkpoint = fetch(model, backend="transformers", setting=_SETTING)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    if batch_size < 1:
        raise InputError(f"batch_size = {batch_size}: at least one prompt must run at a time")
    with explain_loading(str(model), setting=_SETTING, device=device):
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False)
        network = AutoModelForImageTextToText.from_pretrained(
            checkpoint.folder, trust_remote_code=False, use_safetensors=True, dtype=getattr(torch, dtype)
        ).to(device)
    name = f"transformers:{model}@{checkpoint.revision}"
    return TransformersVLM(network.eval(), processor, name=name, batch_size=batch_size)


class TransformersVLM:
    """A vision-language model with its processor. One thread at a time runs it; others wait."""

    def __init__(self, network: Any, processor: Any, *, name: str, batch_size: int) -> None:
        self._network = network
        self._processor = processor
        self._name = name
        self._batch_size = batch_size
        self._lock = Lock()
        # The checkpoint's own sampling settings would overrule ours; where a turn ends is theirs to say.
        self._network.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=network.generation_config.eos_token_id, pad_token_id=processor.tokenizer.pad_token_id
        )

    @property
    def name(self) -> str:
        """Backend, model and revision in one line."""
        return self._name

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt the log-probability of each label as the next token, over every token that reads as the label."""
        without_token = [label for label in labels if _reading(label) not in self._tokens_of]
        if without_token:
            reason = f"no single token of {self._name} reads as {', '.join(map(repr, without_token))}"
            return [LabelLogprobs(None, reason)] * len(prompts)
        answers: dict[int, LabelLogprobs] = {
            index: LabelLogprobs(None, "the prompt shows no frame", abstained=True)
            for index, prompt in enumerate(prompts)
            if _shows_nothing(prompt)
        }
        for batch in self._batches(prompts, leave_out=answers.keys()):
            rows = self._label_rows([prompts[index] for index in batch], labels)
            answers |= {index: _finite(row) for index, row in zip(batch, rows, strict=True)}
        return [answers[index] for index in range(len(prompts))]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[str]:
        """For each prompt the text that follows it, at most `max_tokens` long, chosen greedily."""
        if max_tokens < 1:
            raise InputError(f"max_tokens = {max_tokens}: at least one token must be asked for")
        empty = [index for index, prompt in enumerate(prompts) if _shows_nothing(prompt)]
        if empty:
            raise InputError(f"prompt {empty[0]} of {len(prompts)} shows a video without frames: leave it out")
        texts: dict[int, str] = {}
        for batch in self._batches(prompts, leave_out=()):
            texts |= dict(zip(batch, self._continuations([prompts[index] for index in batch], max_tokens), strict=True))
        return [texts[index] for index in range(len(prompts))]

    @cached_property
    def _tokens_of(self) -> Mapping[str, list[int]]:
        """Vocabulary ids by what they read as: stripped and in lower case."""
        tokens: defaultdict[str, list[int]] = defaultdict(list)
        ids = range(len(self._processor.tokenizer))
        for token, text in enumerate(self._processor.tokenizer.batch_decode([[token] for token in ids])):
            tokens[_reading(text)].append(token)
        return dict(tokens)

    def _batches(self, prompts: Sequence[Prompt], *, leave_out: Collection[int]) -> list[list[int]]:
        """Indices of prompts to run together, those of like length side by side so that little is padded."""
        order = sorted((i for i in range(len(prompts)) if i not in leave_out), key=lambda i: _length(prompts[i]))
        return [order[at : at + self._batch_size] for at in range(0, len(order), self._batch_size)]

    @torch.inference_mode()
    def _label_rows(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[list[float]]:
        """(prompts, labels) log-probabilities at the last position: the only one whose logits are computed."""
        with self._lock, _memory(len(prompts)):
            logits = self._network(**self._inputs(prompts), logits_to_keep=1, use_cache=False).logits[:, -1]
            logprobs = torch.log_softmax(logits.float(), dim=-1)
            columns = [torch.logsumexp(logprobs[:, self._tokens_of[_reading(label)]], dim=-1) for label in labels]
            rows: list[list[float]] = torch.stack(columns, dim=1).tolist()
        return rows

    @torch.inference_mode()
    def _continuations(self, prompts: Sequence[Prompt], max_tokens: int) -> list[str]:
        with self._lock, _memory(len(prompts)):
            inputs = self._inputs(prompts)
            tokens = self._network.generate(**inputs, max_new_tokens=max_tokens)[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self._processor.batch_decode(tokens, skip_special_tokens=True)
        return texts

    def _inputs(self, prompts: Sequence[Prompt]) -> Any:
        """Padded on the left, so that the last position of every row is where its answer begins."""
        videos = [part for prompt in prompts for part in prompt.user if isinstance(part, Frames)]
        for frames in videos:
            check_size(frames, frame_multiple(self._processor.video_processor) or 1, model=self._name)
        options = {"do_resize": False, "do_sample_frames": False, "input_data_format": "channels_first"}
        if hasattr(self._processor.video_processor, "cap_pixels_per_frame"):
            options["cap_pixels_per_frame"] = False  # concerns resizing only; unsaid, it draws a warning
        return self._processor(
            text=[self._text(prompt) for prompt in prompts],
            videos=[video_array(frames) for frames in videos] or None,
            text_kwargs={"padding": True, "padding_side": "left"},
            videos_kwargs=options | {"video_metadata": [video_metadata(frames) for frames in videos]} if videos else {},
            return_tensors="pt",
        ).to(self._network.device)

    def _text(self, prompt: Prompt) -> str:
        """The chat as the model reads it, up to where its answer begins.

        Current Qwen3-VL processors put the frames between the template's vision marks; those of transformers 4.57, with which
        RankVideo was trained and run, put them in place of the marks, as vLLM does. We keep to the form of the training.
        """
        text: str = self._processor.apply_chat_template(_chat(prompt), tokenize=False, add_generation_prompt=True)
        if self._network.config.model_type.startswith("qwen3_vl"):
            text = text.replace(_VIDEO_TURN, "<|video_pad|>")
        return text + prompt.prefill


def _chat(prompt: Prompt) -> list[dict[str, Any]]:
    said = [{"type": "video"} if isinstance(part, Frames) else {"type": "text", "text": part} for part in prompt.user]
    system = [{"role": "system", "content": [{"type": "text", "text": prompt.system}]}] if prompt.system else []
    return [*system, {"role": "user", "content": said}]


def _shows_nothing(prompt: Prompt) -> bool:
    return any(isinstance(part, Frames) and not len(part) for part in prompt.user)


def _length(prompt: Prompt) -> int:
    """Something that grows with the number of tokens: a token shows some 6,000 bytes of pixels or 4 letters."""
    return sum(part.pixels.size // 6_000 if isinstance(part, Frames) else len(part) // 4 for part in prompt.user)


def _reading(text: str) -> str:
    return text.strip().lower()


def _finite(row: list[float]) -> LabelLogprobs:
    if all(map(math.isfinite, row)):
        return LabelLogprobs(tuple(row))
    return LabelLogprobs(None, f"the model gave {row}: its numbers overflowed; try dtype = 'float32'")


@contextmanager
def _memory(prompts: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"out of memory with {prompts} prompts at a time: lower batch_size, max_frames or max_pixels ({error})"
        ) from error
