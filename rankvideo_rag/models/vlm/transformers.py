"""Qwen3-VL style models in this process, with transformers. Weights are safetensors; code from the hub is never run.

Prompts that begin with the same video process it once.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import takewhile
from threading import Lock
from typing import Any, Literal, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig
from transformers.utils import is_flash_attn_2_available

from rankvideo_rag.errors import InputError, MissingDependency, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.video_inputs import check_frame_size, frame_multiple, video_array, video_metadata
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import abstain_from_empty, estimate_length, prompt_videos, validate_generation
from rankvideo_rag.models.vlm.label_tokens import chat_text, explain_missing, normalize_label, token_ids_by_text
from rankvideo_rag.models.vlm.shared_prefix import SharedPrefix, group_by_prefix

Dtype = Literal["float32", "bfloat16", "float16"]
Attention = Literal["sdpa", "flash_attention_2"]

_SETTING = "reranker_model"
_VIDEO = "<|video_pad|>"


def load(
    model: str | None,
    *,
    device: str | None = None,
    dtype: Dtype | None = None,
    attention: Attention = "sdpa",
    batch_size: int = 4,
    question_batch_size: int = 16,
) -> "TransformersVLM":
    """Load a model by hub name or local folder. The default device is a GPU if there is one, else the CPU.

    The default dtype is bfloat16 on a GPU and float32 on the CPU, as most CPUs emulate bfloat16 slowly. `flash_attention_2`
    needs a GPU and the package flash-attn. `batch_size` prompts run together, and `question_batch_size` questions on one video;
    both limit memory and change answers by rounding only.
    """
    checkpoint = fetch_checkpoint(model, backend="transformers", setting=_SETTING)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    dtype = dtype or ("bfloat16" if device.startswith("cuda") else "float32")
    if min(batch_size, question_batch_size) < 1:
        raise InputError(f"batch_size = {batch_size}, question_batch_size = {question_batch_size}: both must be at least 1")
    _check_attention(attention, device=device)
    with wrap_loading_errors(str(model), setting=_SETTING, device=device):
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False)
        network = AutoModelForImageTextToText.from_pretrained(
            checkpoint.folder,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=getattr(torch, dtype),
            attn_implementation=attention,
        ).to(device)
    name = f"transformers:{model}@{checkpoint.revision}"
    return TransformersVLM(network.eval(), processor, name=name, batch_size=batch_size, question_batch_size=question_batch_size)


def _check_attention(attention: Attention, *, device: str) -> None:
    if attention == "sdpa":
        return
    if not device.startswith("cuda"):
        raise InputError(f"attention = {attention!r} on {device!r}: it needs a GPU, use 'sdpa'")
    if not is_flash_attn_2_available():
        raise MissingDependency(f"transformers with attention = {attention!r}", "flash-attn", None)


class TransformersVLM:
    """A vision-language model with its processor. Thread-safe: one thread at a time runs it."""

    def __init__(self, network: Any, processor: Any, *, name: str, batch_size: int, question_batch_size: int) -> None:
        self.network = network
        self.processor = processor
        self._name = name
        self._batch_size = batch_size
        self._question_batch_size = question_batch_size
        self._lock = Lock()
        # The checkpoint's own sampling settings would override ours; its end-of-turn tokens are kept.
        self.network.generation_config = GenerationConfig(
            do_sample=False, eos_token_id=network.generation_config.eos_token_id, pad_token_id=processor.tokenizer.pad_token_id
        )

    @property
    def name(self) -> str:
        """Backend, model and revision in one line."""
        return self._name

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt, return the log-probability of each label as the next token, summed over its spellings."""
        if reason := explain_missing(labels, self._tokens_of, self._name):
            return [LabelLogprobs(None, reason)] * len(prompts)
        answers = abstain_from_empty(prompts)
        for group in group_by_prefix(prompts, excluded=answers.keys()) if self._is_qwen3_vl else []:
            rows = self._rows_on_one_video([prompts[index] for index in group], labels)
            answers |= {index: _finite(row) for index, row in zip(group, rows, strict=True)}
        for batch in self._batches(prompts, excluded=answers.keys()):
            rows = self._rows([prompts[index] for index in batch], labels)
            answers |= {index: _finite(row) for index, row in zip(batch, rows, strict=True)}
        return [answers[index] for index in range(len(prompts))]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt, generate at most `max_tokens` tokens greedily."""
        validate_generation(prompts, max_tokens=max_tokens)
        written: dict[int, Generation] = {}
        for batch in self._batches(prompts, excluded=()):
            written |= dict(zip(batch, self._continuations([prompts[index] for index in batch], max_tokens), strict=True))
        return [written[index] for index in range(len(prompts))]

    def token_ids(self, prompt: Prompt) -> list[int]:
        """Return the prompt's tokens as the model reads them, with a placeholder for each token of a frame."""
        ids: list[int] = self._inputs([self._text(prompt)], prompt_videos([prompt]))["input_ids"][0].tolist()
        return ids

    @cached_property
    def _is_qwen3_vl(self) -> bool:
        return str(self.network.config.model_type).startswith("qwen3_vl")

    @cached_property
    def _tokens_of(self) -> Mapping[str, list[int]]:
        return token_ids_by_text(self.processor.tokenizer)

    def _batches(self, prompts: Sequence[Prompt], *, excluded: Collection[int]) -> list[list[int]]:
        """Group indices of prompts to run together, of similar length so that little is padded."""
        order = sorted((i for i in range(len(prompts)) if i not in excluded), key=lambda i: estimate_length(prompts[i]))
        return [order[at : at + self._batch_size] for at in range(0, len(order), self._batch_size)]

    @torch.inference_mode()
    def _rows(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[list[float]]:
        """Return (prompts, labels) log-probabilities at the last position, the only one whose logits are computed.

        Padded on the left, so that the last position of every row is where its answer begins.
        """
        with self._lock, _memory(len(prompts)):
            inputs = self._inputs([self._text(prompt) for prompt in prompts], prompt_videos(prompts))
            logits = self.network(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1]
            return self._of_labels(logits, labels)

    @torch.inference_mode()
    def _rows_on_one_video(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[list[float]]:
        """Do as `_rows` for prompts that begin with the same video, which is processed once."""
        heads, tails = zip(*(_split(self._text(prompt)) for prompt in prompts), strict=True)
        by_length = sorted(range(len(tails)), key=lambda i: len(tails[i]))
        rows: dict[int, list[float]] = {}
        with self._lock, _memory(self._question_batch_size):
            prefix = self._prefix(heads[0], prompt_videos(prompts[:1]))
            for at in range(0, len(by_length), self._question_batch_size):
                batch = by_length[at : at + self._question_batch_size]
                logits = self._after(prefix, [tails[i] for i in batch])
                rows |= dict(zip(batch, self._of_labels(logits, labels), strict=True))
        return [rows[i] for i in range(len(prompts))]

    def _prefix(self, head: str, videos: Sequence[Frames]) -> SharedPrefix:
        prefix = SharedPrefix()
        self.network(**self._inputs([head], videos), past_key_values=prefix, use_cache=True, logits_to_keep=1)
        prefix.shared = True
        return prefix

    def _after(self, prefix: SharedPrefix, texts: Sequence[str]) -> torch.Tensor:
        """Return (texts, vocabulary) logits at the end of each text, read after the prefix.

        Padded on the right: attention is causal, so padding after a row's end needs no mask. All texts begin at the position
        after the prefix, which is smaller than its number of tokens, as those of a frame share positions.
        """
        tokens = self.processor.tokenizer(
            list(texts), padding=True, padding_side="right", add_special_tokens=False, return_tensors="pt"
        ).to(self.network.device)
        ids, lengths = tokens["input_ids"], tokens["attention_mask"].sum(dim=1)
        first = prefix.get_seq_length() + int(self.network.base_model.rope_deltas)
        positions = torch.arange(first, first + ids.shape[1], device=ids.device).expand(3, *ids.shape)  # time, height, width
        ends, row_ends = torch.unique(lengths - 1, return_inverse=True)
        logits: torch.Tensor = self.network(
            input_ids=ids, position_ids=positions, past_key_values=prefix, use_cache=True, logits_to_keep=ends
        ).logits
        return logits[torch.arange(len(ids), device=ids.device), row_ends]

    def _of_labels(self, logits: torch.Tensor, labels: Sequence[str]) -> list[list[float]]:
        """Return (rows, labels) log-probabilities in float32 from (rows, vocabulary) logits, summed over spellings."""
        logprobs = torch.log_softmax(logits.float(), dim=-1)
        columns = [torch.logsumexp(logprobs[:, self._tokens_of[normalize_label(label)]], dim=-1) for label in labels]
        rows: list[list[float]] = torch.stack(columns, dim=1).tolist()
        return rows

    @torch.inference_mode()
    def _continuations(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Generation]:
        with self._lock, _memory(len(prompts)):
            inputs = self._inputs([self._text(prompt) for prompt in prompts], prompt_videos(prompts))
            tokens = self.network.generate(**inputs, max_new_tokens=max_tokens)[:, inputs["input_ids"].shape[1] :]
        return [self._generation(row) for row in tokens.tolist()]

    def _generation(self, tokens: Sequence[int]) -> Generation:
        """Decode the tokens up to the end of the turn; the rest is padding."""
        ends = self.network.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        written = list(takewhile(lambda token: token not in ends, tokens))
        return Generation(self.processor.tokenizer.decode(written, skip_special_tokens=True), len(written))

    def _inputs(self, texts: Sequence[str], videos: Sequence[Frames]) -> Any:
        for frames in videos:
            check_frame_size(frames, frame_multiple(self.processor.video_processor) or 1, model=self._name)
        options = {"do_resize": False, "do_sample_frames": False, "input_data_format": "channels_first"}
        if hasattr(self.processor.video_processor, "cap_pixels_per_frame"):
            options["cap_pixels_per_frame"] = False  # affects resizing only; without it the processor warns
        return self.processor(
            text=list(texts),
            videos=[video_array(frames) for frames in videos] or None,
            text_kwargs={"padding": True, "padding_side": "left"},
            videos_kwargs=options | {"video_metadata": [video_metadata(frames) for frames in videos]} if videos else {},
            return_tensors="pt",
        ).to(self.network.device)

    def _text(self, prompt: Prompt) -> str:
        return chat_text(self.processor, prompt, model_type=self.network.config.model_type)


class _Split(NamedTuple):
    head: str  # up to the end of the first video
    tail: str


def _split(text: str) -> _Split:
    """Split after the first video. No token spans both parts, as the video's last token is a special token."""
    before, video, after = text.partition(_VIDEO)
    return _Split(before + video, after)


def _finite(row: list[float]) -> LabelLogprobs:
    if all(map(math.isfinite, row)):
        return LabelLogprobs(tuple(row))
    return LabelLogprobs(None, f"the model returned {row}, which is an overflow: try dtype = 'float32'")


@contextmanager
def _memory(prompts: int) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"out of memory with {prompts} prompts at a time: lower batch_size, max_frames or max_pixels ({error})"
        ) from error
