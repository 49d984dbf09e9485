"""Read media files: what they hold, frames, shots, audio and subtitles. No other package opens media.

Files are decoded in a killable child process with limits of time and memory (`sandbox`). Results are small numpy arrays and
plain records. Times are presentation timestamps minus the start of the file, never index / fps.

The calling process runs the modules of this folder (sandbox -> decoder_process -> ipc) and loads no FFmpeg to read a file. The
child process runs `decoder.child`, which calls the other modules of `decoder`.
"""

from rankvideo_rag.media.audio import SAMPLE_RATE, read_audio
from rankvideo_rag.media.frames import (
    ClipMedia,
    Frames,
    KeyFrameSampling,
    check_reader,
    read_frames,
    read_key_frames,
    target_size,
)
from rankvideo_rag.media.probe import probe
from rankvideo_rag.media.sandbox import MediaLimits, count_decoder_calls
from rankvideo_rag.media.shots import ShotDetector, check_detector, find_shots
from rankvideo_rag.media.subtitles import read_subtitles

__all__ = [
    "SAMPLE_RATE",
    "ClipMedia",
    "Frames",
    "KeyFrameSampling",
    "MediaLimits",
    "ShotDetector",
    "check_detector",
    "check_reader",
    "count_decoder_calls",
    "find_shots",
    "probe",
    "read_audio",
    "read_frames",
    "read_key_frames",
    "read_subtitles",
    "target_size",
]
