"""Find the shots of a video."""

import os
from importlib.util import find_spec
from typing import Literal

from rankvideo_rag.errors import MissingDependency
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder

ShotDetector = Literal["shots", "pyscenedetect"]


def find_shots(path: str, *, detector: ShotDetector = "shots", limits: MediaLimits = MediaLimits()) -> list[float]:
    """Return the seconds at which a new shot begins, in order, without the first shot's start.

    "shots" compares the colours of about five frames a second, "pyscenedetect" every frame (extra `scenes`). Memory does not
    grow with the length of the video.

    Raises MediaError (no_video, or why the file cannot be opened) and MissingDependency if the detector is not installed.
    """
    check_detector(detector)
    result = run_in_decoder(f"rankvideo_rag.media.decoder.{detector}:find_shots", limits, path=os.path.abspath(path))
    cuts: list[float] = result.arrays["cuts"].tolist()
    return cuts


def check_detector(detector: ShotDetector) -> None:
    """Raise MissingDependency if the detector is not installed."""
    if detector == "pyscenedetect" and find_spec("scenedetect") is None:
        raise MissingDependency("pyscenedetect", "scenedetect", "scenes")
