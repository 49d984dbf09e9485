"""Detect silence by loudness, and group the other segments of a recording for transcription.

Speech recognition models invent text for silence (arXiv 2402.08021). Speech and music are not distinguished here.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media import SAMPLE_RATE

BLOCK = 0.1  # seconds per loudness value: half a syllable

# Root mean square of a block relative to full scale: -60 dBFS. A silent track after lossy coding stays below -70 dBFS, and
# speech seldom peaks below -40.
SILENCE_RMS = 0.001

MIN_SILENCE = 2.0  # seconds: shorter silences are part of speech
PADDING = 0.2  # seconds kept around a segment, for soft beginnings and endings of words
MAX_SECONDS = 600.0  # seconds transcribed in one call: a spectrogram takes about 0.4 MB per second
CUT_SEARCH_SECONDS = 30.0  # seconds at the end of an overlong segment in which it is cut, at its quietest block


class Segment(NamedTuple):
    """A part of a recording, in seconds."""

    start: float
    end: float


def detect_nonsilent(audio: NDArray[np.float32]) -> list[Segment]:
    """Return the segments of `audio` ((samples,) 16 kHz) that are not silent, in order, none longer than MAX_SECONDS."""
    loudness = _loudness(audio)
    duration = len(audio) / SAMPLE_RATE
    found: list[Segment] = []
    for block in np.flatnonzero(loudness > SILENCE_RMS).tolist():
        start, end = max(0.0, _time(block) - PADDING), min(duration, _time(block + 1) + PADDING)
        if found and start - found[-1].end < MIN_SILENCE - 2 * PADDING:
            found[-1] = Segment(found[-1].start, end)
        else:
            found.append(Segment(start, end))
    return [part for segment in found for part in _cut(segment, loudness)]


def group_segments(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Yield groups of neighbouring segments that span at most MAX_SECONDS and are transcribed in one call."""
    group: list[Segment] = []
    for segment in segments:
        if group and segment.end - group[0].start > MAX_SECONDS:
            yield group
            group = []
        group.append(segment)
    if group:
        yield group


def _loudness(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the root mean square of each block: (blocks,) float32. The last block is padded with zeros."""
    size = round(BLOCK * SAMPLE_RATE)
    padded = np.pad(audio, (0, -len(audio) % size)).reshape(-1, size)
    loudness: NDArray[np.float32] = np.sqrt(np.einsum("bs,bs->b", padded, padded) / np.float32(size))
    return loudness


def _cut(segment: Segment, loudness: NDArray[np.float32]) -> Iterator[Segment]:
    """Yield the parts of an overlong segment, cut at its quietest blocks to avoid cutting words."""
    start = segment.start
    while segment.end - start > MAX_SECONDS:
        first, last = round((start + MAX_SECONDS - CUT_SEARCH_SECONDS) / BLOCK), round((start + MAX_SECONDS) / BLOCK)
        quietest = _time(first + int(loudness[first:last].argmin()))
        yield Segment(start, quietest)
        start = quietest
    yield Segment(start, segment.end)


def _time(block: int) -> float:
    return round(block * BLOCK, 3)
