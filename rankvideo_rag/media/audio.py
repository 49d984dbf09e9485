"""The sound of a video or of a part of it, as speech recognition and audio embedders want it.

Decoding is done by `decoder.audio` in a child process, in pieces: an hour of sound is 230 MB.
"""

import os

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.frames import check_span
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder

SAMPLE_RATE = 16_000
_PIECE_SECONDS = 600
_FUNCTION = "rankvideo_rag.media.decoder.decode_audio:decode_audio"


def read_audio(
    path: str, start: float | None = None, end: float | None = None, *, limits: MediaLimits = MediaLimits()
) -> NDArray[np.float32] | None:
    """The sound in [start, end) seconds: (samples,) float32, mono, 16 kHz, in [-1, 1]; sample 0 is `start`.

    Where a file has no sound for a while (a late beginning, a gap, damage) there is silence, so that sample i is heard
    i / 16000 seconds after `start`. It ends with the stream, so it may be shorter than asked, even empty. None when the file
    has no audio stream at all. `limits` hold for each ten minutes.

    Raises MediaError when the file cannot be opened or decoded, InputError for a span that cannot be.
    """
    check_span(start, end)
    pieces: list[NDArray[np.float32]] = []
    begin, more = start or 0.0, True
    while more and (end is None or begin < end):
        stop = begin + _PIECE_SECONDS if end is None else min(begin + _PIECE_SECONDS, end)
        reply = run_in_decoder(_FUNCTION, limits, path=os.path.abspath(path), start=begin, end=stop)
        if not reply.value["has_audio"]:
            return None
        pieces.append(reply.arrays["samples"])
        begin, more = stop, reply.value["more"]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
