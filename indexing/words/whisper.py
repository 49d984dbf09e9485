"""Speech recognition with openai-whisper, on sound that is already decoded: its own file reader and its ffmpeg are not used.

Defences against made-up words (Whisper writes sentences over silence and music, and gets stuck in loops): silence is cut out
before the model hears it, no window is told what the one before said, Whisper's own gates stay on, loops are reduced to one,
and every span carries its confidence.
"""

import contextlib
import hashlib
import io
import logging
import pickle
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import whisper
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.indexing.words.loops import without_loops, without_repeated_phrase
from rankvideo_rag.indexing.words.sounding import Stretch, passages, sounding_stretches
from rankvideo_rag.media import SAMPLE_RATE
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

log = logging.getLogger(__name__)

# Whisper's own values, written out because answers depend on them. A window whose text compresses more than 2.4-fold
# repeats itself, and one below a mean log-probability of -1.0 is a guess: both are tried again at the next temperature.
# A guess with more than 0.6 on the no-speech token is dropped.
GATES: dict[str, Any] = {
    "temperature": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "compression_ratio_threshold": 2.4,
    "logprob_threshold": -1.0,
    "no_speech_threshold": 0.6,
    "condition_on_previous_text": False,
}
SEED = 0  # above temperature 0 Whisper samples: seeded, so that the same sound gives the same words


class WhisperTranscriber:
    """A loaded Whisper model."""

    def __init__(self, model: whisper.Whisper, name: str) -> None:
        self.name = name
        self._model = model

    def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
        """The words spoken in `audio` ((samples,) mono, 16 kHz), in order of time; silence does not reach the model."""
        spans = [span for passage in passages(sounding_stretches(audio)) for span in self._passage(audio, passage)]
        return without_loops(spans)

    def _passage(self, audio: NDArray[np.float32], passage: Sequence[Stretch]) -> Iterator[TextSpan]:
        """The words of one passage. It gets a language of its own: that of its first 30 seconds of sound and pauses."""
        first, last = passage[0].start, passage[-1].end
        sound = audio[round(first * SAMPLE_RATE) : round(last * SAMPLE_RATE)]
        for segment in self._segments(sound, [Stretch(start - first, end - first) for start, end in passage]):
            heard_in = _stretch_of(first + segment["seek"] * whisper.audio.HOP_LENGTH / SAMPLE_RATE, passage)
            text = without_repeated_phrase(clean(segment["text"]))
            # Beyond its stretch there is silence: what Whisper places there it cannot have heard.
            start, end = (round(first + segment[edge], 3) for edge in ("start", "end"))
            start, end = max(start, heard_in.start), min(end, heard_in.end)
            if text and end > start:
                yield TextSpan(
                    channel="speech",
                    text=text,
                    start=start,
                    end=end,
                    source="whisper",
                    confidence=min(1.0, float(np.exp(segment["avg_logprob"]))),
                )

    def _segments(self, sound: NDArray[np.float32], stretches: Sequence[Stretch]) -> list[dict[str, Any]]:
        """Whisper's segments, with times in seconds from the beginning of `sound`, for these stretches of it."""
        device = self._model.device
        # Whisper never comes back from a stretch that ends after its last whole frame: it goes on asking for nothing.
        whole = len(sound) // whisper.audio.HOP_LENGTH / whisper.audio.FRAMES_PER_SECOND
        edges = [edge for start, end in stretches if start < whole for edge in (start, min(end, whole))]
        with warnings.catch_warnings(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            # Whoever asks for the CPU on a machine with a GPU knows it.
            warnings.filterwarnings("ignore", message="Performing inference on CPU when CUDA is available")
            warnings.filterwarnings("ignore", message="unclosed file .*tiktoken", category=ResourceWarning)  # Whisper's own
            torch.manual_seed(SEED)
            result = self._model.transcribe(
                np.ascontiguousarray(sound),
                clip_timestamps=edges,
                fp16=device.type == "cuda",
                verbose=None,
                **GATES,
            )
        segments: list[dict[str, Any]] = result["segments"]
        return segments


def load(model: str | None, *, device: str | None = None) -> WhisperTranscriber:
    """The Whisper model of that name, downloaded when it is not in Whisper's cache, or the checkpoint file at that path.

    Raises InputError for a name that is neither, ModelError for a model that cannot be had or read.
    """
    names = whisper.available_models()
    if model is not None and model in names:
        return WhisperTranscriber(_load_named(model, device), f"whisper:{model}")
    if model is not None and Path(model).is_file():
        return WhisperTranscriber(_load_file(model, device), f"whisper:{Path(model).name}@{_checksum(model)}")
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


def _stretch_of(time: float, stretches: Sequence[Stretch]) -> Stretch:
    """The stretch in which a window that begins at `time` lies: the last one that begins no later, but for rounding."""
    return next((s for s in reversed(stretches) if s.start <= time + 0.01), stretches[0])


def _checksum(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:12]
