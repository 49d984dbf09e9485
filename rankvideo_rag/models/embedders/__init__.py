"""Embedders put questions and clips into one vector space. One file per backend; each has `load(model, **options) -> Embedder`.

Nothing here opens media or knows a store: frames and sound come in as arrays, unit vectors go out.
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
    """Everything that decides what a vector means. Recorded in an archive; another one cannot read its vectors."""

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
        """What the vectors mean."""

    def embed_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """A vector for each question; None where the embedder cannot say anything about it."""

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """A vector for each clip; None where there is nothing to embed (no picture, and a model without ears)."""


def load_embedder(backend: str, model: str | None = None, *, device: str | None = None) -> Embedder:
    """The backend of that name with a model loaded: a hub name or a local path; None where the backend needs none."""
    embedder: Embedder = load_backend(__name__, backend, model, device=device)
    return embedder
