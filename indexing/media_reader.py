"""Read what indexing needs from one media file: probe, speech, on-screen text, shots and the media of clips."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rankvideo_rag import media
from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.file_state import read_seconds
from rankvideo_rag.media import ClipMedia, MediaLimits, ShotDetector
from rankvideo_rag.media.subtitles import find_sidecars
from rankvideo_rag.schema import Clip, Probe, TextSpan
from rankvideo_rag.storage.index_config import IndexConfig, Models

Stage = Literal["hash", "probe", "subtitles", "speech", "on-screen", "shots", "frames", "vectors", "text vectors", "commit"]
OnStage = Callable[[Stage], None]

OCR_PIXELS = 1280 * 720  # of a key frame, at most


class MediaReader:
    """Reader of media files under one index config.

    May be used from two threads: ASR and OCR models run one call at a time. All methods but `clip` raise MediaError for a file
    that cannot be decoded.
    """

    def __init__(self, config: IndexConfig, models: Models, limits: MediaLimits) -> None:
        self._config, self._models, self._limits = config, models, limits
        self._lock = threading.Lock()

    def probe(self, path: Path) -> Probe:
        """Return what the header and the packets of the file say."""
        return media.probe(str(path), limits=self._limits.at_least(read_seconds(path)))

    def speech(self, path: Path, probe: Probe, on_stage: OnStage) -> list[TextSpan]:
        """Return the spoken text: subtitles where there are any, else the transcript of the audio."""
        on_stage("subtitles")
        limits = self._whole_file_limits(probe)
        subtitled = self._config.subtitles and (probe.subtitle_streams or find_sidecars(str(path)))
        spans = media.read_subtitles(str(path), limits=limits) if subtitled else []
        transcriber = self._models.transcriber
        if spans or transcriber is None or probe.audio_codec is None:
            return spans
        on_stage("speech")
        audio = media.read_audio(str(path), limits=limits)
        with self._lock:
            return [] if audio is None else transcriber.transcribe(audio)

    def on_screen(self, path: Path, probe: Probe, on_stage: OnStage) -> list[TextSpan]:
        """Return the text that OCR reads from the key frames."""
        text_reader = self._models.text_reader
        if text_reader is None or probe.video_codec is None:
            return []
        on_stage("on-screen")
        frames = media.read_key_frames(str(path), max_pixels=OCR_PIXELS, limits=self._whole_file_limits(probe))
        with self._lock:
            return text_reader.read(frames, end=probe.duration)

    def shots(self, path: Path, probe: Probe) -> list[float]:
        """Return the times of the cuts in seconds."""
        detector: ShotDetector = "pyscenedetect" if self._config.segment_by == "pyscenedetect" else "shots"
        return media.find_shots(str(path), detector=detector, limits=self._whole_file_limits(probe))

    def clip(self, path: Path, clip: Clip) -> ClipMedia | MediaError:
        """Return the frames of a clip, with its audio where the embedder takes audio, or the error that prevents it."""
        span = str(path), clip.start, clip.end
        try:
            frames = media.read_frames(*span, **self._config.frame_options, limits=self._limits)
            with_audio = "audio" in self._config.embedder.modalities
            return ClipMedia(frames, media.read_audio(*span, limits=self._limits) if with_audio else None)
        except MediaError as error:
            return error

    def _whole_file_limits(self, probe: Probe) -> MediaLimits:
        """Limits for decoding a whole file: half of its duration, if that is longer."""
        return self._limits.at_least(probe.duration / 2)
