"""Cross-encoders loaded by sentence-transformers."""

from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.cross_encoders import CrossEncoderInfo, PairScorer

_SETTING = "cross_encoder_model"


def load(model: str | None, *, device: str | None = None, batch_size: int = 32) -> PairScorer:
    """Load a model by hub name or local folder. The default device is a GPU if there is one, else the CPU."""
    checkpoint = fetch_checkpoint(model, backend="sentence_transformers", setting=_SETTING)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with wrap_loading_errors(str(model), setting=_SETTING, device=device):
        network = CrossEncoder(
            str(checkpoint.folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
    lock = Lock()

    def run(pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        with lock:
            outputs: NDArray[np.float32] = network.predict(
                pairs, batch_size=batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
            )
        return outputs

    info = CrossEncoderInfo(
        backend="sentence_transformers", model=model, revision=checkpoint.revision, max_tokens=network.max_seq_length
    )
    return PairScorer(run, info)
