"""Cross-encoders score how well a passage answers a question, reading both together. One file per backend, each with `load`."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.errors import ModelError
from rankvideo_rag.schema import Record
from rankvideo_rag.text import clean

Logits = NDArray[np.float32]  # (passages,)


class CrossEncoderInfo(Record):
    """Everything that determines what a score means."""

    backend: str
    model: str | None
    revision: str | None  # a hub commit, or a checksum of a local model's files
    max_tokens: int | None  # of question and passage together; the longer of both is cut

    def __str__(self) -> str:
        revision = f"@{self.revision[:12]}" if self.revision else ""
        return f"{self.backend}:{self.model or 'built-in'}{revision}"


class CrossEncoder(Protocol):
    """A model that reads a question and a passage together."""

    @property
    def info(self) -> CrossEncoderInfo:
        """Describe the model."""

    def score(self, question: str, passages: Sequence[str]) -> Logits:
        """Return (passages,) logits that each passage answers the question, as the model was trained: the higher the likelier.

        They order passages; as probabilities (by a sigmoid) they need calibration.
        """


def load_cross_encoder(backend: str, model: str | None = None, *, device: str | None = None) -> CrossEncoder:
    """Load a model, a hub name or a local path, with the backend of that name."""
    encoder: CrossEncoder = load_backend(__name__, backend, model, device=device)
    return encoder


class PairScorer:
    """A function from (question, passage) pairs to a network's (pairs, 1 or 2) outputs, as a CrossEncoder."""

    def __init__(self, run: Callable[[list[tuple[str, str]]], NDArray[np.floating]], info: CrossEncoderInfo) -> None:
        self._run = run
        self.info = info

    def score(self, question: str, passages: Sequence[str]) -> Logits:
        """Return (passages,) logits that each passage answers the question."""
        if not passages:
            return np.zeros(0, dtype=np.float32)
        question = clean(question)
        return _logits(self._run([(question, clean(passage)) for passage in passages]), model=str(self.info.model))


def _logits(outputs: NDArray[np.floating], *, model: str) -> Logits:
    """Return the one output of each pair, or the difference of two, of no and yes."""
    outputs = outputs.reshape(len(outputs), -1)
    if outputs.shape[1] > 2:
        raise ModelError(f"{model!r} gives {outputs.shape[1]} numbers for a pair: needed is one, or one each for no and yes")
    if not np.isfinite(outputs).all():
        raise ModelError(f"{model!r} computed scores that are not finite")
    logits = outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
    return logits.astype(np.float32)
