"""Load a Qwen3-VL checkpoint for training, and save the trained one with its prompt and the record of its run."""

import platform
from collections.abc import Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from pydantic import BaseModel
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, set_seed

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.checkpoints import Checkpoint, fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.vlm.prompt_spec import SPEC_FILE, PromptSpec
from rankvideo_rag.training.adapters import add_adapter, merge_adapter, quantization_options
from rankvideo_rag.training.batches import Batch
from rankvideo_rag.training.config import USED, TrainingConfig
from rankvideo_rag.training.inputs import InputProcessor
from rankvideo_rag.training.trainer import TrainingResult, loading_dtype, on_main_process
from rankvideo_rag.training.vision_cache import VisionFeatureCache

_RECORDED_PACKAGES = ("rankvideo-rag", "torch", "transformers", "peft", "accelerate")


class TrainState(NamedTuple):
    """A loaded checkpoint that is trained."""

    network: Any  # a transformers model, or peft's around it
    processor: InputProcessor
    vision: VisionFeatureCache
    checkpoint: Checkpoint
    dtype: torch.dtype  # of the checkpoint's weights: they are saved as they came


def load_for_training(config: TrainingConfig) -> TrainState:
    """Load the checkpoint to start from; trained weights are float32, whatever the network computes in."""
    set_seed(config.seed)
    checkpoint = fetch_checkpoint(config.model, backend="training", setting="model")
    options = quantization_options(config)
    with wrap_loading_errors(config.model, setting="model", device="cpu"):
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False)
        network = AutoModelForImageTextToText.from_pretrained(
            checkpoint.folder, trust_remote_code=False, use_safetensors=True, dtype=loading_dtype(config), **options
        )
    check_family(network.config.model_type, config.model)
    inputs = InputProcessor(processor, model_type=network.config.model_type)
    network, vision = prepare_network(network, network.model, config)
    return TrainState(network, inputs, vision, checkpoint, stored_dtype(checkpoint.folder))


def check_family(model_type: str, model: str) -> None:
    """Raise InputError for a model that is not of the Qwen3-VL family."""
    if not model_type.startswith("qwen3_vl"):
        raise InputError(f"model = {model!r} is a {model_type}: only the Qwen3-VL family can be trained")


def prepare_network(network: Any, backbone: Any, config: TrainingConfig) -> tuple[Any, VisionFeatureCache]:
    """Freeze what is not trained and add an adapter if one is configured; `backbone` is the network's Qwen3VLModel."""
    backbone.visual.requires_grad_(config.vision == "trained")
    return add_adapter(network, config), VisionFeatureCache(backbone, enabled=config.vision == "cached")


def answer_logits(state: TrainState, network: Any, batch: Batch, *, positions: int | Tensor) -> Tensor:
    """Return (rows, positions, vocabulary) logits at the last `positions` of each row, or at these columns."""
    logits: Tensor = network(
        input_ids=batch.tokens,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        mm_encoder_outputs={"video": state.vision.features(batch)},
        logits_to_keep=positions,
        use_cache=False,
    ).logits
    return logits


def save_checkpoint(
    state: TrainState,
    config: TrainingConfig,
    result: TrainingResult,
    examples: Sequence[BaseModel],
    spec: PromptSpec | None = None,
) -> Path:
    """Write model/, or adapter/ and with `merge` model/ too, and return the folder of the last of them.

    It holds its prompt (prompt_spec.json) and the record of its run (training.yaml, which is a configuration too).
    """
    full = config.adapter == "none"
    folder, merged = Path(config.output) / ("model" if full else "adapter"), Path(config.output) / "model"

    def write() -> None:
        network = state.network.to(state.dtype) if full else state.network
        network.save_pretrained(folder)
        state.processor.hf.save_pretrained(folder)
        if spec is not None:
            (folder / SPEC_FILE).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_training_record(folder, state.checkpoint, config, result, examples)
        if config.merge:
            merge_adapter(folder, merged)

    on_main_process(write)
    return merged if config.merge else folder


def write_training_record(
    folder: Path, checkpoint: Checkpoint, config: TrainingConfig, result: TrainingResult, examples: Sequence[BaseModel]
) -> None:
    """Write training.yaml: every option of the configuration, and under `used` the inputs, versions and outcome."""
    lines = "\n".join(example.model_dump_json() for example in examples)
    used = {
        "model_revision": checkpoint.revision,
        "examples": len(examples),
        "examples_sha256": sha256(lines.encode()).hexdigest(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _RECORDED_PACKAGES},
        "outcome": result._asdict(),
    }
    record = config.model_dump(mode="json") | {USED: used}
    (folder / "training.yaml").write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")


def stored_dtype(folder: Path) -> torch.dtype:
    """Return the dtype of a checkpoint's weights."""
    dtype = AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32
