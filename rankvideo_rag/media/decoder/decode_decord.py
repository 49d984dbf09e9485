"""Decode selected frames of a video with decord, resized once.

The same frames are selected as with PyAV, from the file's packets; decord's own timestamps find them. Decord decodes with its
own FFmpeg, which knows no list of allowed formats: it only gets files that `streams.open_media` accepts, by their descriptor.
It turns frames upright itself.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from decord import DECORDError, VideoReader, cpu
from numpy.typing import NDArray

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.decode_frames import no_frames, resize_to, select_frames, select_video
from rankvideo_rag.media.decoder.orientation import Orientation, Size, displayed_size
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.media.safe_open import open_regular
from rankvideo_rag.schema import FrameBudget

_THREADS = 2
_TOLERANCE_SECONDS = 0.01  # decord's timestamps have single precision


def decode_frames(
    *,
    path: str,
    start: float | None,
    end: float | None,
    budget: dict[str, Any],
    key_frames: tuple[float, int | None] | None,
) -> DecoderResult:
    """Return pixels (n, height, width, 3) uint8 and times (n,) float64. See `frames.read_frames`."""
    frames = FrameBudget(**budget)
    with open_media(path) as media:
        stream = select_video(media)
        targets = select_frames(media, stream, (start, end), frames, key_frames).targets
        times = np.array([media.seconds(stream, ticks) for ticks in targets], np.float64)
        if not len(times):
            return no_frames(resize_to(frames)(Size(stream.width, stream.height)))
        descriptor = open_regular(path)
        try:
            pixels = _decode(descriptor, media, stream, times, frames)
        except DECORDError as error:
            raise MediaError("undecodable", f"{path!r}: decord cannot decode it: {str(error).splitlines()[0]}") from error
        finally:
            os.close(descriptor)
        return DecoderResult({"coverage": 1.0}, {"pixels": pixels, "times": times})


def _decode(
    descriptor: int, media: OpenMedia, stream: VideoStream, times: NDArray[np.float64], budget: FrameBudget
) -> NDArray[np.uint8]:
    # The descriptor's path, where the system has one, leads to the file that was checked, whatever its name leads to now.
    path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else media.path
    reader = VideoReader(path, ctx=cpu(0), num_threads=_THREADS)
    first = media.seconds(stream, stream.start_time or 0)  # decord counts from the stream's first frame
    stamps = np.asarray(reader.get_frame_timestamp(range(len(reader))), np.float64)[:, 0] + first
    positions = np.abs(stamps[None, :] - times[:, None]).argmin(axis=1)
    if (np.abs(stamps[positions] - times) > _TOLERANCE_SECONDS).any():
        raise MediaError("undecodable", f"{media.path!r}: decord finds no frame at {times.tolist()} s; use the reader pyav")
    size: Size | None = None
    pixels = []
    for position in positions:
        frame = VideoFrame.from_ndarray(reader[int(position)].asnumpy(), format="rgb24")
        if size is None:
            size = resize_to(budget)(_displayed_size(Size(frame.width, frame.height), stream))
        small = frame.reformat(size.width, size.height, "rgb24", interpolation="BICUBIC", threads=1)
        pixels.append(small.to_ndarray().astype(np.uint8, copy=False))
    return np.stack(pixels)


def _displayed_size(upright: Size, stream: VideoStream) -> Size:
    turned = Orientation(transpose=(upright.width, upright.height) != (stream.width, stream.height))
    if turned.size(upright) != (stream.width, stream.height):
        raise MediaError("undecodable", f"decord reads another video stream, of {upright.width}x{upright.height} pixels")
    return displayed_size(Size(stream.width, stream.height), stream.sample_aspect_ratio, turned)
