"""Speech recognition with openai-whisper, on sound that is already decoded: its own file reader and its ffmpeg are not used.

Defences against made-up words (Whisper writes sentences over silence and music, and gets stuck in loops): only what a voice
detector (Silero's) takes for speech reaches the model, no window is told what the one before said, Whisper's own gates stay on,
loops are reduced to one, and every span carries its confidence.
"""

import contextlib
import io
import logging
import pickle
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import silero_vad
import torch
import whisper
from numpy.typing import NDArray
from whisper.tokenizer import get_tokenizer

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
    "logprob_threshold": MIN_LOG_PROBABILITY,
    "no_speech_threshold": MAX_NO_SPEECH,
    "condition_on_previous_text": False,
}


def speech_segments(audio: NDArray[np.float32]) -> list[Segment]:
    """The spans of `audio` ((samples,) 16 kHz) in which somebody speaks, in order; pauses under 2 s are part of speech."""
    return detect_speech(
        audio,
        lambda sound: silero_vad.get_speech_timestamps(
            torch.from_numpy(sound), _detector(), min_silence_duration_ms=MIN_SILENCE_MS, speech_pad_ms=SPEECH_PAD_MS
        ),
    )


@cache
def _detector() -> Any:
    return silero_vad.load_silero_vad(onnx=True)  # its weights are in its wheel


class WhisperTranscriber:
    """A loaded Whisper model. `find` says where there is something to hear; what lies elsewhere does not reach the model."""

    def __init__(self, model: whisper.Whisper, name: str, *, find: FindSpeech = speech_segments) -> None:
        self.name = name
        self._model, self._find = model, find
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="unclosed file .*tiktoken", category=ResourceWarning)  # Whisper's own
            tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        self._first_timestamp = tokenizer.timestamp_begin

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """The words spoken in `audio` ((samples,) mono, 16 kHz), in order of time; none for silence and music."""
        return transcribe_segments(self._hear, audio, self._find(audio), source="whisper")

    def _hear(self, sound: NDArray[np.float32], edges: list[float]) -> Iterator[RecognizedSegment]:
        device = self._model.device
        with warnings.catch_warnings(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            # Whoever asks for the CPU on a machine with a GPU knows it.
            warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA is available")
            warnings.filterwarnings("ignore", message="unclosed file .*tiktoken", category=ResourceWarning)  # Whisper's own
            torch.manual_seed(SEED)
            result = self._model.transcribe(
                sound,
                clip_timestamps=edges,
                fp16=device.type == "cuda",
                word_timestamps=True,
                verbose=None,
                **GATES,
            )
        for found in result["segments"]:
            window = found["seek"] / FRAMES_PER_SECOND
            words = [TimedWord(word["word"], word["start"], word["end"]) for word in found["words"]]
            times = timestamp_times(window, found["tokens"], self._first_timestamp, (found["start"], found["end"]))
            yield RecognizedSegment(window, *times, found["text"], found["avg_logprob"], result["language"], words)


def load(model: str | None, *, device: str | None = None) -> WhisperTranscriber:
    """The Whisper model of that name, downloaded when it is not in Whisper's cache, or the checkpoint file at that path.

    Raises InputError for a name that is neither, ModelError for a model that cannot be had or read.
    """
    names = whisper.available_models()
    if model is not None and model in names:
        return WhisperTranscriber(_load_named(model, device), f"whisper:{model}")
    if model is not None and Path(model).is_file():
        return WhisperTranscriber(_load_file(model, device), f"whisper:{Path(model).name}@{file_hash(model)[:12]}")
    raise InputError(
        f"no Whisper model {model!r}: needed one of {', '.join(names)}, "
        f"or the path of a checkpoint file (.pt) of openai-whisper"
    )


def _load_named(model: str, device: str | None) -> whisper.Whisper:
    log.info("loading Whisper %s: it is downloaded when it is not in the cache yet", model)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
            return whisper.load_model(model, device=device)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"Whisper model {model!r} is not in the cache and could not be downloaded or loaded ({error}). "
            f"Without a network, give the path of a checkpoint file (.pt) fetched elsewhere instead of a name"
        ) from error


def _load_file(path: str, device: str | None) -> whisper.Whisper:
    try:
        return whisper.load_model(path, device=device)  # reads with weights_only: a checkpoint runs no code
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        # PyTorch's own words on an unsafe pickle advise to read it unsafely.
        found = "not one of plain weights" if isinstance(error, pickle.UnpicklingError) else f"{type(error).__name__}: {error}"
        raise ModelError(
            f"{path} cannot be loaded as a checkpoint of openai-whisper ({found}). "
            f"Needed: a file with 'dims' and 'model_state_dict', such as whisper.load_model downloads"
        ) from error
