"""Readers of on-screen text (OCR). One file per backend; each has `load() -> TextReader`.

Nothing here opens media: frames come in as arrays, cleaned `TextSpan`s go out.
"""

from typing import Protocol

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import Frames
from rankvideo_rag.schema import TextSpan


class OCRReader(Protocol):
    """A reader of the words that stand in pictures."""

    @property
    def name(self) -> str:
        """Backend and model in one line: what an archive records."""

    def read(self, frames: Frames, *, end: float) -> list[TextSpan]:
        """The words shown in `frames`, in order of time. A frame counts until the next one, the last one until `end`, in
        seconds from the video's beginning; frames at or after `end` are left out."""


def load_ocr_reader(backend: str) -> OCRReader:
    """The text reader of that name."""
    reader: OCRReader = load_backend(__name__, backend)
    return reader
