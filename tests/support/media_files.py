"""Write small media files for tests with PyAV. Each frame shows its number as black and white bars that survive encoding."""

from __future__ import annotations  # Packet[...] exists for type checkers only

from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from av.packet import Packet
from av.stream import Disposition
from numpy.typing import NDArray

BITS = 12
SIZE = (96, 48)  # width, height


class Tone(NamedTuple):
    """The audio of a file: silence, with a tone of 1 kHz from `start` to `end`; all timestamps are `offset` seconds late."""

    seconds: float
    start: float
    end: float
    rate: int = 48_000
    offset: float = 0.0


def stamped(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return a frame (height, width, 3) that shows a number as vertical bars, the highest bit on the left."""
    width, height = size
    bits = [(number >> (BITS - 1 - i)) & 1 for i in range(BITS)]
    columns = np.array([bits[x * BITS // width] * 255 for x in range(width)], np.uint8)
    return np.broadcast_to(columns[None, :, None], (height, width, 3)).copy()


def number_of(pixels: NDArray[np.uint8]) -> int:
    """Return the number that a frame shows."""
    width = pixels.shape[1]
    middles = [int((i + 0.5) * width / BITS) for i in range(BITS)]
    return sum(int(pixels[:, x].mean() > 127) << (BITS - 1 - i) for i, x in enumerate(middles))


def numbers_of(pixels: NDArray[np.uint8]) -> list[int]:
    """Return the numbers that frames (n, height, width, 3) show."""
    return [number_of(picture) for picture in pixels]


def write_video(
    path: Path,
    *,
    frames: int | Iterable[NDArray[np.uint8]] = 50,
    fps: int = 25,
    seconds: Sequence[float] | None = None,
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    key_every: int = 25,
    codec_options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    rotation: float | None = None,
    tone: Tone | None = None,
    second_size: tuple[int, int] | None = None,
    container_format: str | None = None,
    title: str | None = None,
    **container_options: str,
) -> Path:
    """Write numbered frames at `fps`, or at the given seconds; optionally with audio and a second, black video stream."""
    pictures = [stamped(i, size) for i in range(frames)] if isinstance(frames, int) else list(frames)
    options = {"g": str(key_every), "keyint_min": str(key_every)} | (
        {"preset": "ultrafast", "sc_threshold": "0"} if codec == "libx264" else {}
    )
    with av.open(str(path), "w", format=container_format, options=container_options) as container:
        if title:
            container.metadata["title"] = title
        if second_size:
            second = container.add_stream("mpeg4", rate=fps, width=second_size[0], height=second_size[1], pix_fmt="yuv420p")
        video: Any = container.add_stream(codec, rate=fps, options=options | (codec_options or {}))
        video.width, video.height, video.pix_fmt = *size, pixel_format
        if seconds is not None:
            video.codec_context.time_base = Fraction(1, 90_000)
        if rotation is not None:
            video.set_display_rotation(rotation)
        audio: Any = container.add_stream("aac", rate=tone.rate, layout="mono") if tone else None
        packets: list[Packet[Any]] = []
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = Fraction(1, 90_000)
            frame.pts = round((i / fps if seconds is None else seconds[i]) * 90_000)
            packets += video.encode(frame)
            if second_size:
                small = av.VideoFrame.from_ndarray(np.zeros((second_size[1], second_size[0], 3), np.uint8), format="rgb24")
                small.pts, small.time_base = i, Fraction(1, fps)
                packets += second.encode(small)
        packets += video.encode()
        if second_size:
            packets += second.encode()
        if tone:
            packets += _sound(audio, tone)
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * (p.time_base or 0)):
            container.mux(packet)
    return path


def write_sound(path: Path, tone: Tone, *, codec: str = "aac", cover: bool = False) -> Path:
    """Write a file with audio only, and optionally a cover picture."""
    with av.open(str(path), "w") as container:
        if cover:
            picture: Any = container.add_stream("mjpeg", rate=1, width=640, height=640, pix_fmt="yuvj420p")
            picture.disposition = Disposition.attached_pic
        audio: Any = container.add_stream(codec, rate=tone.rate, layout="mono")
        packets = _sound(audio, tone)
        if cover:
            image = av.VideoFrame.from_ndarray(stamped(7, (640, 640)), format="rgb24").reformat(format="yuvj420p")
            image.pts = 0
            for packet in (*picture.encode(image), *picture.encode()):
                container.mux(packet)
        for packet in packets:
            container.mux(packet)
    return path


def _sound(stream: Any, tone: Tone) -> list[Packet[Any]]:
    moments = np.arange(round(tone.seconds * tone.rate)) / tone.rate
    samples = np.where((moments >= tone.start) & (moments < tone.end), 0.8 * np.sin(2 * np.pi * 1000 * moments), 0.0)
    packets: list[Packet[Any]] = []
    for begin in range(0, len(samples), 1024):
        piece = samples[begin : begin + 1024].astype(np.float32)[None, :]
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = tone.rate, Fraction(1, tone.rate)
        frame.pts = begin + round(tone.offset * tone.rate)
        packets += stream.encode(frame)
    return packets + list(stream.encode())


def packets_of(path: Path) -> list[tuple[int, int]]:
    """Return the offset and size in bytes of each packet of the first video stream, in decoding order."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size) for p in container.demux(video=0) if p.pos is not None and p.size]


def damage(path: Path, frames: range) -> None:
    """Overwrite most of each of these packets with noise."""
    places = packets_of(path)
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(7)
    for place, size in (places[i] for i in frames):
        data[place + 5 : place + size] = noise.integers(0, 256, size - 5, np.uint8).tobytes()
    path.write_bytes(data)


def write_with_subtitles(
    path: Path, codec: str, cues: Sequence[tuple[float, float, str]], *, title: str = "", disposition: str = ""
) -> Path:
    """Write a short video with a subtitle stream. A cue is (start, end, payload as the container stores it)."""
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        words: Any = container.add_stream(codec)
        words.metadata["title"] = title
        words.disposition = Disposition[disposition] if disposition else Disposition(0)
        words.codec_context.subtitle_header = b"[Script Info]\nScriptType: v4.00+\n\n[Events]\n"  # encoders open only with one
        words.codec_context.time_base = Fraction(1, 1000)
        words.time_base = Fraction(1, 1000)
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 5)
            for packet in video.encode(frame):
                container.mux(packet)
        for start, end, payload in cues:
            packet = Packet(payload.encode())
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = round(start * 1000)
            packet.duration = round((end - start) * 1000)
            container.mux(packet)
        for packet in video.encode():
            container.mux(packet)
    return path
