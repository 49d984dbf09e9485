"""Find shots with PySceneDetect's adaptive detector and its recommended values.

It gets every frame, decoded and reduced here: the package opens no file itself.
"""

from collections import deque

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from scenedetect import AdaptiveDetector, FrameTimecode

from rankvideo_rag.media.decoder.shots import decode_frames_in_order
from rankvideo_rag.media.ipc import DecoderResult

_RATIO, _WINDOW, _BETWEEN_CUTS = 3.5, 3, 0.6  # ratio to the change around, frames on either side, seconds
_WIDTH = 256  # pixels
_NOMINAL_FPS = 25.0  # the package counts frames; their times are kept here


def find_shots(*, path: str) -> DecoderResult:
    """See `shots.find_shots`. Arrays: cuts (n,) float64."""
    detector = AdaptiveDetector(adaptive_threshold=_RATIO, window_width=_WINDOW, min_scene_len=1)
    times: deque[float] = deque(maxlen=2 * _WINDOW + 2)
    cuts: list[float] = []
    for number, (seconds, frame) in enumerate(decode_frames_in_order(path, every=True)):
        times.append(seconds)
        for cut in detector.process_frame(FrameTimecode(number, _NOMINAL_FPS), _small(frame)):
            begin = times[cut.frame_num - number - 1]
            if not cuts or begin - cuts[-1] >= _BETWEEN_CUTS:
                cuts.append(begin)
    return DecoderResult({}, {"cuts": np.array(cuts, np.float64)})


def _small(frame: VideoFrame) -> NDArray[np.uint8]:
    width = min(_WIDTH, frame.width)
    height = max(2, round(frame.height * width / frame.width))
    return frame.reformat(width, height, "bgr24", threads=1).to_ndarray().astype(np.uint8, copy=False)
