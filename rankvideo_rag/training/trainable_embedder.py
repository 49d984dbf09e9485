"""An embedding model about to be trained: a sentence-transformers model, or one made of a checkpoint of the Qwen3-VL family.

It pools the last token's state and makes it one long. It knows no objective and no data.
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
from rankvideo_rag.training.checkpointing import check_family, prepared, stored_dtype
from rankvideo_rag.training.config import EmbedderConfig
from rankvideo_rag.training.inputs import Reader, Tokens, as_they_are
from rankvideo_rag.training.trainer import uses_bfloat16
from rankvideo_rag.training.vision_cache import Sight

_QUERY_PROMPT = "Query: "


class Pupil(NamedTuple):
    """An embedding model about to be trained."""

    model: SentenceTransformer
    network: Any  # its Qwen3VLModel, or peft around it
    embedder: SentenceTransformersEmbedder  # the model as it is used
    reader: Reader
    sight: Sight
    checkpoint: Checkpoint
    dtype: torch.dtype

    def question(self, text: str) -> Tokens:
        """The tokens of a question, as the model in use has them."""
        return self._tokens({"text": clean(text)}, prompt=self.embedder.info.query_prompt, task="query")

    def video(self, frames: Frames) -> Tokens:
        """The tokens of a video, as the model in use has them."""
        video = {"array": torch.from_numpy(video_array(frames)), "video_metadata": video_metadata(frames)}
        return self._tokens({"video": video}, prompt=self.embedder.info.document_prompt, task="document")

    def _tokens(self, item: Mapping[str, Any], *, prompt: str, task: str) -> Tokens:
        options = {"video": as_they_are(self.reader.processor.video_processor)}
        found = self.model.preprocess([item], prompt=prompt, task=task, processing_kwargs=options)
        return np.asarray(found["input_ids"][0], np.int32)


def start(config: EmbedderConfig) -> Pupil:
    """Load what the configuration begins with, as an embedding model."""
    set_seed(config.seed)
    checkpoint = fetch_checkpoint(config.model, backend="training", setting="model")
    halved = config.adapter != "none" and uses_bfloat16(config)
    options = {"dtype": torch.bfloat16 if halved else torch.float32, "use_safetensors": True}
    with wrap_loading_errors(config.model, setting="model", device="cpu"):
        model = _load(checkpoint.folder, options)
    prompts = {"query": config.query_prompt, "document": config.document_prompt}
    model.prompts |= {name: text for name, text in prompts.items() if text is not None}
    transformer = model[0]
    check_family(transformer.config.model_type, config.model)
    embedder = SentenceTransformersEmbedder(model, model=config.model, revision=checkpoint.revision, batch_size=1)
    network, sight = prepared(transformer.auto_model, transformer.auto_model, config)
    reader = Reader(model.processor, model_type=transformer.config.model_type)
    return Pupil(model, network, embedder, reader, sight, checkpoint, stored_dtype(Path(transformer.config._name_or_path)))


def _load(folder: Path, options: Mapping[str, Any]) -> SentenceTransformer:
    """An embedding model as it is, or one made of a checkpoint: its last token's state, of length 1."""
    if (folder / "modules.json").exists():
        model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False, model_kwargs=dict(options))
        pooling = [module.pooling_mode for module in model if isinstance(module, Pooling)]
        if [type(module) for module in model] != [Transformer, Pooling, Normalize] or pooling != ["lasttoken"]:
            raise InputError(f"{folder}: only models that pool the last token and normalise it are trained here, got {model}")
        return model
    transformer = Transformer(
        str(folder), model_kwargs=dict(options), processing_kwargs={"chat_template": {"add_generation_prompt": True}}
    )
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    prompts = {"query": _QUERY_PROMPT, "document": ""}
    return SentenceTransformer(modules=[transformer, pooling, Normalize()], device="cpu", prompts=prompts)
