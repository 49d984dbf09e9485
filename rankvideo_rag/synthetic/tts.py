"""Speech for narrated clips by Debian's espeak-ng where it is installed, silence where it is not."""

import shutil
import subprocess
import wave
from collections.abc import Sequence
from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import RankVideoError
from rankvideo_rag.media.audio import SAMPLE_RATE
from rankvideo_rag.schema import TextSpan

_RATE, _MAX_RATE = 160, 450  # words per minute; espeak-ng speaks no faster
_MARGIN = 1.1  # a rate that is this much higher shortens a sentence by somewhat less


def synthesize_speech(narration: Sequence[TextSpan], seconds: float) -> NDArray[np.float32]:
    """Return the sound of a clip, mono at SAMPLE_RATE: each sentence from its start, faster if needed to end in time."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    if (espeak := shutil.which("espeak-ng")) is None:
        return sound
    for line in narration:
        first = round(line.start * SAMPLE_RATE)
        samples = _speak(espeak, line.text, _RATE)
        ratio = len(samples) / ((line.end - line.start) * SAMPLE_RATE)
        if ratio > 1:
            samples = _speak(espeak, line.text, min(round(_RATE * ratio * _MARGIN), _MAX_RATE))
        samples = samples[: len(sound) - first]
        sound[first : first + len(samples)] += samples
    return sound


def _speak(espeak: str, text: str, rate: int) -> NDArray[np.float32]:
    run = subprocess.run([espeak, "-s", str(rate), "--stdout", text], capture_output=True, check=False)
    if run.returncode:
        problem = run.stderr.decode(errors="replace").strip() or f"it exited with {run.returncode}"
        raise RankVideoError(f"{espeak} failed: {problem}. Repair it, or remove it: without it narrators are silent")
    with wave.open(BytesIO(run.stdout)) as recording:
        recorded_rate = recording.getframerate()
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).astype(np.float32) / 32768
    places = np.arange(0, len(samples), recorded_rate / SAMPLE_RATE)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
