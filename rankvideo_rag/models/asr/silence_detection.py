"""Where there is anything to hear: the stretches of a recording that are louder than silence, and how to cut it into passages.

A speech recogniser given silence makes up words (arXiv 2402.08021), so silence is never shown to one. This file measures
loudness only: it does not tell a voice from music, and knows no model.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media import SAMPLE_RATE

BLOCK = 0.1  # seconds over which loudness is measured: half a syllable

# Root mean square of a block, full scale being 1: -60 dBFS. A silent track after lossy coding stays below -70 dBFS and
# speech seldom peaks below -40: the gate drops what holds no voice at all, and leaves doubtful sound to the model's own gates.
SILENCE_RMS = 0.001

MIN_SILENCE = 2.0  # seconds: shorter silences are part of speech
PADDING = 0.2  # seconds kept around a stretch, for soft beginnings and endings of words
MAX_SECONDS = 600.0  # seconds: a spectrogram takes about 0.4 MB a second, and a passage is what is held at once
CUT_SEARCH_SECONDS = 30.0  # seconds at the end of an overlong stretch in which its quietest place is looked for


class Segment(NamedTuple):
    """A span with sound in it, in seconds."""

    start: float
    end: float


def detect_nonsilent(audio: NDArray[np.float32]) -> list[Segment]:
    """The spans of `audio` ((samples,) 16 kHz) that are not silence, in order, none longer than MAX_SECONDS."""
    loudness = _loudness(audio)
    duration = len(audio) / SAMPLE_RATE
    found: list[Segment] = []
    for block in np.flatnonzero(loudness > SILENCE_RMS).tolist():
        start, end = max(0.0, _time(block) - PADDING), min(duration, _time(block + 1) + PADDING)
        if found and start - found[-1].end < MIN_SILENCE - 2 * PADDING:
            found[-1] = Segment(found[-1].start, end)
        else:
            found.append(Segment(start, end))
    return [part for stretch in found for part in _cut(stretch, loudness)]


def group_segments(stretches: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Neighbouring stretches that together span no more than MAX_SECONDS: what is transcribed in one go."""
    passage: list[Segment] = []
    for stretch in stretches:
        if passage and stretch.end - passage[0].start > MAX_SECONDS:
            yield passage
            passage = []
        passage.append(stretch)
    if passage:
        yield passage


def _loudness(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """The root mean square of each block: (blocks,) float32. What is left of the last block counts with zeros behind it."""
    size = round(BLOCK * SAMPLE_RATE)
    padded = np.pad(audio, (0, -len(audio) % size)).reshape(-1, size)
    loudness: NDArray[np.float32] = np.sqrt(np.einsum("bs,bs->b", padded, padded) / np.float32(size))
    return loudness


def _cut(stretch: Segment, loudness: NDArray[np.float32]) -> Iterator[Segment]:
    """An overlong stretch in parts, cut at quiet places so that no word is cut where that can be helped."""
    start = stretch.start
    while stretch.end - start > MAX_SECONDS:
        first, last = round((start + MAX_SECONDS - CUT_SEARCH_SECONDS) / BLOCK), round((start + MAX_SECONDS) / BLOCK)
        quietest = _time(first + int(loudness[first:last].argmin()))
        yield Segment(start, quietest)
        start = quietest
    yield Segment(start, stretch.end)


def _time(block: int) -> float:
    return round(block * BLOCK, 3)
