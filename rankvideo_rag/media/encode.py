"""Pictures into a video file: what the demo renders, and later the clip that somebody wants to keep. Decodes nothing."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

# One thread, and no frames reordered: otherwise x264's bytes vary with the cores and with what its memory held before.
_ENCODER = {"preset": "veryfast", "crf": "20", "tune": "zerolatency", "threads": "1"}


def write_video(path: Path, frames: NDArray[np.uint8], *, fps: int) -> None:
    """Write (n, height, width, 3) RGB frames as H.264 with a key frame every second; the same frames give the same bytes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options=_ENCODER)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.gop_size = fps
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
