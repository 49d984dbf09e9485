"""Speech recognition with openai-whisper. Audio is filtered by Silero VAD; its own file reader and ffmpeg are not used."""

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
from rankvideo_rag.models.asr import common
from rankvideo_rag.models.asr.silence_detection import Segment
from rankvideo_rag.schema import TextSpan, TimedWord

log = logging.getLogger(__name__)


def speech_segments(audio: NDArray[np.float32]) -> list[Segment]:
    """Return the segments of `audio` ((samples,) 16 kHz) with speech; pauses under 2 s are part of them."""

    def detect(samples: NDArray[np.float32]) -> Any:
        return silero_vad.get_speech_timestamps(torch.from_numpy(samples), _vad(), **common.VAD_OPTIONS)

    return common.detect_speech(audio, detect)


@cache
def _vad() -> Any:
    return silero_vad.load_silero_vad(onnx=True)  # its weights are in its wheel


class WhisperTranscriber:
    """A loaded Whisper model. Only the segments that `find` returns reach it."""

    def __init__(self, model: whisper.Whisper, name: str, *, find: common.FindSpeech = speech_segments) -> None:
        self.name = name
        self._model, self._find = model, find
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="unclosed file .*tiktoken", category=ResourceWarning)  # Whisper's own
            tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        self._first_timestamp = tokenizer.timestamp_begin

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """Return the speech in `audio` ((samples,) mono, 16 kHz), in order of time; none for silence and music."""
        return common.transcribe_segments(self._recognize, audio, self._find(audio), source="whisper")

    def _recognize(self, samples: NDArray[np.float32], edges: list[float]) -> Iterator[common.RecognizedSegment]:
        device = self._model.device
        with warnings.catch_warnings(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA is available")
            warnings.filterwarnings("ignore", message="unclosed file .*tiktoken", category=ResourceWarning)  # Whisper's own
            torch.manual_seed(common.SEED)
            result = self._model.transcribe(
                samples,
                clip_timestamps=edges,
                fp16=device.type == "cuda",
                verbose=None,
                logprob_threshold=common.MIN_LOG_PROBABILITY,
                **common.DECODING_OPTIONS,
            )
        for found in result["segments"]:
            window = found["seek"] / common.FRAMES_PER_SECOND
            words = [TimedWord(word["word"], word["start"], word["end"]) for word in found["words"]]
            times = common.timestamp_times(window, found["tokens"], self._first_timestamp, (found["start"], found["end"]))
            yield common.RecognizedSegment(window, *times, found["text"], found["avg_logprob"], result["language"], words)


def load(model: str | None, *, device: str | None = None) -> WhisperTranscriber:
    """Load the Whisper model of that name, downloaded if it is not cached, or the checkpoint file at that path.

    Raises InputError for a name that is neither, ModelError for a model that cannot be downloaded or read.
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
    log.info("loading Whisper %s: downloaded if it is not cached", model)
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
            return whisper.load_model(model, device=device)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"Whisper model {model!r} is not in the cache and could not be downloaded or loaded ({error}). "
            f"Without a network, give the path of a checkpoint file (.pt) downloaded elsewhere"
        ) from error


def _load_file(path: str, device: str | None) -> whisper.Whisper:
    try:
        return whisper.load_model(path, device=device)  # reads with weights_only: a checkpoint runs no code
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        # PyTorch's message about an unsafe pickle advises to read it unsafely.
        found = "not one of plain weights" if isinstance(error, pickle.UnpicklingError) else f"{type(error).__name__}: {error}"
        raise ModelError(
            f"{path} cannot be loaded as a checkpoint of openai-whisper ({found}). "
            f"Needed: a file with 'dims' and 'model_state_dict', such as whisper.load_model downloads"
        ) from error
