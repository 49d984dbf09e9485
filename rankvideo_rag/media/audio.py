"""Read the audio of a video, or of a part of it, for speech recognition and audio embedders."""

import os

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.frames import check_span
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder

SAMPLE_RATE = 16_000
_CHUNK_SECONDS = 600  # an hour of audio is 230 MB: it is decoded in chunks


def read_audio(
    path: str, start: float | None = None, end: float | None = None, *, limits: MediaLimits = MediaLimits()
) -> NDArray[np.float32] | None:
    """Read the audio in [start, end) seconds: (samples,) float32, mono, 16 kHz, in [-1, 1].

    Sample i is the audio i / 16000 seconds after `start`: where a file has none (a late start, a gap, damage), samples are 0.
    The array ends with the stream, so it may be shorter than the span, even empty. None if the file has no audio stream.
    `limits` apply to each ten minutes.

    Raises MediaError if the file cannot be opened or decoded, and InputError for an invalid span.
    """
    check_span(start, end)
    function, path = "rankvideo_rag.media.decoder.decode_audio:decode_audio", os.path.abspath(path)
    chunks: list[NDArray[np.float32]] = []
    begin, more = start or 0.0, True
    while more and (end is None or begin < end):
        stop = begin + _CHUNK_SECONDS if end is None else min(begin + _CHUNK_SECONDS, end)
        result = run_in_decoder(function, limits, path=path, start=begin, end=stop)
        if not result.value["has_audio"]:
            return None
        chunks.append(result.arrays["samples"])
        begin, more = stop, result.value["more"]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
