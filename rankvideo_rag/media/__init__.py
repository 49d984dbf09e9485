"""The only room that opens media: what a file holds, its frames, its shots, its sound, its subtitles.

Everything here decodes in a killable child process (`fence`) with a time and a memory limit; what comes back are small
numpy arrays and plain records. Times come from presentation timestamps minus the stream's start, never from index / fps.

The asking process runs the files of this folder (fence -> worker -> wire) and loads no FFmpeg to read; the child process runs
those of `decoder`: child -> examine, frames, shots, audio, subtitles, on safe_open -> streams -> packets.
"""

from rankvideo_rag.media.audio import SAMPLE_RATE, read_audio
from rankvideo_rag.media.frames import ClipMedia, Frames, KeyFrameSampling, read_frames, read_key_frames, target_size
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
    "count_decoder_calls",
    "find_shots",
    "probe",
    "read_audio",
    "read_frames",
    "read_key_frames",
    "read_subtitles",
    "target_size",
]
