"""Automatic speech recognition. One file per backend; each has `load(model, *, device) -> Transcriber`.

Backends get audio as an array and return cleaned `TextSpan`s; they open no media files.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.schema import TextSpan


class Transcriber(Protocol):
    """A speech recognition model."""

    @property
    def name(self) -> str:
        """Backend and model in one line, as recorded in archives."""

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """Return the speech in `audio` ((samples,) mono, 16 kHz, in [-1, 1]), in order of time; none for silence."""


def load_transcriber(backend: str, model: str | None = None, *, device: str | None = None) -> Transcriber:
    """Load a transcriber. `model` is one of the backend's model names, or the path of a checkpoint."""
    transcriber: Transcriber = load_backend(__name__, backend, model, device=device)
    return transcriber
