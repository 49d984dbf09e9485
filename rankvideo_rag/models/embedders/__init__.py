"""Embedders map questions and clips into one vector space. One file per backend; each has `load(model, **options) -> Embedder`.

Inputs are arrays of frames and audio, outputs are unit vectors.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import ClipMedia
from rankvideo_rag.schema import FrameBudget, Record

Vector = NDArray[np.float32]  # (dim,), length 1


class EmbedderInfo(Record):
    """Everything that determines what a vector means. It is recorded in an archive, which other embedders cannot read."""

    backend: str
    model: str | None
    revision: str | None  # a hub commit, or a checksum of a local model's weights
    dim: int
    pooling: str
    normalized: bool
    query_prompt: str
    document_prompt: str
    modalities: tuple[str, ...]  # what of a clip is embedded: "video", "image", "audio"
    frames: FrameBudget

    def __str__(self) -> str:
        revision = f"@{self.revision[:12]}" if self.revision else ""
        return f"{self.backend}:{self.model or 'built-in'}{revision} ({self.dim} dimensions, {self.pooling} pooling)"


class Embedder(Protocol):
    """A model that embeds questions and clips."""

    @property
    def info(self) -> EmbedderInfo:
        """Describe the vectors."""

    def embed_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return a vector for each question; None for one that cannot be embedded."""

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """Return a vector for each clip; None where there is nothing to embed, such as audio only for a model of frames."""


def load_embedder(backend: str, model: str | None = None, *, device: str | None = None) -> Embedder:
    """Load a model, a hub name or a local path, with the backend of that name; None where the backend needs no model."""
    embedder: Embedder = load_backend(__name__, backend, model, device=device)
    return embedder
