"""Detect flat coloured moving shapes in drawn frames: colour by hue, shape by outline, motion by displacement.

Only saturated pixels count, so white boards, black letters and dull backgrounds are ignored. Filmed frames give few shapes.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
SHAPES = ("circle", "square", "triangle")
MOTIONS = ("left", "right", "up", "down", "still")

COLOUR_NAMES = {colour: colour for colour in COLOURS} | {
    "crimson": "red",
    "scarlet": "red",
    "amber": "orange",
    "golden": "yellow",
    "emerald": "green",
    "azure": "blue",
    "violet": "purple",
}
"""Words for the colours, in lower case."""

BACKGROUNDS = {"dark": (30, 30, 34), "grey": (200, 200, 204), "sandy": (202, 182, 142), "navy": (22, 30, 74)}
"""Names of backgrounds and their RGB values."""

_NO_COLOUR = -1
_HUES = ((15, "red"), (42, "orange"), (70, "yellow"), (170, "green"), (195, None), (255, "blue"), (325, "purple"), (360, "red"))
_HUE_ENDS = np.array([end for end, _ in _HUES])  # degrees
_HUE_COLOURS = np.array([COLOURS.index(name) if name else _NO_COLOUR for _, name in _HUES], dtype=np.int8)

# Of 255, between the brightest and the darkest channel. Shapes have 140 and more, backgrounds 60 and less.
_MIN_CHROMA = 100
_MIN_SHARE = 0.003  # of the frame: less is an edge or a speck
_MIN_SIDE = 160  # pixels: larger frames are subsampled while their shorter side keeps so many
_FILLS = (("triangle", 0.42, 0.60), ("circle", 0.70, 0.87), ("square", 0.89, 1.0))  # area over bounding box: .5, .785, 1
_MIN_OFFSET = 0.08  # a triangle's centre of mass is 1/6 of its height off the middle; a diamond's is not
_MAX_STEP = 0.35  # of the frame, between neighbouring frames
_MIN_TRAVEL = 0.06  # of the frame, from the first frame to the last: less is still
_MAX_SHAPES = 8
_MAX_BACKGROUND_DISTANCE = 40.0  # in RGB


class ShapeDescription(NamedTuple):
    """The attributes of a shape that a text gives; None for those that it does not."""

    colour: str | None = None
    shape: str | None = None
    motion: str | None = None


class DetectedShape(NamedTuple):
    """A flat coloured shape and the direction it moved in."""

    colour: str
    shape: str
    motion: str | None  # None in a single frame


class _Region(NamedTuple):
    """Connected pixels of one colour in one frame. Positions and sizes are shares of the frame."""

    frame: int
    colour: str
    shape: str
    area: float
    x: float
    y: float


_Integers = NDArray[np.int64]


class _Runs(NamedTuple):
    """Runs of one colour along rows, as columns of equal length. Half open: a run's pixels are left to right - 1."""

    label: _Integers
    frame: _Integers
    colour: NDArray[np.int8]
    row: _Integers
    left: _Integers
    right: _Integers


def colour_shares(pixels: NDArray[np.uint8]) -> dict[str, float]:
    """Return the share of the frame that each visible colour covers in (n, height, width, 3) RGB frames."""
    colours = _colours(_subsample(pixels))
    counts = np.bincount(colours.ravel() + 1, minlength=len(COLOURS) + 1)[1:]
    shares = {colour: float(count / max(1, colours.size)) for colour, count in zip(COLOURS, counts, strict=True)}
    return {colour: share for colour, share in shares.items() if share >= _MIN_SHARE}


def detect_shapes(pixels: NDArray[np.uint8]) -> list[DetectedShape]:
    """Return the shapes in (n, height, width, 3) RGB frames in order of time, the largest first, at most eight.

    A shape must be fully visible in at least half of the frames.
    """
    tracks = [track for track in _tracks(_regions(_colours(_subsample(pixels)))) if 2 * len(track) >= len(pixels)]
    tracks.sort(key=lambda track: -sum(region.area for region in track) / len(track))
    return [DetectedShape(track[0].colour, track[0].shape, _motion(track)) for track in tracks[:_MAX_SHAPES]]


def find_background(pixels: NDArray[np.uint8]) -> str | None:
    """Return the name of the background; None if the median unsaturated colour is none of BACKGROUNDS."""
    thinned = _subsample(pixels)
    dull = thinned[_colours(thinned) == _NO_COLOUR]  # (pixels, 3)
    if not len(dull):
        return None
    distance = {name: float(np.linalg.norm(np.median(dull, axis=0) - rgb)) for name, rgb in BACKGROUNDS.items()}
    nearest = min(distance, key=distance.__getitem__)
    return nearest if distance[nearest] <= _MAX_BACKGROUND_DISTANCE else None


