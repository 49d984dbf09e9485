"""The only room that opens media: what a file holds, its frames, its sound, its subtitles.

Everything here decodes in a killable child process (`fence`) with a time and a memory limit; what comes back are small
numpy arrays and plain records. Times come from presentation timestamps minus the stream's start, never from index / fps.
"""

from rankvideo_rag.media.audio import SAMPLE_RATE, read_audio
from rankvideo_rag.media.fence import Limits, decode_calls
from rankvideo_rag.media.frames import ClipMedia, Frames, read_frames, read_key_frames, target_size
from rankvideo_rag.media.probe import probe
from rankvideo_rag.media.subtitles import read_subtitles

__all__ = [
    "SAMPLE_RATE",
    "ClipMedia",
    "Frames",
    "Limits",
    "decode_calls",
    "probe",
    "read_audio",
    "read_frames",
    "read_key_frames",
    "read_subtitles",
    "target_size",
]
