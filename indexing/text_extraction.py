"""The words of a file: subtitles, else what is heard, and what is written in its picture. Knows no archive and no turns."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rankvideo_rag import media
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.media.subtitles import sidecars
from rankvideo_rag.models.asr import Transcriber
from rankvideo_rag.models.ocr import OCRReader
from rankvideo_rag.schema import Probe, TextSpan
from rankvideo_rag.storage.index_config import IndexConfig

Step = Literal["subtitles", "speech", "on-screen"]


class WordReader:
    """Reads words by a config; None stands for a kind of words that is switched off. One file at a time: models are no more.

    `at` is told each step. Both methods raise MediaError for what cannot be decoded.
    """

    def __init__(
        self, config: IndexConfig, limits: MediaLimits, transcriber: Transcriber | None, text_reader: OCRReader | None
    ) -> None:
        self._config, self._limits = config, limits
        self._transcriber, self._text_reader = transcriber, text_reader
        self._one_at_a_time = threading.Lock()

    def speech(self, path: Path, probe: Probe, at: Callable[[Step], None]) -> list[TextSpan]:
        """What is said: from subtitles, else heard."""
        at("subtitles")
        there = self._config.subtitles and (probe.subtitle_streams or sidecars(str(path)))
        spans = media.read_subtitles(str(path), limits=self._whole(probe)) if there else []
        if spans or self._transcriber is None or probe.audio_codec is None:
            return spans
        at("speech")
        audio = media.read_audio(str(path), limits=self._whole(probe))
        with self._one_at_a_time:
            return [] if audio is None else self._transcriber.transcribe(audio)

    def on_screen(self, path: Path, probe: Probe, at: Callable[[Step], None]) -> list[TextSpan]:
        """What is written in the picture."""
        if self._text_reader is None or probe.video_codec is None:
            return []
        at("on-screen")
        frames = media.read_key_frames(str(path), max_pixels=1280 * 720, limits=self._whole(probe))
        with self._one_at_a_time:
            return self._text_reader.read(frames, end=probe.duration)

    def _whole(self, probe: Probe) -> MediaLimits:
        """What going through the whole file may cost: half of the time that watching it takes, if that is longer."""
        return self._limits.at_least(probe.duration / 2)
