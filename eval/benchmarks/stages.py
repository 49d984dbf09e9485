"""Time of the stages of the transformers backend, measured with hooks: preprocess, vision, prefill, read."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from rankvideo_rag.models.vlm.transformers import TransformersVLM


@dataclass
class StageTimes:
    """Seconds and tokens by stage. A shared prefix is `prefill`; what continues it is `read`."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("preprocess", "vision", "prefill", "read"), 0.0))
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("preprocess", "vision", "prefill", "read"), 0))

    def add(self, stage: str, *, seconds: float, tokens: int) -> None:
        """Add one call of a stage."""
        self.seconds[stage] += seconds
        self.tokens[stage] += tokens


@contextmanager
def measure_stages(vlm: TransformersVLM) -> Iterator[StageTimes]:
    """Measure the backend while the block runs. Each stage waits for the GPU, which costs a little time."""
    stages, network, processor = StageTimes(), vlm.network.base_model, vlm.processor
    merge = vlm.network.config.vision_config.spatial_merge_size**2  # patches that become one token

    def of_vision(patches: Any) -> tuple[str, int]:
        return "vision", len(patches) // merge

    hooks = [
        *_timed(network.visual, stages, lambda given, named: of_vision(given[0] if given else named["hidden_states"])),
        *_timed(network.language_model, stages, lambda _, named: _reading(named)),
    ]
    vlm.processor = _TimedProcessor(processor, stages)
    try:
        yield stages
    finally:
        vlm.processor = processor
        for hook in hooks:
            hook.remove()


def synchronized_time() -> float:
    """Return the time in seconds, after the GPU has finished its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def _reading(named: dict[str, Any]) -> tuple[str, int]:
    cache, (rows, length, _) = named["past_key_values"], named["inputs_embeds"].shape
    return "read" if cache is not None and cache.get_seq_length() else "prefill", rows * length


def _timed(module: Any, stages: StageTimes, what: Callable[[Any, Any], tuple[str, int]]) -> list[Any]:
    begun: list[tuple[str, int, float]] = []

    def before(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        begun.append((*what(given, named), synchronized_time()))

    def after(*_: Any) -> None:
        stage, tokens, start = begun.pop()
        stages.add(stage, seconds=synchronized_time() - start, tokens=tokens)

    return [module.register_forward_pre_hook(before, with_kwargs=True), module.register_forward_hook(after)]


class _TimedProcessor:
    """The model's own processor, timed."""

    def __init__(self, processor: Any, stages: StageTimes) -> None:
        self._processor = processor
        self._stages = stages

    def __call__(self, *given: Any, **named: Any) -> Any:
        start = synchronized_time()
        made = self._processor(*given, **named)
        self._stages.add("preprocess", seconds=synchronized_time() - start, tokens=made["input_ids"].numel())
        return made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)
