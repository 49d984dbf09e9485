"""Naive baselines for reading a video: every frame is decoded, in order, in this process.

Without a sandbox, limits or handling of damage: only for files that a benchmark wrote itself.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_TOLERANCE = 0.001  # seconds


def decode_all(path: Path, *, keys_only: bool = False) -> int:
    """Decode all frames, or all key frames, without converting them; return their number."""
    return sum(1 for _ in _decoded(path, keys_only=keys_only))


def read_sampled_frames(
    path: Path, times: Sequence[float], size: tuple[int, int], *, convert_all: bool = True
) -> Iterator[NDArray[np.uint8]]:
    """Yield the frames at these times, in RGB and resized to (width, height), while every frame is decoded.

    With `convert_all` every frame is also converted and resized.
    """
    wanted = iter(times)
    target = next(wanted, None)
    for frame in _decoded(path):
        hit = target is not None and frame.time is not None and frame.time > target - _TOLERANCE
        if hit or convert_all:
            image = frame.reformat(*size, "rgb24", interpolation="BICUBIC").to_ndarray().astype(np.uint8, copy=False)
        if hit:
            yield image
            target = next(wanted, None)


def write_copies(paths: Sequence[Path], frames: Iterator[NDArray[np.uint8]], *, fps: int, key_every: int) -> None:
    """Encode one H.264 video and write it to each path, with a different header each."""
    with av.open(str(paths[0]), "w") as container:
        options = {"preset": "veryfast", "g": str(key_every), "keyint_min": str(key_every), "sc_threshold": "0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        for number, frame in enumerate(frames):
            if number == 0:
                stream.height, stream.width, stream.pix_fmt = *frame.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    for path in paths[1:]:
        _copy(paths[0], path)


def _copy(source: Path, target: Path) -> None:
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        written.metadata["title"] = target.stem
        stream = written.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                written.mux(packet)


def _decoded(path: Path, *, keys_only: bool = False) -> Iterator[VideoFrame]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if keys_only:
            stream.codec_context.skip_frame = "NONKEY"
        yield from container.decode(stream)
