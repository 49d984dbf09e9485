"""What a Whisper hears becomes timed words, whichever code runs it: one passage at a time, within the sound, without loops.

Defences that all of them share: only stretches in which a voice detector hears somebody speak are shown to the model, what it
places beyond the one it was hearing is cut off, loops are reduced to one. This file knows no model.
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

HOP = 160  # samples between two columns of the spectrogram that a Whisper hears
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
TIMESTAMP_SECONDS = 0.02  # seconds between two timestamps that a Whisper can write
SEED = 0  # above temperature 0 Whisper samples: seeded, so that the same sound gives the same words

# Whisper's own values, written out because answers depend on them. A window whose text compresses more than 2.4-fold
# repeats itself, and one below a mean log-probability of -1.0 is a guess: both are tried again at the next temperature.
# A guess with more than 0.6 on the no-speech token is dropped.
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
MAX_COMPRESSION_RATIO, MIN_LOG_PROBABILITY, MAX_NO_SPEECH = 2.4, -1.0, 0.6


class RecognizedSegment(NamedTuple):
    """What a Whisper says it heard, in seconds from the beginning of the sound that it was given."""

    window: float  # the beginning of the 30 seconds in which it heard this
    start: float
    end: float
    text: str
    mean_log_probability: float
    language: str | None
    words: Sequence[TimedWord]  # in seconds from the same beginning


Recognize = Callable[[NDArray[np.float32], list[float]], Iterable[RecognizedSegment]]
"""Hears stretches of a sound: (samples,), and where they begin and end in turn, in seconds."""

DetectSpeech = Callable[[NDArray[np.float32]], Iterable[Mapping[str, Any]]]
"""Where somebody speaks in a sound ((samples,) mono, 16 kHz): `start` and `end` in samples, as Silero's detector gives them."""

FindSpeech = Callable[[NDArray[np.float32]], list[Segment]]
"""Where there is something to hear in a recording."""

# Silero's detector: milliseconds that a pause may last before it parts speech, and that are kept around what is spoken.
MIN_SILENCE_MS, SPEECH_PAD_MS = 2000, 400


def detect_speech(audio: NDArray[np.float32], detect: DetectSpeech) -> list[Segment]:
    """The spans of `audio` in which somebody speaks, in order. Music and noise are none, and silence is not looked into."""
    return [
        Segment(round(around.start + part["start"] / SAMPLE_RATE, 3), round(around.start + part["end"] / SAMPLE_RATE, 3))
        for around in detect_nonsilent(audio)
        for part in detect(audio[round(around.start * SAMPLE_RATE) : round(around.end * SAMPLE_RATE)])
    ]


def timestamp_times(
    window: float, tokens: Sequence[int], first_timestamp: int, otherwise: tuple[float, float]
) -> tuple[float, float]:
    """When a segment begins and ends by the timestamps that the model wrote around it, in seconds as `window` is.

    Once words are timed, both libraries move a segment's edges to theirs, and the first word of a stretch is always laid at the
    stretch's beginning. Where there is no timestamp at an edge it is as the library has it.
    """
    edges = tokens[:1], tokens[-1:]
    start, end = (
        window + (edge[0] - first_timestamp) * TIMESTAMP_SECONDS if edge and edge[0] >= first_timestamp else other
        for edge, other in zip(edges, otherwise, strict=True)
    )
    return start, end


def transcribe_segments(
    hear: Recognize, audio: NDArray[np.float32], stretches: Sequence[Segment], *, source: str
) -> list[TextSpan]:
    """The words spoken in those stretches of `audio` ((samples,) mono, 16 kHz), in order of time."""
    return remove_repeated_spans(
        [span for passage in group_segments(stretches) for span in _passage(hear, audio, passage, source)]
    )


def _passage(hear: Recognize, audio: NDArray[np.float32], passage: Sequence[Segment], source: str) -> Iterator[TextSpan]:
    """The words of one passage. It gets a language of its own: that of its first 30 seconds of sound and pauses."""
    first, last = passage[0].start, passage[-1].end
    sound = audio[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
    # Whisper never comes back from a stretch that ends after its last whole frame: it goes on asking for nothing.
    whole = len(sound) // HOP / FRAMES_PER_SECOND
    inside = [(start - first, min(end - first, whole)) for start, end in passage if start - first < whole]
    for segment in hear(np.ascontiguousarray(sound), [edge for stretch in inside for edge in stretch]):
        heard_in = _stretch_of(first + segment.window, passage)
        text = remove_repeated_phrases(clean(segment.text))
        # Beyond its stretch there is silence: what Whisper places there it cannot have heard.
        start, end = (_within(heard_in, first + edge) for edge in (segment.start, segment.end))
        if text and end > start:
            yield TextSpan(
                channel="speech",
                text=text,
                start=start,
                end=end,
                source=source,
                confidence=min(1.0, float(np.exp(segment.mean_log_probability))),
                language=segment.language,
                words=[
                    TimedWord(bare, _within(Segment(start, end), first + begins), _within(Segment(start, end), first + ends))
                    for word, begins, ends in segment.words
                    if (bare := clean(word))
                ],
            )


def _within(stretch: Segment, time: float) -> float:
    return min(max(round(time, 3), stretch.start), stretch.end)


def _stretch_of(time: float, stretches: Sequence[Segment]) -> Segment:
    """The stretch in which a window that begins at `time` lies: the last one that begins no later, but for rounding."""
    return next((s for s in reversed(stretches) if s.start <= time + 0.01), stretches[0])
