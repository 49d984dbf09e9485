"""Files that never held a film, files that were once sound, and files whose header lies. Each function fills one folder."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from support.bad_media.kinds import film, red
from support.media_files import packets_of, write_video


def no_bytes(folder: Path) -> None:
    (folder / "a.mp4").touch()


def text(folder: Path) -> None:
    (folder / "a.mp4").write_text("This is no film. " * 500)


def noise(folder: Path) -> None:
    (folder / "a.mp4").write_bytes(np.random.default_rng(3).bytes(200_000))


def cut_before_its_index(folder: Path) -> None:
    data = film(folder / "a.mp4").read_bytes()
    (folder / "a.mp4").write_bytes(data[: len(data) * 6 // 10])


def cut_after_half_of_its_frames(folder: Path) -> None:
    """10 s of which the first 5 s, 125 frames, are there."""
    path = film(folder / "a.mp4", 10, codec="mpeg4", movflags="faststart")
    place, size = packets_of(path)[124]
    path.write_bytes(path.read_bytes()[: place + size])


def noise_in_its_packets(folder: Path) -> None:
    """40 times 64 bytes, in 10 s of film."""
    path = film(folder / "a.mp4", 10, size=(320, 180), codec="mpeg4")
    data, dice = bytearray(path.read_bytes()), np.random.default_rng(14)
    first, last = data.index(b"mdat") + 200, data.index(b"moov") - 100
    for place in np.linspace(first, last, 40).astype(int):
        data[place : place + 64] = dice.bytes(64)
    path.write_bytes(data)


def index_that_asks_for_all_memory(folder: Path) -> None:
    """Its table of sizes claims two thousand million frames, of which FFmpeg would keep 8 GB."""
    path = film(folder / "a.mp4")
    data = bytearray(path.read_bytes())
    count = data.index(b"stsz") + 12
    data[count : count + 4] = (2**31 - 1).to_bytes(4, "big")
    path.write_bytes(data)


def gigantic_picture(folder: Path) -> None:
    """16,000 x 16,000 pixels in the header of the container and of each picture, in a few kilobytes."""
    _mjpeg_that_claims(folder / "a.avi", 16_000, in_the_container=True)


def picture_that_grows(folder: Path) -> None:
    """Two seconds of a small picture, then one that is larger than any that may be decoded."""
    large = (8704, 4352)
    parts = [
        film(folder / "small.part", container_format="mpegts"),
        write_video(folder / "large.part", frames=red(2, large), size=large, seconds=[2, 2.04], container_format="mpegts"),
    ]
    (folder / "a.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()


def picture_larger_than_its_header(folder: Path) -> None:
    _mjpeg_that_claims(folder / "a.avi", 65_000, in_the_container=False)


def encrypted(folder: Path) -> None:
    key: dict[str, Any] = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    film(folder / "a.mp4", encryption_kid="a7e61c373e219033c21091fa607bf3b8", **key)


def garbage_behind(folder: Path) -> None:
    path = film(folder / "a.mp4", of=42)
    path.write_bytes(path.read_bytes() + np.random.default_rng(42).bytes(100_000))


def two_files_in_one(folder: Path) -> None:
    path = film(folder / "a.mp4", of=43)
    path.write_bytes(path.read_bytes() * 2)


def garbage_before(folder: Path) -> None:
    path = film(folder / "a.mp4")
    path.write_bytes(bytes(5_000) + path.read_bytes())


def _mjpeg_that_claims(path: Path, side: int, *, in_the_container: bool) -> None:
    film(path, codec="mjpeg", pixel_format="yuvj420p")
    data = path.read_bytes()
    honest = b"\x08" + struct.pack(">HH", 48, 96)  # the start-of-frame segment: 8 bits, height, width
    assert honest in data
    data = data.replace(honest, b"\x08" + struct.pack(">HH", side, side))
    if in_the_container:
        data = data.replace(struct.pack("<II", 96, 48), struct.pack("<II", side, side))
    path.write_bytes(data)
