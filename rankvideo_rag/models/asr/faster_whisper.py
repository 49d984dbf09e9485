"""Speech recognition with faster-whisper (CTranslate2) and the Silero VAD that it brings. Audio files are not read here."""

import logging
from collections.abc import Iterator
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel, available_models
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.files import file_hash
from rankvideo_rag.models.asr import common
from rankvideo_rag.models.asr.silence_detection import Segment
from rankvideo_rag.schema import TextSpan, TimedWord

log = logging.getLogger(__name__)

_FILES = ("model.bin", "config.json", "tokenizer.json")


def speech_segments(audio: NDArray[np.float32]) -> list[Segment]:
    """Return the segments of `audio` ((samples,) 16 kHz) with speech; pauses under 2 s are part of them."""
    options = VadOptions(**common.VAD_OPTIONS)
    return common.detect_speech(audio, lambda samples: get_speech_timestamps(samples, options))


class FasterWhisperTranscriber:
    """A loaded model. Only the segments that `find` returns reach it."""

    def __init__(self, model: WhisperModel, name: str, *, find: common.FindSpeech = speech_segments) -> None:
        self.name = name
        self._model, self._find = model, find
        # Task and language, which a multilingual tokenizer would need, do not change the ids of timestamps.
        self._first_timestamp = Tokenizer(model.hf_tokenizer, False).timestamp_begin

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """Return the speech in `audio` ((samples,) mono, 16 kHz), in order of time; none for silence and music."""
        return common.transcribe_segments(self._recognize, audio, self._find(audio), source="faster-whisper")

    def _recognize(self, samples: NDArray[np.float32], edges: list[float]) -> Iterator[common.RecognizedSegment]:
        ctranslate2.set_random_seed(common.SEED)
        segments, info = self._model.transcribe(
            samples, clip_timestamps=edges, log_prob_threshold=common.MIN_LOG_PROBABILITY, **common.DECODING_OPTIONS
        )
        for found in segments:
            words = [TimedWord(word.word, word.start, word.end) for word in found.words or ()]
            window = found.seek / common.FRAMES_PER_SECOND
            times = common.timestamp_times(window, found.tokens, self._first_timestamp, (found.start, found.end))
            yield common.RecognizedSegment(window, *times, found.text, found.avg_logprob, info.language, words)


def load(model: str | None, *, device: str | None = None) -> FasterWhisperTranscriber:
    """Load the model of that name, downloaded if it is not cached, or the converted one in the folder at that path.

    Raises InputError for a name that is neither, ModelError for a model that cannot be downloaded or read.
    """
    if model is not None and model in available_models():
        log.info("loading faster-whisper %s: downloaded if it is not cached", model)
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
    except Exception as error:  # CTranslate2, tokenizers and the hub each raise their own types
        raise ModelError(
            f"the faster-whisper model {model!r} cannot be loaded ({type(error).__name__}: {error}). Without a network, give "
            f"the path of a folder with {', '.join(_FILES)}, downloaded elsewhere or written by ct2-transformers-converter"
        ) from error
