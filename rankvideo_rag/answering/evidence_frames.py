"""Frames of the evidence, for a model that sees: a few from where RankVideo saw what is asked, each with its true time.

This file knows neither LlamaIndex nor models.
"""

import base64
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import numpy as np

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import Frames, read_frames
from rankvideo_rag.models.vlm.openai_protocol import encode_frames
from rankvideo_rag.schema import OmittedEvidence

# One token for as many pixels: the dearest of three published rules (a tile of 512x512 for 255 tokens, 32x32 pixels for one,
# 750 pixels for one), so that the estimate errs to the safe side.
PIXELS_PER_TOKEN = 750


class Picture(NamedTuple):
    """A frame of a numbered clip."""

    number: int  # of the evidence
    time: float  # seconds from the video's beginning
    png: bytes
    tokens: int  # about


class Looked(NamedTuple):
    """Frames that a prompt may show, and those that it may not, with the reason."""

    pictures: list[Picture]
    omitted: list[OmittedEvidence]


def look(evidence: Sequence[Evidence], *, frames: int, budget: int) -> Looked:
    """Up to that many frames of each clip, best clips first, as far as the tokens reach.

    They are spread over the window that carried RankVideo's score, else over the whole clip. A clip that cannot be read has
    none, and says why.
    """
    pictures: list[Picture] = []
    omitted: list[OmittedEvidence] = []
    for piece in evidence:
        try:
            of_clip = _pictures(piece, frames)
        except MediaError as error:
            omitted.append(_omitted(piece, frames, frames, f"{error.code}: {error}"))
            continue
        room = budget - sum(picture.tokens for picture in pictures)
        fitting = of_clip[: max(room, 0) // of_clip[0].tokens]
        pictures += fitting
        if missing := len(of_clip) - len(fitting):
            omitted.append(_omitted(piece, missing, len(of_clip), "the prompt's token budget"))
    return Looked(pictures, omitted)


def _pictures(piece: Evidence, count: int) -> list[Picture]:
    span = piece.seen or piece
    if span.start >= span.end:
        raise MediaError("no_length", "the length of the clip is unknown")
    # Twice as many are read, and of each two neighbours one is shown: none lies on the very edge of the span.
    read = read_frames(piece.path, span.start, span.end, max_frames=2 * count, min_frames=2 * count)
    if not len(read):
        raise MediaError("no_frames", "no frame is on screen in this clip")
    places = np.unique(((np.arange(count) + 0.5) * len(read) / count).astype(int))
    chosen = Frames(read.pixels[places], read.times[places])
    _, height, width, _ = chosen.pixels.shape
    tokens = ceil(height * width / PIXELS_PER_TOKEN)
    encoded = encode_frames(chosen, as_video=False).splitlines()
    return [
        Picture(piece.number, float(time), base64.b64decode(png), tokens)
        for time, png in zip(chosen.times, encoded, strict=True)
    ]


def _omitted(piece: Evidence, count: int, total: int, reason: str) -> OmittedEvidence:
    return OmittedEvidence(
        title=piece.title, start=piece.start, end=piece.end, kind="frames", count=count, total=total, reason=reason
    )
