"""Turn the output of Whisper models into timed text, whichever library runs them.

Whisper writes sentences over silence and music, and repeats itself (arXiv 2402.08021). Shared measures against it: audio is
filtered by Silero VAD, output beyond the segment it was recognised in is cut off, and repetitions are removed.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media import SAMPLE_RATE
from rankvideo_rag.models.asr.repetition_filter import remove_repeated_phrases, remove_repeated_spans
from rankvideo_rag.models.asr.silence_detection import Segment, detect_nonsilent, group_segments
from rankvideo_rag.schema import TextSpan, TimedWord
from rankvideo_rag.text import clean

HOP = 160  # samples per frame of Whisper's spectrogram
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
TIMESTAMP_SECONDS = 0.02  # resolution of Whisper's timestamp tokens
SEED = 0  # Whisper samples at temperatures above 0: seeded, so that transcripts are reproducible

# Whisper's own defaults, written out because transcripts depend on them. A 30 s window whose text compresses more than 2.4-fold
# repeats itself, and one below a mean log-probability of -1.0 is a guess: both are decoded again at the next temperature. A
# guess with more than 0.6 on the no-speech token is dropped.
MIN_LOG_PROBABILITY = -1.0
DECODING_OPTIONS: dict[str, Any] = {
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 2.4,
    "no_speech_threshold": 0.6,
    "condition_on_previous_text": False,
    "word_timestamps": True,
}
VAD_OPTIONS = {"min_silence_duration_ms": 2000, "speech_pad_ms": 400}  # of Silero VAD


class RecognizedSegment(NamedTuple):
    """A segment as Whisper returns it, in seconds from the beginning of the audio that it was given."""

    window: float  # start of the 30 s window
    start: float
    end: float
    text: str
    mean_log_probability: float
    language: str | None
    words: Sequence[TimedWord]


Recognize = Callable[[NDArray[np.float32], list[float]], Iterable[RecognizedSegment]]
"""Recognises parts of audio (samples,): the list holds their starts and ends in turn, in seconds."""

DetectSpeech = Callable[[NDArray[np.float32]], Iterable[Mapping[str, Any]]]
"""Finds speech in audio ((samples,) mono, 16 kHz): `start` and `end` in samples, as Silero VAD returns them."""

FindSpeech = Callable[[NDArray[np.float32]], list[Segment]]
"""Finds the segments of a recording to transcribe."""


def detect_speech(audio: NDArray[np.float32], detect: DetectSpeech) -> list[Segment]:
    """Return the segments of `audio` with speech, in order. Only what is not silent is searched."""
    return [
        Segment(round(around.start + part["start"] / SAMPLE_RATE, 3), round(around.start + part["end"] / SAMPLE_RATE, 3))
        for around in detect_nonsilent(audio)
        for part in detect(audio[round(around.start * SAMPLE_RATE) : round(around.end * SAMPLE_RATE)])
    ]


def timestamp_times(
    window: float, tokens: Sequence[int], first_timestamp: int, default: tuple[float, float]
) -> tuple[float, float]:
    """Return start and end of a segment in seconds by the timestamp tokens around it, else by `default`.

    With word timestamps both libraries replace these times by those of the words, and place the first word of a part at its
    beginning.
    """
    edges = tokens[:1], tokens[-1:]
    start, end = (
        window + (edge[0] - first_timestamp) * TIMESTAMP_SECONDS if edge and edge[0] >= first_timestamp else other
        for edge, other in zip(edges, default, strict=True)
    )
    return start, end


def transcribe_segments(
    recognize: Recognize, audio: NDArray[np.float32], segments: Sequence[Segment], *, source: str
) -> list[TextSpan]:
    """Return the speech in these segments of `audio` ((samples,) mono, 16 kHz), in order of time."""
    groups = group_segments(segments)
    return remove_repeated_spans([span for group in groups for span in _transcribe_group(recognize, audio, group, source)])


def _transcribe_group(
    recognize: Recognize, audio: NDArray[np.float32], group: Sequence[Segment], source: str
) -> Iterator[TextSpan]:
    """Transcribe neighbouring segments in one call; the language is detected in their first 30 seconds."""
    first, last = group[0].start, group[-1].end
    samples = audio[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
    # Whisper never returns from a part that ends after its last whole frame.
    frames_end = len(samples) // HOP / FRAMES_PER_SECOND
    parts = [(start - first, min(end - first, frames_end)) for start, end in group if start - first < frames_end]
    for found in recognize(np.ascontiguousarray(samples), [edge for part in parts for edge in part]):
        segment = _segment_at(first + found.window, group)
        text = remove_repeated_phrases(clean(found.text))
        # There is silence outside the segment: what Whisper places there is not in the audio.
        start, end = (_clamp(segment, first + edge) for edge in (found.start, found.end))
        if text and end > start:
            span = Segment(start, end)
            yield TextSpan(
                channel="speech",
                text=text,
                start=start,
                end=end,
                source=source,
                confidence=min(1.0, float(np.exp(found.mean_log_probability))),
                language=found.language,
                words=[
                    TimedWord(cleaned, _clamp(span, first + word_start), _clamp(span, first + word_end))
                    for word, word_start, word_end in found.words
                    if (cleaned := clean(word))
                ],
            )


def _clamp(segment: Segment, time: float) -> float:
    return min(max(round(time, 3), segment.start), segment.end)


def _segment_at(time: float, segments: Sequence[Segment]) -> Segment:
    """Return the last segment that begins at or before `time`, but for rounding."""
    return next((s for s in reversed(segments) if s.start <= time + 0.01), segments[0])