def _subsample(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    step = max(1, min(pixels.shape[1:3]) // _MIN_SIDE)
    return pixels[:, ::step, ::step]


def _colours(pixels: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return for each pixel the index of its colour in COLOURS, or _NO_COLOUR."""
    red, green, blue = np.moveaxis(pixels, -1, 0)  # by channel, since max(axis=-1) is several times slower
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    vivid = high - low >= _MIN_CHROMA
    colours = np.full(vivid.shape, _NO_COLOUR, dtype=np.int8)
    colours[vivid] = _HUE_COLOURS[np.searchsorted(_HUE_ENDS, _hue(pixels[vivid]), side="right")]
    return colours


def _hue(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the hue of (n, 3) RGB pixels that are not grey, in degrees, [0, 360)."""
    red, green, blue = pixels.T.astype(np.float32)
    high = np.maximum(np.maximum(red, green), blue)
    chroma = high - np.minimum(np.minimum(red, green), blue)
    sixths = np.where(
        high == red,
        (green - blue) / chroma % 6,
        np.where(high == green, (blue - red) / chroma + 2, (red - green) / chroma + 4),
    )
    hue: NDArray[np.float32] = np.mod(60 * sixths, 360)
    return hue


def _regions(colours: NDArray[np.int8]) -> list[_Region]:
    """Return the connected regions that have the outline of a shape, in order of time."""
    _, height, width = colours.shape
    runs = _runs(colours)
    areas = np.bincount(runs.label, weights=runs.right - runs.left)  # pixels, by label
    large = np.flatnonzero(areas >= max(1, _MIN_SHARE * height * width))
    regions = (_region(_Runs(*(column[runs.label == label] for column in runs)), height, width) for label in large)
    return [region for region in regions if region]


def _runs(colours: NDArray[np.int8]) -> _Runs:
    """Return the runs of one colour along rows of (n, height, width) colours; touching runs of a frame share a label."""
    _, height, width = colours.shape
    # An empty column and row at the end keep regions from continuing in the next row or frame.
    flat = np.pad(colours, ((0, 0), (0, 1), (0, 1)), constant_values=_NO_COLOUR).ravel()
    edges = np.flatnonzero(np.diff(flat, prepend=np.int8(_NO_COLOUR)))
    coloured = np.flatnonzero(flat[edges] != _NO_COLOUR)  # never the last edge: the padding ends every run
    starts, ends = edges[coloured], edges[coloured + 1]
    line, left = np.divmod(starts, width + 1)
    frame, row = np.divmod(line, height + 1)
    label = _labels(starts, ends, flat[starts], stride=width + 1)
    return _Runs(label, frame, flat[starts], row, left, left + ends - starts)


def _labels(starts: _Integers, ends: _Integers, colour: NDArray[np.int8], *, stride: int) -> _Integers:
    """Return for each run the number of the first run that it is connected to, through runs of its colour in other rows."""
    first_below = np.searchsorted(ends, starts + stride, side="right")
    below_count = np.searchsorted(starts, ends + stride, side="left") - first_below
    above = np.repeat(np.arange(len(starts)), below_count)
    below = np.arange(len(above)) + np.repeat(first_below - np.cumsum(below_count) + below_count, below_count)
    same = colour[above] == colour[below]
    above, below = above[same], below[same]
    labels = np.arange(len(starts))
    while True:
        lowest = labels.copy()
        np.minimum.at(lowest, above, labels[below])
        np.minimum.at(lowest, below, labels[above])
        lowest = lowest[lowest]  # the label of the label: chains halve instead of shrinking by one
        if np.array_equal(lowest, labels):
            return labels
        labels = lowest


def _region(runs: _Runs, height: int, width: int) -> _Region | None:
    """Return a region as a shape; None if its outline is that of no shape, or the border of the frame cuts it."""
    top, bottom, left, right = runs.row.min(), runs.row.max() + 1, runs.left.min(), runs.right.max()
    if top == 0 or left == 0 or bottom == height or right == width:
        return None
    lengths = runs.right - runs.left
    area = lengths.sum()
    x = ((runs.left + runs.right) / 2 * lengths).sum() / area
    y = ((runs.row + 0.5) * lengths).sum() / area
    offset = abs(y - (top + bottom) / 2) / (bottom - top)
    shape = _shape(area / ((bottom - top) * (right - left)), aspect=(right - left) / (bottom - top), offset=offset)
    if shape is None:
        return None
    return _Region(int(runs.frame[0]), COLOURS[runs.colour[0]], shape, area / (height * width), x / width, y / height)


def _shape(fill: float, *, aspect: float, offset: float) -> str | None:
    """Return the shape that fills this share of its bounding box, with its centre of mass `offset` heights off the middle."""
    if not 0.7 <= aspect <= 1.4:
        return None
    shape = next((name for name, least, most in _FILLS if least <= fill <= most), None)
    return shape if (shape == "triangle") == (offset >= _MIN_OFFSET) else None


def _tracks(regions: list[_Region]) -> list[list[_Region]]:
    """Join regions over time: each extends the nearest track of its colour and shape that has none in this frame yet."""
    tracks: list[list[_Region]] = []
    for region in regions:
        near = [track for track in tracks if track[-1].frame < region.frame and _distance(track[-1], region) <= _MAX_STEP]
        if near:
            min(near, key=lambda track: _distance(track[-1], region)).append(region)
        else:
            tracks.append([region])
    return tracks


def _distance(one: _Region, other: _Region) -> float:
    """Return the distance of two regions in shares of the frame; infinite for different colours or shapes."""
    return math.hypot(one.x - other.x, one.y - other.y) if one[1:3] == other[1:3] else math.inf


def _motion(track: list[_Region]) -> str | None:
    if len(track) == 1:
        return None
    x, y = track[-1].x - track[0].x, track[-1].y - track[0].y
    if max(abs(x), abs(y)) < _MIN_TRAVEL:
        return "still"
    if abs(x) >= abs(y):
        return "left" if x < 0 else "right"
    return "up" if y < 0 else "down"
