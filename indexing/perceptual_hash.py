"""Perceptual hashes of clips: recognise the same content after another encoding, size or frame rate.

A hash is made from up to eight frames of a clip: for each a 64-bit dHash (whether brightness rises to the right) and the mean
colors of its quarters, which distinguish plain pictures. Vectors are not used for this: they say what a clip is about, and the
distance that means "the same" differs between embedders. Content that is cut at other times is not recognised.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_FRAMES = 8  # of a clip, evenly spaced
_SIDE = 8  # bits across and down
_STEP = 4.0  # of 255, least rise in brightness
_BITS = 6  # of 64, that may differ between frames that look the same
_COLOR = 12  # of 255, by which the color of a quarter may differ
_BYTES = 8 + 12  # per frame
_SAME_FRAMES = 7 / 8  # share of a clip's frames that must look the same


def perceptual_hash(pixels: NDArray[np.uint8]) -> bytes:
    """Return the hash of a clip from its frames (n, height, width, 3) in order: 20 bytes for each of at most eight."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, min(_FRAMES, len(pixels))).round().astype(int))
    return b"".join(_frame(pixels[i].astype(np.float32)) for i in chosen)


def find_duplicates(hashes: Sequence[bytes | None], *, same_text: Callable[[int, int], bool]) -> Iterator[int | None]:
    """Yield for each clip the index of the first earlier clip that it duplicates, else None.

    `same_text(i, j)` is asked of clips that look the same: a speaker before an unchanged background is no duplicate.
    """
    originals: list[int] = []
    seen = np.empty((0, _FRAMES, _BYTES), np.uint8)
    for index, clip_hash in enumerate(hashes):
        if not clip_hash:
            yield None
            continue
        frames = _unpack(clip_hash)
        similar = np.flatnonzero(_matches(seen, frames)).tolist()
        original = next((originals[i] for i in similar if same_text(originals[i], index)), None)
        if original is None:
            originals.append(index)
            seen = np.concatenate([seen, frames[None]])
        yield original


def is_same_text(one: str, other: str) -> bool:
    """Return whether two transcripts may be of the same content: one is empty, or the longer contains half of the shorter."""
    a, b = (_trigrams(text) for text in (one, other))
    return not a or not b or len(a & b) >= 0.5 * min(len(a), len(b))


def _trigrams(text: str) -> set[str]:
    """Return the character trigrams, which also work for scripts without spaces."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return {letters[i : i + 3] for i in range(max(1, len(letters) - 2))} - {""}


def _unpack(clip_hash: bytes) -> NDArray[np.uint8]:
    """Return (_FRAMES, _BYTES); frames of a clip with fewer are repeated."""
    frames = np.frombuffer(clip_hash, np.uint8).reshape(-1, _BYTES)
    even: NDArray[np.uint8] = frames[np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)]
    return even


def _matches(seen: NDArray[np.uint8], frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which clips (n, _FRAMES, _BYTES) match one clip, frame by frame: (n,)."""
    bits = np.unpackbits(seen[..., :8] ^ frames[:, :8], axis=-1).sum(axis=-1)
    colors = np.abs(seen[..., 8:].astype(np.int16) - frames[:, 8:]).max(axis=-1)
    same: NDArray[np.bool_] = ((bits <= _BITS) & (colors <= _COLOR)).mean(axis=-1) >= _SAME_FRAMES
    return same


def _frame(pixels: NDArray[np.float32]) -> bytes:
    brightness = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    coarse = _means(brightness[..., None], _SIDE, _SIDE + 1)[..., 0]
    bits = np.diff(coarse, axis=1) > _STEP
    return np.packbits(bits).tobytes() + _means(pixels, 2, 2).round().astype(np.uint8).tobytes()


def _means(pixels: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Return the means over a grid of a frame (height, width, channels): (rows, columns, channels)."""
    height, width, _ = pixels.shape
    by_row = [pixels[a : max(b, a + 1)].mean(axis=0) for a, b in _cells(height, rows)]
    cells = [[row[a : max(b, a + 1)].mean(axis=0) for a, b in _cells(width, columns)] for row in by_row]
    return np.array(cells, np.float32)


def _cells(size: int, count: int) -> list[tuple[int, int]]:
    bounds = [min(i * size // count, size - 1) if i < count else size for i in range(count + 1)]
    return list(pairwise(bounds))
