"""An embedding model for training: a sentence-transformers model, or one made of a Qwen3-VL checkpoint.

It pools the last token's state and normalises it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers import set_seed

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.checkpoints import Checkpoint, fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.embedders.sentence_transformers import SentenceTransformersEmbedder
from rankvideo_rag.models.video_inputs import video_array, video_metadata
from rankvideo_rag.text import clean
from rankvideo_rag.training.checkpointing import check_family, prepare_network, stored_dtype
from rankvideo_rag.training.config import EmbedderConfig
from rankvideo_rag.training.inputs import InputProcessor, Tokens, raw_frame_options
from rankvideo_rag.training.trainer import loading_dtype
from rankvideo_rag.training.vision_cache import VisionFeatureCache

_QUERY_PROMPT = "Query: "


class TrainableEmbedder(NamedTuple):
    """A loaded embedding model that is trained."""

    model: SentenceTransformer
    network: Any  # its Qwen3VLModel, or peft's around it
    embedder: SentenceTransformersEmbedder  # the model as it is used
    processor: InputProcessor
    vision: VisionFeatureCache
    checkpoint: Checkpoint
    dtype: torch.dtype

    def query_tokens(self, text: str) -> Tokens:
        """Return the tokens of a query, the same as in use."""
        return self._tokens({"text": clean(text)}, prompt=self.embedder.info.query_prompt, task="query")

    def video_tokens(self, frames: Frames) -> Tokens:
        """Return the tokens of a video, the same as in use."""
        video = {"array": torch.from_numpy(video_array(frames)), "video_metadata": video_metadata(frames)}
        return self._tokens({"video": video}, prompt=self.embedder.info.document_prompt, task="document")

    def _tokens(self, item: Mapping[str, Any], *, prompt: str, task: str) -> Tokens:
        options = {"video": raw_frame_options(self.processor.hf.video_processor)}
        found = self.model.preprocess([item], prompt=prompt, task=task, processing_kwargs=options)
        return np.asarray(found["input_ids"][0], np.int32)


def load_trainable_embedder(config: EmbedderConfig) -> TrainableEmbedder:
    """Load the checkpoint to start from as an embedding model."""
    set_seed(config.seed)
    checkpoint = fetch_checkpoint(config.model, backend="training", setting="model")
    options = {"dtype": loading_dtype(config), "use_safetensors": True}
    with wrap_loading_errors(config.model, setting="model", device="cpu"):
        model = _load(checkpoint.folder, options)
    prompts = {"query": config.query_prompt, "document": config.document_prompt}
    model.prompts |= {name: text for name, text in prompts.items() if text is not None}
    transformer = model[0]
    check_family(transformer.config.model_type, config.model)
    embedder = SentenceTransformersEmbedder(model, model=config.model, revision=checkpoint.revision, batch_size=1)
    network, vision = prepare_network(transformer.auto_model, transformer.auto_model, config)
    processor = InputProcessor(model.processor, model_type=transformer.config.model_type)
    dtype = stored_dtype(Path(transformer.config._name_or_path))
    return TrainableEmbedder(model, network, embedder, processor, vision, checkpoint, dtype)


def _load(folder: Path, options: Mapping[str, Any]) -> SentenceTransformer:
    if (folder / "modules.json").exists():
        model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False, model_kwargs=dict(options))
        pooling = [module.pooling_mode for module in model if isinstance(module, Pooling)]
        if [type(module) for module in model] != [Transformer, Pooling, Normalize] or pooling != ["lasttoken"]:
            raise InputError(f"{folder}: only models that pool the last token and normalise it can be trained, got {model}")
        return model
    transformer = Transformer(
        str(folder), model_kwargs=dict(options), processing_kwargs={"chat_template": {"add_generation_prompt": True}}
    )
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    prompts = {"query": _QUERY_PROMPT, "document": ""}
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu", prompts=prompts)
