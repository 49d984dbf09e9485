"""Words that a video says and shows. Transcribers hear, text readers see; one file per backend, each with `load`.

Nothing here opens media or knows a store: sound and frames come in as arrays, cleaned `TextSpan`s go out.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import Frames
from rankvideo_rag.schema import TextSpan


class Transcriber(Protocol):
    """A speech recogniser."""

    @property
    def name(self) -> str:
        """Backend and model in one line: what an archive records."""

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """The words spoken in `audio` ((samples,) mono, 16 kHz, in [-1, 1]), in order of time; none for silence."""


class TextReader(Protocol):
    """A reader of the words that stand in pictures."""

    @property
    def name(self) -> str:
        """Backend and model in one line: what an archive records."""

    def read(self, frames: Frames, *, end: float) -> list[TextSpan]:
        """The words shown in `frames`, in order of time. A frame counts until the next one, the last one until `end`, in
        seconds from the video's beginning; frames at or after `end` are left out."""


def load_transcriber(backend: str, model: str | None = None, *, device: str | None = None) -> Transcriber:
    """The speech recogniser of that name with a model loaded: one of its model names, or a path to a checkpoint."""
    transcriber: Transcriber = load_backend(__name__, backend, model, device=device)
    return transcriber


def load_text_reader(backend: str) -> TextReader:
    """The text reader of that name."""
    reader: TextReader = load_backend(__name__, backend)
    return reader
