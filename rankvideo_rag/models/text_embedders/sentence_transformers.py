"""Text embedders loaded by sentence-transformers."""

from threading import Lock
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo, Vectors
from rankvideo_rag.models.text_embedders.published import find_usage

_SETTING = "text_embedder_model"


def load(model: str | None, *, device: str | None = None, batch_size: int = 32) -> PromptedTextEmbedder:
    """Load a model by hub name or local folder. The default device is a GPU if there is one, else the CPU."""
    checkpoint = fetch_checkpoint(model, backend="sentence_transformers", setting=_SETTING)
    usage = find_usage(checkpoint.folder, str(model))
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with wrap_loading_errors(str(model), setting=_SETTING, device=device):
        network = SentenceTransformer(
            str(checkpoint.folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    lock = Lock()

    def encode(texts: list[str]) -> Vectors:
        # As {"text": …}: sentence-transformers would open a plain string that looks like a picture's URL or path.
        items: list[Any] = [{"text": text} for text in texts]
        with lock:
            rows: Vectors = network.encode(items, prompt="", batch_size=batch_size, show_progress_bar=False)
        return rows

    info = TextEmbedderInfo(
        backend="sentence_transformers",
        model=model,
        revision=checkpoint.revision,
        dim=encode(["video"]).shape[1],
        max_tokens=network.max_seq_length,
        **usage._asdict(),
    )
    return PromptedTextEmbedder(encode, info)
