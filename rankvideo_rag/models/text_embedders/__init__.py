"""Text embedders map questions and passages into one vector space. One file per backend, each with `load(model, **options)`.

Texts with near meanings get near vectors, also where they share no word.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.errors import ModelError
from rankvideo_rag.schema import Record
from rankvideo_rag.text import clean

Vectors = NDArray[np.float32]  # (texts, dim), rows of length 1, or of zeros


class TextEmbedderInfo(Record):
    """Everything that determines what a vector means. It is recorded in an archive, which other text embedders cannot read."""

    backend: str
    model: str | None
    revision: str | None  # a hub commit, or a checksum of a local model's files
    dim: int
    pooling: str
    query_prompt: str  # put before each question
    passage_prompt: str  # put before each passage
    max_tokens: int | None  # of which a text's vector is made; further ones are ignored

    def __str__(self) -> str:
        revision = f"@{self.revision[:12]}" if self.revision else ""
        return f"{self.backend}:{self.model or 'built-in'}{revision} ({self.dim} dimensions, {self.pooling} pooling)"


class TextEmbedder(Protocol):
    """A model that embeds text. Its two methods return (texts, dim) float32: cosines are dot products.

    A row is a unit vector, or zeros for a text with nothing to embed (empty, or no token that the model knows): its cosine
    with every other is 0.
    """

    @property
    def info(self) -> TextEmbedderInfo:
        """Describe the vectors."""

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each question."""

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each passage."""


def load_text_embedder(backend: str, model: str | None = None, *, device: str | None = None) -> TextEmbedder:
    """Load a model, a hub name or a local path, with the backend of that name."""
    embedder: TextEmbedder = load_backend(__name__, backend, model, device=device)
    return embedder


class PromptedTextEmbedder:
    """A function from texts to (texts, dim) vectors, as a TextEmbedder: texts are cleaned, vectors checked and scaled."""

    def __init__(self, encode: Callable[[list[str]], NDArray[np.floating]], info: TextEmbedderInfo) -> None:
        self._encode = encode
        self.info = info

    def embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each question."""
        return self._embed(texts, self.info.query_prompt)

    def embed_passages(self, texts: Sequence[str]) -> Vectors:
        """Return a row for each passage."""
        return self._embed(texts, self.info.passage_prompt)

    def _embed(self, texts: Sequence[str], prompt: str) -> Vectors:
        cleaned = [clean(text) for text in texts]
        rows = np.zeros((len(cleaned), self.info.dim), dtype=np.float32)
        if filled := [index for index, text in enumerate(cleaned) if text]:
            rows[filled] = self._encode([prompt + cleaned[index] for index in filled])
        return _unit_rows(rows, model=str(self.info.model))


def _unit_rows(rows: Vectors, *, model: str) -> Vectors:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if (invalid := np.flatnonzero(~np.isfinite(lengths))).size:
        length = lengths[invalid[0], 0]
        raise ModelError(f"{model!r} computed for text {invalid[0]} a vector of length {length}, which cannot be compared")
    units: Vectors = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return units
