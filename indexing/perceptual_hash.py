"""Whether two clips show the same: a few bytes for some frames of each, that survive another encoding, size and frame rate.

Made of the frames that a clip is embedded from, not of its vector: a vector says what a clip is about, and how near is the same
is another matter for every embedder. Each frame gives 64 bits, where it becomes brighter to the right (dHash), and the mean
colours of its quarters, which tell plain pictures apart. Knows no archive. What is cut at other times is not recognised.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_FRAMES = 8  # of a clip, evenly
_SIDE = 8  # bits across and down
_STEP = 4.0  # of 255, by which a neighbour is brighter for sure
_BITS = 6  # of 64, that may differ between frames that look the same
_COLOUR = 12  # of 255, by which a quarter's colour may differ
_BYTES = 8 + 12  # of a frame
_SAME_FRAMES = 7 / 8  # of a clip's, that have to look the same


def perceptual_hash(pixels: NDArray[np.uint8]) -> bytes:
    """What a clip looks like, from its frames (n, height, width, 3) in order: 20 bytes for each of at most eight."""
    chosen = np.unique(np.linspace(0, len(pixels) - 1, min(_FRAMES, len(pixels))).round().astype(int))
    return b"".join(_frame(pixels[i].astype(np.float32)) for i in chosen)


def find_duplicates(pictures: Sequence[bytes | None], *, same_text: Callable[[int, int], bool]) -> Iterator[int | None]:
    """For each clip in order the place of an earlier one that it repeats and that repeats none itself, else None.

    Clips whose pictures are alike are asked for their words: a speaker who goes on before the same wall is no repetition.
    """
    places: list[int] = []
    seen = np.empty((0, _FRAMES, _BYTES), np.uint8)
    for place, picture in enumerate(pictures):
        if not picture:
            yield None
            continue
        frames = _frames_of(picture)
        near = np.flatnonzero(_alike(seen, frames)).tolist()
        of = next((places[i] for i in near if same_text(places[i], place)), None)
        if of is None:
            places.append(place)
            seen = np.concatenate([seen, frames[None]])
        yield of


def is_same_text(one: str, other: str) -> bool:
    """Whether two texts may be the words of the same footage: one is empty, or half of the shorter one is in the longer one."""
    a, b = (_threes(text) for text in (one, other))
    return not a or not b or len(a & b) >= 0.5 * min(len(a), len(b))


def _threes(text: str) -> set[str]:
    """Three characters each: in scripts without spaces, too."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return {letters[i : i + 3] for i in range(max(1, len(letters) - 2))} - {""}


def _frames_of(picture: bytes) -> NDArray[np.uint8]:
    """(_FRAMES, _BYTES); of a clip with fewer frames some stand twice."""
    frames = np.frombuffer(picture, np.uint8).reshape(-1, _BYTES)
    even: NDArray[np.uint8] = frames[np.linspace(0, len(frames) - 1, _FRAMES).round().astype(int)]
    return even


def _alike(seen: NDArray[np.uint8], frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which clips (n, _FRAMES, _BYTES) show the same as one clip, frame by frame."""
    bits = np.unpackbits(seen[..., :8] ^ frames[:, :8], axis=-1).sum(axis=-1)
    colours = np.abs(seen[..., 8:].astype(np.int16) - frames[:, 8:]).max(axis=-1)
    same: NDArray[np.bool_] = ((bits <= _BITS) & (colours <= _COLOUR)).mean(axis=-1) >= _SAME_FRAMES
    return same


def _frame(pixels: NDArray[np.float32]) -> bytes:
    brightness = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    coarse = _means(brightness[..., None], _SIDE, _SIDE + 1)[..., 0]
    bits = np.diff(coarse, axis=1) > _STEP
    return np.packbits(bits).tobytes() + _means(pixels, 2, 2).round().astype(np.uint8).tobytes()


def _means(pixels: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Means over a grid of (rows, columns) fields of a picture (height, width, channels)."""
    height, width, _ = pixels.shape
    by_row = [pixels[a : max(b, a + 1)].mean(axis=0) for a, b in _fields(height, rows)]
    fields = [[row[a : max(b, a + 1)].mean(axis=0) for a, b in _fields(width, columns)] for row in by_row]
    return np.array(fields, np.float32)


def _fields(size: int, count: int) -> list[tuple[int, int]]:
    bounds = [min(i * size // count, size - 1) if i < count else size for i in range(count + 1)]
    return list(pairwise(bounds))
