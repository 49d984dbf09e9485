"""Rotate, mirror and stretch decoded frames to their display orientation and aspect ratio."""

from fractions import Fraction
from typing import NamedTuple, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_PLAUSIBLE_STRETCH = (Fraction(1, 4), Fraction(4))


class Size(NamedTuple):
    """A size in pixels."""

    width: int
    height: int

    def transposed(self) -> "Size":
        """Return the size with its sides swapped."""
        return Size(self.height, self.width)


class Orientation(NamedTuple):
    """Swap rows and columns, then reverse the rows, then the columns."""

    transpose: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False

    def size(self, size: Size) -> Size:
        """Return the size after turning a frame of this size, or before (the same operation)."""
        return size.transposed() if self.transpose else size

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a frame, (height, width, 3)."""
        turned = pixels.transpose(1, 0, 2) if self.transpose else pixels
        turned = turned[::-1] if self.reverse_rows else turned
        return turned[:, ::-1] if self.reverse_columns else turned


def read_orientation(frame: VideoFrame) -> Orientation:
    """Return the orientation of the display matrix that phones write; its rows say where columns and rows go."""
    side_data = cast(SideDataContainer, frame.side_data)  # PyAV's stub calls it a TypedDict
    matrices = [bytes(data) for data in side_data if data.type == Type.DISPLAYMATRIX]
    if not matrices:
        return Orientation()
    a, b, _, c, d = (int(x) for x in np.frombuffer(matrices[0], np.int32)[:5])
    if abs(b) > abs(a):
        return Orientation(transpose=True, reverse_rows=b < 0, reverse_columns=c < 0)
    return Orientation(reverse_rows=d < 0, reverse_columns=a < 0)


def displayed_size(size: Size, pixel_aspect: Fraction | None, orientation: Orientation) -> Size:
    """Return the size on screen: with pixels made square by stretching the width, then turned."""
    stretch = pixel_aspect or Fraction(1)
    if not _PLAUSIBLE_STRETCH[0] <= stretch <= _PLAUSIBLE_STRETCH[1]:
        stretch = Fraction(1)
    return orientation.size(Size(max(1, round(size.width * stretch)), size.height))
