"""Where a run begins and ends: a checkpoint with what of it is trained, and a checkpoint that names its prompt and its run.

Networks of the Qwen3-VL family only, through transformers. It knows no objective.
"""

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
from rankvideo_rag.training.adapters import loading_options, merge, with_adapter
from rankvideo_rag.training.batches import Batch
from rankvideo_rag.training.config import USED, TrainingConfig
from rankvideo_rag.training.inputs import Reader
from rankvideo_rag.training.trainer import Outcome, uses_bfloat16, write_once
from rankvideo_rag.training.vision_cache import Sight

_RECORDED = ("rankvideo-rag", "torch", "transformers", "peft", "accelerate")


class Learner(NamedTuple):
    """A checkpoint about to be trained."""

    network: Any  # as transformers, or peft around it, has it
    reader: Reader
    sight: Sight
    checkpoint: Checkpoint
    dtype: torch.dtype  # of the checkpoint's weights: they are written as they came


def start(config: TrainingConfig) -> Learner:
    """Load what the configuration begins with. All weights that are trained are in float32, whatever it computes in."""
    set_seed(config.seed)
    checkpoint = fetch_checkpoint(config.model, backend="training", setting="model")
    halved = config.adapter != "none" and uses_bfloat16(config)
    options = loading_options(config)
    with wrap_loading_errors(config.model, setting="model", device="cpu"):
        processor = AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False)
        network = AutoModelForImageTextToText.from_pretrained(
            checkpoint.folder,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.bfloat16 if halved else torch.float32,
            **options,
        )
    dtype = stored_dtype(checkpoint.folder)
    check_family(network.config.model_type, config.model)
    network, sight = prepared(network, network.model, config)
    return Learner(network, Reader(processor, model_type=network.config.model_type), sight, checkpoint, dtype)


def check_family(model_type: str, model: str) -> None:
    """Raise InputError for a model whose input training cannot make."""
    if not model_type.startswith("qwen3_vl"):
        raise InputError(f"model = {model!r} is a {model_type}: only the Qwen3-VL family is trained here")


def prepared(network: Any, backbone: Any, config: TrainingConfig) -> tuple[Any, Sight]:
    """The network with only that trained which is to be, and its eyes. `backbone` is its Qwen3VLModel."""
    backbone.visual.requires_grad_(config.vision == "trained")
    return with_adapter(network, config), Sight(backbone, cached=config.vision == "cached")


def answers(learner: Learner, network: Any, batch: Batch, *, positions: int | Tensor) -> Tensor:
    """(rows, positions, vocabulary) logits at so many last positions of each row, or at these columns."""
    logits: Tensor = network(
        input_ids=batch.tokens,
        attention_mask=batch.mask,
        position_ids=batch.positions,
        mm_encoder_outputs={"video": learner.sight.see(batch)},
        logits_to_keep=positions,
        use_cache=False,
    ).logits
    return logits


def finish(
    learner: Learner, config: TrainingConfig, outcome: Outcome, examples: Sequence[BaseModel], spec: PromptSpec | None = None
) -> Path:
    """Write what was learnt: model/, or adapter/ and, where `merge` is asked for, model/ made of it. Gives the last of them.

    It names its prompt (prompt_spec.json) and its run (training.yaml, which is a configuration too).
    """
    plain = config.adapter == "none"
    folder, merged = Path(config.output) / ("model" if plain else "adapter"), Path(config.output) / "model"

    def write() -> None:
        network = learner.network.to(learner.dtype) if plain else learner.network
        network.save_pretrained(folder)
        learner.reader.processor.save_pretrained(folder)
        if spec is not None:
            (folder / SPEC_FILE).write_text(spec.model_dump_json(indent=2) + "\n", encoding="utf-8")
        write_record(folder, learner.checkpoint, config, outcome, examples)
        if config.merge:
            merge(folder, merged)

    write_once(write)
    return merged if config.merge else folder


def write_record(
    folder: Path, checkpoint: Checkpoint, config: TrainingConfig, outcome: Outcome, examples: Sequence[BaseModel]
) -> None:
    """training.yaml: the configuration, every option written out, and what was used and came of it."""
    lines = "\n".join(example.model_dump_json() for example in examples)
    used = {
        "model_revision": checkpoint.revision,
        "examples": len(examples),
        "examples_sha256": sha256(lines.encode()).hexdigest(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _RECORDED},
        "outcome": outcome._asdict(),
    }
    record = config.model_dump(mode="json") | {USED: used}
    (folder / "training.yaml").write_text(yaml.safe_dump(record, sort_keys=False, allow_unicode=True), encoding="utf-8")


def stored_dtype(folder: Path) -> torch.dtype:
    """The type of a checkpoint's weights, in which they are written again."""
    dtype = AutoConfig.from_pretrained(folder, trust_remote_code=False).dtype
    return dtype if isinstance(dtype, torch.dtype) else torch.float32
