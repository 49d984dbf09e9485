"""When the shots of a video begin. Decoding and looking are done by `decoder.shots` or `decoder.pyscenedetect` in a child
process; this file knows only what to ask and what comes back."""

import os
from importlib.util import find_spec
from typing import Literal

from rankvideo_rag.errors import MissingDependency
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder

ShotDetector = Literal["shots", "pyscenedetect"]


def find_shots(path: str, *, detector: ShotDetector = "shots", limits: MediaLimits = MediaLimits()) -> list[float]:
    """Seconds at which a new shot begins, in order; the first shot's beginning is not among them.

    "shots" compares the colours of some five pictures a second, "pyscenedetect" every frame (the extra `scenes`). Memory does
    not grow with the length of the video.

    Raises MediaError (no_video, or why the file cannot be opened), MissingDependency where the detector is not installed.
    """
    check_detector(detector)
    reply = run_in_decoder(f"rankvideo_rag.media.decoder.{detector}:find_shots", limits, path=os.path.abspath(path))
    cuts: list[float] = reply.arrays["cuts"].tolist()
    return cuts


def check_detector(detector: ShotDetector) -> None:
    """Raises MissingDependency where the detector is not installed."""
    if detector == "pyscenedetect" and find_spec("scenedetect") is None:
        raise MissingDependency("pyscenedetect", "scenedetect", "scenes")
