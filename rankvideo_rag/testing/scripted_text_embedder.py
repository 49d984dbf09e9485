"""Test double for a text embedder: a text's vector holds hashes of its tokens. Texts that share tokens are near to each other.

Deterministic, without weights and without torch. The model's name is the number of dimensions, 32 by default.
"""

import zlib
from collections.abc import Sequence

import numpy as np

from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo, Vectors
from rankvideo_rag.storage.full_text import normalize


def load(model: str | None = None, *, device: str | None = None) -> PromptedTextEmbedder:
    """Return an embedder of that many dimensions. It runs on the CPU whatever the device."""
    info = TextEmbedderInfo(
        backend="scripted",
        model=model,
        revision=None,
        dim=int(model or 32),
        pooling="mean",
        query_prompt="",
        passage_prompt="",
        max_tokens=None,
    )
    return PromptedTextEmbedder(lambda texts: _encode(texts, info.dim), info)


def _encode(texts: Sequence[str], dim: int) -> Vectors:
    rows = np.zeros((len(texts), dim), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for token in normalize(text).split():
            row[zlib.crc32(token.encode()) % dim] += 1
    return rows
