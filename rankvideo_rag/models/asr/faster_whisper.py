"""Speech recognition with faster-whisper (CTranslate2), on sound that is already decoded: its own file reader is not used.

The defences are those of `whisper`; Silero's voice detector comes with faster-whisper, as an ONNX file.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel, available_models
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.files import file_hash
from rankvideo_rag.models.asr.common import (
    FRAMES_PER_SECOND,
    MAX_COMPRESSION_RATIO,
    MAX_NO_SPEECH,
    MIN_LOG_PROBABILITY,
    MIN_SILENCE_MS,
    SEED,
    SPEECH_PAD_MS,
    TEMPERATURES,
    FindSpeech,
    RecognizedSegment,
    detect_speech,
    timestamp_times,
    transcribe_segments,
)
from rankvideo_rag.models.asr.silence_detection import Segment
from rankvideo_rag.schema import TextSpan, TimedWord

log = logging.getLogger(__name__)

GATES: dict[str, Any] = {
    "temperature": TEMPERATURES,
    "compression_ratio_threshold": MAX_COMPRESSION_RATIO,
    "log_prob_threshold": MIN_LOG_PROBABILITY,
    "no_speech_threshold": MAX_NO_SPEECH,
    "condition_on_previous_text": False,
}
_FILES = ("model.bin", "config.json", "tokenizer.json")


def speech_segments(audio: NDArray[np.float32]) -> list[Segment]:
    """The spans of `audio` ((samples,) 16 kHz) in which somebody speaks, in order; pauses under 2 s are part of speech."""
    options = VadOptions(min_silence_duration_ms=MIN_SILENCE_MS, speech_pad_ms=SPEECH_PAD_MS)
    return detect_speech(audio, lambda sound: get_speech_timestamps(sound, options))


class FasterWhisperTranscriber:
    """A loaded model. `find` says where there is something to hear; what lies elsewhere does not reach the model."""

    def __init__(self, model: WhisperModel, name: str, *, find: FindSpeech = speech_segments) -> None:
        self.name = name
        self._model, self._find = model, find
        # Task and language, which a multilingual one would ask for, do not move the timestamps.
        self._first_timestamp = Tokenizer(model.hf_tokenizer, False).timestamp_begin

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """The words spoken in `audio` ((samples,) mono, 16 kHz), in order of time; none for silence and music."""
        return transcribe_segments(self._hear, audio, self._find(audio), source="faster-whisper")

    def _hear(self, sound: NDArray[np.float32], edges: list[float]) -> Iterator[RecognizedSegment]:
        ctranslate2.set_random_seed(SEED)
        segments, told = self._model.transcribe(sound, clip_timestamps=edges, word_timestamps=True, **GATES)
        for found in segments:
            words = [TimedWord(word.word, word.start, word.end) for word in found.words or ()]
            window = found.seek / FRAMES_PER_SECOND
            times = timestamp_times(window, found.tokens, self._first_timestamp, (found.start, found.end))
            yield RecognizedSegment(window, *times, found.text, found.avg_logprob, told.language, words)


def load(model: str | None, *, device: str | None = None) -> FasterWhisperTranscriber:
    """The model of that name, downloaded when it is not in the cache, or the converted one in the folder at that path.

    Raises InputError for a name that is neither, ModelError for a model that cannot be had or read.
    """
    if model is not None and model in available_models():
        log.info("loading faster-whisper %s: it is downloaded when it is not in the cache yet", model)
        return FasterWhisperTranscriber(_load(model, device), f"faster-whisper:{model}")
    if model is not None and Path(model).is_dir():
        _check_files(Path(model))
        name = f"{Path(model).name}@{file_hash(Path(model) / 'model.bin')[:12]}"
        return FasterWhisperTranscriber(_load(model, device), f"faster-whisper:{name}")
    raise InputError(
        f"no faster-whisper model {model!r}: needed one of {', '.join(available_models())}, "
        f"or the path of a folder that ct2-transformers-converter wrote"
    )


def _check_files(folder: Path) -> None:
    if missing := [name for name in _FILES if not (folder / name).is_file()]:
        raise ModelError(
            f"{folder} is no model of faster-whisper: it lacks {', '.join(missing)}. Make one with: ct2-transformers-converter "
            f"--model openai/whisper-small --output_dir FOLDER --copy_files tokenizer.json preprocessor_config.json"
        )


def _load(model: str, device: str | None) -> WhisperModel:
    kind, _, number = (device or "auto").partition(":")
    try:
        return WhisperModel(model, device=kind, device_index=int(number or 0))
    except Exception as error:  # CTranslate2, tokenizers and the hub each have errors of their own
        raise ModelError(
            f"the faster-whisper model {model!r} cannot be loaded ({type(error).__name__}: {error}). Without a network, give "
            f"the path of a folder with {', '.join(_FILES)}, fetched elsewhere or written by ct2-transformers-converter"
        ) from error
