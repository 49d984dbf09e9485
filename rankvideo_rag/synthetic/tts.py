"""The narrator's voice: Debian's espeak-ng where it is installed, silence where it is not."""

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

_PACE, _FASTEST = 160, 450  # words a minute; espeak-ng speaks no faster
_HASTE = 1.1  # a pace that is so much greater shortens a sentence by somewhat less


def synthesize_speech(narration: Sequence[TextSpan], seconds: float) -> NDArray[np.float32]:
    """The sound of a clip, mono at SAMPLE_RATE: every sentence from where it begins, hurried if need be to end in time."""
    sound = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    if (espeak := shutil.which("espeak-ng")) is None:
        return sound
    for line in narration:
        first = round(line.start * SAMPLE_RATE)
        heard = _in_time(espeak, line)[: len(sound) - first]
        sound[first : first + len(heard)] += heard
    return sound


def _in_time(espeak: str, line: TextSpan) -> NDArray[np.float32]:
    said = _said(espeak, line.text, _PACE)
    longer = len(said) / ((line.end - line.start) * SAMPLE_RATE)
    return said if longer <= 1 else _said(espeak, line.text, min(round(_PACE * longer * _HASTE), _FASTEST))


def _said(espeak: str, text: str, pace: int) -> NDArray[np.float32]:
    run = subprocess.run([espeak, "-s", str(pace), "--stdout", text], capture_output=True, check=False)
    if run.returncode:
        fault = run.stderr.decode(errors="replace").strip() or f"it ended with {run.returncode}"
        raise RankVideoError(f"{espeak} does not speak: {fault}. Mend it, or remove it: without it narrators are silent")
    with wave.open(BytesIO(run.stdout)) as recording:
        rate = recording.getframerate()
        samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16).astype(np.float32) / 32768
    places = np.arange(0, len(samples), rate / SAMPLE_RATE)
    return np.interp(places, np.arange(len(samples)), samples).astype(np.float32)
