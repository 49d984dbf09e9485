import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.media.fence import Limits

SAMPLE_RATE = 16_000


def read_audio(
    path: str, start: float | None = None, end: float | None = None, *, limits: Limits = Limits()
) -> NDArray[np.float32] | None:
    raise NotImplementedError
