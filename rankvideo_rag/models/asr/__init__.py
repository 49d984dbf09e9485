"""Speech recognizers. One file per backend; each has `load(model, *, device) -> Transcriber`.

Nothing here opens media: audio comes in as an array, cleaned `TextSpan`s go out.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.schema import TextSpan


class Transcriber(Protocol):
    """A speech recogniser."""

    @property
    def name(self) -> str:
        """Backend and model in one line: what an archive records."""

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """The words spoken in `audio` ((samples,) mono, 16 kHz, in [-1, 1]), in order of time; none for silence."""


def load_transcriber(backend: str, model: str | None = None, *, device: str | None = None) -> Transcriber:
    """The speech recogniser of that name with a model loaded: one of its model names, or a path to a checkpoint."""
    transcriber: Transcriber = load_backend(__name__, backend, model, device=device)
    return transcriber
