"""Low-rank adapters (LoRA, arXiv 2106.09685; QLoRA, arXiv 2305.14314) through peft: adding and merging them.

Adapters are added to the language model only, as in RankVideo's code, whose further targets no Qwen3-VL has.
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import peft
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor, BitsAndBytesConfig

from rankvideo_rag.errors import InputError, MissingDependency
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.training.config import TrainingConfig

_COPIED_FILES = ("prompt_spec.json", "training.yaml")


def add_adapter(network: Any, config: TrainingConfig) -> Any:
    """Return the network with an adapter that is trained in place of its own weights; unchanged for `adapter: none`."""
    if config.adapter == "none":
        return network
    options = peft.LoraConfig(
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=rf"(.*\.)?language_model\..*\.({'|'.join(config.lora.targets)})",
        bias="none",
        task_type="CAUSAL_LM" if hasattr(network, "lm_head") else "FEATURE_EXTRACTION",
    )
    try:
        adapted: Any = peft.get_peft_model(network, options)
    except ValueError as error:
        raise InputError(f"lora.targets = {config.lora.targets}: the language model has none of them ({error})") from error
    adapted.peft_config["default"].base_model_name_or_path = config.model  # not a folder of the download cache
    return adapted


def quantization_options(config: TrainingConfig) -> dict[str, Any]:
    """Return the loading options of QLoRA: 4-bit weights (nf4, double quantisation), computing in bfloat16."""
    if config.adapter != "qlora":
        return {}
    if find_spec("bitsandbytes") is None:
        raise MissingDependency("training with adapter = 'qlora'", "bitsandbytes", None)
    return {
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
            llm_int8_skip_modules=["visual", "lm_head"],
        )
    }


def merge_adapter(adapter: str | Path, output: str | Path) -> Path:
    """Write an adapter and its base as one model, with the base's processor and the adapter's prompt; return its folder.

    The base is loaded as it was published, also for an adapter that was trained on 4-bit weights. Raises InputError for a
    folder that holds no adapter and for an output folder that is not empty.
    """
    adapter, output = Path(adapter), Path(output)
    if not (adapter / "adapter_config.json").is_file():
        raise InputError(f"{adapter} holds no adapter_config.json: give the folder of an adapter")
    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty: choose a new folder for the merged model")
    base = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
    checkpoint = fetch_checkpoint(base, backend="training", setting="base_model_name_or_path")
    with wrap_loading_errors(str(adapter), setting="the adapter", device="cpu"):
        network = AutoModelForImageTextToText.from_pretrained(
            checkpoint.folder, trust_remote_code=False, use_safetensors=True, dtype="auto"
        )
        merged = peft.PeftModel.from_pretrained(network, adapter).merge_and_unload()
    merged.save_pretrained(output)
    AutoProcessor.from_pretrained(checkpoint.folder, trust_remote_code=False).save_pretrained(output)
    for name in _COPIED_FILES:
        if (adapter / name).is_file():
            shutil.copyfile(adapter / name, output / name)
    return output
