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
SILENCE = 0.001

PAUSE = 2.0  # seconds: shorter silences are part of speech
PADDING = 0.2  # seconds kept around a stretch, for soft beginnings and endings of words
LONGEST = 600.0  # seconds: a spectrogram takes about 0.4 MB a second, and a passage is what is held at once
CUT_WITHIN = 30.0  # seconds at the end of an overlong stretch in which its quietest place is looked for


class Stretch(NamedTuple):
    """A span with sound in it, in seconds."""

    start: float
    end: float


def sounding_stretches(audio: NDArray[np.float32]) -> list[Stretch]:
    """The spans of `audio` ((samples,) 16 kHz) that are not silence, in order, none longer than LONGEST."""
    loudness = _loudness(audio)
    duration = len(audio) / SAMPLE_RATE
    found: list[Stretch] = []
    for block in np.flatnonzero(loudness > SILENCE).tolist():
        start, end = max(0.0, _time(block) - PADDING), min(duration, _time(block + 1) + PADDING)
        if found and start - found[-1].end < PAUSE - 2 * PADDING:
            found[-1] = Stretch(found[-1].start, end)
        else:
            found.append(Stretch(start, end))
    return [part for stretch in found for part in _cut(stretch, loudness)]


def passages(stretches: Sequence[Stretch]) -> Iterator[list[Stretch]]:
    """Neighbouring stretches that together span no more than LONGEST: what is transcribed in one go."""
    passage: list[Stretch] = []
    for stretch in stretches:
        if passage and stretch.end - passage[0].start > LONGEST:
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


def _cut(stretch: Stretch, loudness: NDArray[np.float32]) -> Iterator[Stretch]:
    """An overlong stretch in parts, cut at quiet places so that no word is cut where that can be helped."""
    start = stretch.start
    while stretch.end - start > LONGEST:
        first, last = round((start + LONGEST - CUT_WITHIN) / BLOCK), round((start + LONGEST) / BLOCK)
        quietest = _time(first + int(loudness[first:last].argmin()))
        yield Stretch(start, quietest)
        start = quietest
    yield Stretch(start, stretch.end)


def _time(block: int) -> float:
    return round(block * BLOCK, 3)
