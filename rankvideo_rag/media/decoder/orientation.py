"""How a decoded frame must be turned, mirrored and stretched to be seen as it was meant. Runs in the decoder process."""

from fractions import Fraction
from typing import NamedTuple, cast

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_SANE_STRETCH = (Fraction(1, 4), Fraction(4))


class Size(NamedTuple):
    """Pixels."""

    width: int
    height: int

    def transposed(self) -> "Size":
        """With sides exchanged."""
        return Size(self.height, self.width)


class Orientation(NamedTuple):
    """Exchange rows and columns, then reverse the order of rows, then that of columns."""

    transpose: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False

    def size(self, size: Size) -> Size:
        """The size of a picture after turning, or before: it works both ways."""
        return size.transposed() if self.transpose else size

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a picture, (height, width, 3)."""
        turned = pixels.transpose(1, 0, 2) if self.transpose else pixels
        turned = turned[::-1] if self.reverse_rows else turned
        return turned[:, ::-1] if self.reverse_columns else turned


def read_orientation(frame: VideoFrame) -> Orientation:
    """From the display matrix that phones write: its first row is where columns go, its second where rows go."""
    side_data = cast(SideDataContainer, frame.side_data)  # PyAV's stub calls it a TypedDict
    matrices = [bytes(data) for data in side_data if data.type == Type.DISPLAYMATRIX]
    if not matrices:
        return Orientation()
    a, b, _, c, d = (int(x) for x in np.frombuffer(matrices[0], np.int32)[:5])
    if abs(b) > abs(a):
        return Orientation(transpose=True, reverse_rows=b < 0, reverse_columns=c < 0)
    return Orientation(reverse_rows=d < 0, reverse_columns=a < 0)


def displayed_size(size: Size, pixel_aspect: Fraction | None, turn: Orientation) -> Size:
    """The size at which a picture is seen: its pixels made square by stretching its width, then turned."""
    stretch = pixel_aspect or Fraction(1)
    if not _SANE_STRETCH[0] <= stretch <= _SANE_STRETCH[1]:
        stretch = Fraction(1)
    return turn.size(Size(max(1, round(size.width * stretch)), size.height))
