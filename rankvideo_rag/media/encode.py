"""Pictures into a video file: what the demo renders, and later the clip that somebody wants to keep. Decodes nothing."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.audio import SAMPLE_RATE

# One thread, and no frames reordered: otherwise x264's bytes vary with the cores and with what its memory held before.
_ENCODER = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "threads": "1"}


def write_video(path: Path, frames: NDArray[np.uint8], *, fps: int, sound: NDArray[np.float32] | None = None) -> None:
    """Write (n, height, width, 3) RGB frames as H.264 with a key frame every second; the same frames give the same bytes.

    `sound` is mono at SAMPLE_RATE, in [-1, 1]: it is written as AAC.
    """
    with av.open(str(path), "w") as container:
        voice = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if sound is not None else None
        stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = fps
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if voice and sound is not None:
            samples = av.AudioFrame.from_ndarray(sound[np.newaxis], format="fltp", layout="mono")
            samples.sample_rate = SAMPLE_RATE
            container.mux(voice.encode(samples))
            container.mux(voice.encode())
