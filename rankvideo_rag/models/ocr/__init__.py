"""On-screen text recognition (OCR). One file per backend; each has `load() -> OCRReader`.

Backends get frames as arrays and return cleaned `TextSpan`s; they open no media files.
"""

from typing import Protocol

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import Frames
from rankvideo_rag.schema import TextSpan


class OCRReader(Protocol):
    """An OCR model."""

    @property
    def name(self) -> str:
        """Backend and model in one line, as recorded in archives."""

    def read(self, frames: Frames, *, end: float) -> list[TextSpan]:
        """Return the text in `frames`, in order of time.

        A frame lasts until the next one, the last one until `end` seconds; frames at or after `end` are left out.
        """


def load_ocr_reader(backend: str) -> OCRReader:
    """Load the OCR backend of that name."""
    reader: OCRReader = load_backend(__name__, backend)
    return reader
