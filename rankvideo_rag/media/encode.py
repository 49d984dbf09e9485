"""Write frames and audio to a video file. Nothing is decoded here."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.audio import SAMPLE_RATE

# One thread and no reordered frames: otherwise x264's output depends on the number of cores and on uninitialised memory.
_ENCODER = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "threads": "1"}


def write_video(path: Path, frames: NDArray[np.uint8], *, fps: int, audio: NDArray[np.float32] | None = None) -> None:
    """Write (n, height, width, 3) RGB frames as H.264 with a key frame every second; equal frames give equal bytes.

    `audio` is mono at SAMPLE_RATE, in [-1, 1], and is written as AAC.
    """
    with av.open(str(path), "w") as container:
        audio_stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if audio is not None else None
        stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = fps
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        if audio_stream and audio is not None:
            samples = av.AudioFrame.from_ndarray(audio[np.newaxis], format="fltp", layout="mono")
            samples.sample_rate = SAMPLE_RATE
            container.mux(audio_stream.encode(samples))
            container.mux(audio_stream.encode())
