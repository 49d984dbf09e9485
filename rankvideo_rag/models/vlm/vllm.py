"""Qwen3-VL style models in a vLLM engine that this process starts. Code from the hub is never run.

Labels are requested by token id, so that none is missing because other tokens are likelier. The log-probabilities are over the
whole vocabulary, in float32 and before any sampling rule, as in the transformers backend.
"""

import atexit
import os
import weakref
from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from typing import Any, Literal

# vLLM reads these when it is imported. Without them it reports its use over the network and logs to standard output, where
# commands print their results.
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
os.environ.setdefault("VLLM_LOGGING_STREAM", "ext://sys.stderr")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")

import numpy as np
from transformers import AutoConfig, AutoProcessor
from vllm import LLM, SamplingParams
from vllm.exceptions import VLLMError
from vllm.platforms import current_platform
from vllm.v1.engine.exceptions import EngineDeadError

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.video_inputs import check_frame_size, frame_multiple, video_array, video_metadata
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import abstain_from_empty, prompt_videos, validate_generation
from rankvideo_rag.models.vlm.label_tokens import chat_text, explain_missing, normalize_label, token_ids_by_text

Dtype = Literal["float32", "bfloat16", "float16"]

_SETTING = "reranker_model"
_CPU_CACHE = 1 << 30  # bytes for keys and values; on a GPU vLLM takes what is left of `gpu_memory`
_READY_FRAMES = {"do_sample_frames": False, "do_resize": False}


def load(
    model: str | None,
    *,
    device: str | None = None,
    dtype: Dtype | None = None,
    context_tokens: int = 8192,
    videos_per_prompt: int = 1,
    gpu_memory: float = 0.9,
) -> "VllmVLM":
    """Start an engine with a model by hub name or local folder, on the kind of device that this vLLM was built for.

    The default dtype is bfloat16 on a GPU and float32 on the CPU. Memory is reserved for `context_tokens` tokens for a prompt
    with its answer, for `videos_per_prompt` videos, and on a GPU for that share of the card. Other options are vLLM's defaults.
    """
    checkpoint = fetch_checkpoint(model, backend="vllm", setting=_SETTING)
    kind = current_platform.device_type
    if device is not None and device.partition(":")[0] != kind:
        raise InputError(f"device = {device!r}: the installed vLLM runs on {kind!r} only")
    with wrap_loading_errors(str(model), setting=_SETTING, device=kind):
        config = AutoConfig.from_pretrained(checkpoint.folder, trust_remote_code=False)
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False)
        engine = LLM(
            model=str(checkpoint.folder),
            trust_remote_code=False,
            load_format="safetensors",
            dtype=dtype or ("float32" if kind == "cpu" else "bfloat16"),
            max_model_len=min(context_tokens, config.get_text_config().max_position_embeddings),
            limit_mm_per_prompt={"video": videos_per_prompt, "image": 0},
            enable_prefix_caching=True,
            generation_config="vllm",  # not the checkpoint's, whose sampling settings would override ours
            mm_device_do_normalize=False,  # would use the mean of pictures for videos too, which may differ
            disable_log_stats=True,
            **({"enforce_eager": True, "kv_cache_memory_bytes": _CPU_CACHE} if kind == "cpu" else _on_gpu(gpu_memory)),
        )
    vlm = VllmVLM(engine, processor, model_type=config.model_type, name=f"vllm:{model}@{checkpoint.revision}")
    # The engine is a process of its own: it must end with this object or with this process, which would wait for it.
    atexit.register(weakref.finalize(vlm, engine.llm_engine.engine_core.shutdown))
    return vlm


def _on_gpu(share: float) -> dict[str, Any]:
    return {"gpu_memory_utilization": share}


