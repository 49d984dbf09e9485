"""Text embedders in ONNX format, such as bge-small-en-v1.5, full or int8."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.models.onnx_text import Array, load_onnx
from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo
from rankvideo_rag.models.text_embedders.published import find_usage


def load(model: str | None, *, device: str | None = None) -> PromptedTextEmbedder:
    """Load a folder, or a hub model, with model.onnx, tokenizer.json and config.json."""
    network, folder, revision = load_onnx(model, setting="text_embedder_model", device=device)
    usage = find_usage(folder, str(model))
    pool = _first_output if network.outputs[0] == "sentence_embedding" else _POOLINGS[usage.pooling]
    info = TextEmbedderInfo(
        backend="onnx",
        model=model,
        revision=revision,
        dim=network.run(["video"], pool).shape[1],
        max_tokens=network.max_tokens,
        **usage._asdict(),
    )
    return PromptedTextEmbedder(lambda texts: network.run(texts, pool), info)


def _first_token(outputs: list[Array], _mask: NDArray[np.int64]) -> Array:
    return outputs[0][:, 0]


def _mean(outputs: list[Array], mask: NDArray[np.int64]) -> Array:
    """Return (batch, dim), the means of (batch, tokens, dim) over the tokens that are not padding."""
    weights = mask[:, :, None].astype(np.float32)
    means: Array = (outputs[0] * weights).sum(axis=1) / weights.sum(axis=1)
    return means


def _last_token(outputs: list[Array], mask: NDArray[np.int64]) -> Array:
    last: Array = outputs[0][np.arange(len(mask)), mask.sum(axis=1) - 1]
    return last


def _first_output(outputs: list[Array], _mask: NDArray[np.int64]) -> Array:
    return outputs[0]


_POOLINGS: dict[str, Callable[[list[Array], NDArray[np.int64]], Array]] = {
    "cls": _first_token,
    "mean": _mean,
    "lasttoken": _last_token,
}
