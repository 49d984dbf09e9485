"""Static text embedders: a text's vector is the mean of its tokens' stored vectors. No torch and no onnxruntime are needed.

The method is that of model2vec (Tulkens and van Dongen 2024): the vectors of tokens are distilled from a sentence embedder.
A folder holds vocab.txt (WordPiece), vectors.npy ((tokens, dim) int8) and scales.npy ((tokens,) float16, which hold each
token's weight too).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.files import file_hash
from rankvideo_rag.models.bundled import bundled_names, local_folder
from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo
from rankvideo_rag.models.text_embedders.wordpiece import tokenize

_FILES = ("vocab.txt", "vectors.npy", "scales.npy")


def load(model: str | None, *, device: str | None = None) -> PromptedTextEmbedder:
    """Load a folder, or bundled:static-en, the one that ships with the package. It runs on the CPU, whatever the device."""
    folder = local_folder(model or "")
    if not model or not folder.is_dir():
        raise InputError(
            f"text_embedder_model = {model!r}: the static backend needs a folder with {', '.join(_FILES)}, or one of "
            f"{', '.join(bundled_names())}"
        )
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise ModelError(f"{str(folder)!r} is no static text embedder: it lacks {', '.join(missing)}")
    table = StaticVectors(folder)
    info = TextEmbedderInfo(
        backend="static",
        model=model,
        revision=file_hash(folder / "vectors.npy")[:16],
        dim=table.dim,
        pooling="mean",
        query_prompt="",
        passage_prompt="",
        max_tokens=None,
    )
    return PromptedTextEmbedder(table.encode, info)


class StaticVectors:
    """The stored vectors of a vocabulary's tokens."""

    def __init__(self, folder: Path) -> None:
        words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self._numbers = {word: number for number, word in enumerate(words)}
        self._vectors: NDArray[np.int8] = np.load(folder / "vectors.npy", allow_pickle=False)
        self._scales: NDArray[np.float16] = np.load(folder / "scales.npy", allow_pickle=False)
        if not len(words) == len(self._vectors) == len(self._scales):
            counts = f"{len(words)} words, {len(self._vectors)} vectors and {len(self._scales)} scales"
            raise ModelError(f"{str(folder)!r} holds {counts}, which should be as many")

    @property
    def dim(self) -> int:
        """Dimensions of a vector."""
        return int(self._vectors.shape[1])

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Return (texts, dim), the sums of the tokens' weighted vectors; zeros for a text without a known token."""
        rows = np.zeros((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            numbers = tokenize(text, self._numbers)
            rows[row] = self._scales[numbers].astype(np.float32) @ self._vectors[numbers].astype(np.float32)
        return rows