class VllmVLM:
    """A vision-language model in a vLLM engine. Thread-safe: one thread at a time uses it."""

    def __init__(self, engine: Any, processor: Any, *, model_type: str, name: str) -> None:
        self._engine = engine
        self._processor = processor
        self._model_type = model_type
        self._name = name
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Backend, model and revision in one line."""
        return self._name

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt, return the log-probability of each label as the next token, summed over its spellings.

        A prompt that the engine refuses gets a reason; it does not affect the others.
        """
        if reason := explain_missing(labels, self._tokens_of, self._name):
            return [LabelLogprobs(None, reason)] * len(prompts)
        asked = {label: self._tokens_of[normalize_label(label)] for label in labels}
        how = SamplingParams(
            max_tokens=1,
            temperature=0.0,
            detokenize=False,
            logprob_token_ids=sorted({i for ids in asked.values() for i in ids}),
        )
        answers = abstain_from_empty(prompts)
        rest = [index for index in range(len(prompts)) if index not in answers]
        for index, answer in zip(rest, self._ask_or_explain([prompts[index] for index in rest], how), strict=True):
            answers[index] = LabelLogprobs(None, answer) if isinstance(answer, str) else _of_labels(answer, asked)
        return [answers[index] for index in range(len(prompts))]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt, generate at most `max_tokens` tokens greedily."""
        validate_generation(prompts, max_tokens=max_tokens)
        written = [answer.outputs[0] for answer in self._ask(prompts, SamplingParams(max_tokens=max_tokens, temperature=0.0))]
        # If generation stopped by itself, the end-of-turn token is counted too.
        return [Generation(one.text, len(one.token_ids) - (one.finish_reason == "stop")) for one in written]

    def token_ids(self, prompt: Prompt) -> list[int]:
        """Return the prompt's tokens as the model reads them, with a placeholder for each token of a frame."""
        [answer] = self._ask([prompt], SamplingParams(max_tokens=1, temperature=0.0, detokenize=False))
        return list(answer.prompt_token_ids)

    @cached_property
    def _tokens_of(self) -> Mapping[str, list[int]]:
        return token_ids_by_text(self._processor.tokenizer)

    def _ask_or_explain(self, prompts: Sequence[Prompt], how: SamplingParams) -> list[Any]:
        """Return an answer for each prompt, or the error message of one that was refused, found by halving the batch."""
        try:
            return self._ask(prompts, how)
        except (VLLMError, ValueError, TypeError) as error:
            if len(prompts) == 1:
                return [f"{type(error).__name__}: {error}"]
        middle = len(prompts) // 2
        return self._ask_or_explain(prompts[:middle], how) + self._ask_or_explain(prompts[middle:], how)

    def _ask(self, prompts: Sequence[Prompt], how: SamplingParams) -> list[Any]:
        requests = [self._request(prompt) for prompt in prompts]
        try:
            with self._lock:
                answers: list[Any] = self._engine.generate(requests, how, use_tqdm=False) if requests else []
        except EngineDeadError as error:
            raise ModelError(f"the engine of {self._name} died, load it again: {error}") from error
        if len(answers) != len(prompts):
            raise ModelError(f"{self._name} returned {len(answers)} answers for {len(prompts)} prompts")
        return answers

    def _request(self, prompt: Prompt) -> dict[str, Any]:
        videos = prompt_videos([prompt])
        for frames in videos:
            check_frame_size(frames, frame_multiple(self._processor.video_processor) or 1, model=self._name)
        request: dict[str, Any] = {"prompt": chat_text(self._processor, prompt, model_type=self._model_type)}
        if videos:
            request["multi_modal_data"] = {"video": [(video_array(frames), video_metadata(frames)) for frames in videos]}
            request["mm_processor_kwargs"] = _READY_FRAMES
        return request


def _of_labels(answer: Any, asked: Mapping[str, Sequence[int]]) -> LabelLogprobs:
    given = answer.outputs[0].logprobs[0]
    missing = [label for label, ids in asked.items() if not all(token in given for token in ids)]
    if missing:
        return LabelLogprobs(None, f"the engine returned no log-probability for {', '.join(map(repr, missing))}")
    rows = {label: np.array([given[token].logprob for token in ids]) for label, ids in asked.items()}
    values = tuple(float(np.logaddexp.reduce(row)) for row in rows.values())
    if not np.isfinite(values).all():
        return LabelLogprobs(None, f"the model returned {list(values)}, which is an overflow: try dtype = 'float32'")
    return LabelLogprobs(values)
