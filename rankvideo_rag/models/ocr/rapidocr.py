"""Words in pictures with RapidOCR (PP-OCRv6 on onnxruntime), with the models inside its wheel: nothing is downloaded.

It reads upright lines; text on its head is not looked for, as frames come upright from the media room. A frame costs far more
to read than to decode (about 0.2 s on 2 cores): frames that look like the one before them are not read again.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime  # noqa: F401  RapidOCR misses it only at the first frame
import rapidocr
from numpy.typing import NDArray
from PIL import Image

from rankvideo_rag.errors import ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

DETECTOR, RECOGNIZER = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"

OPTIONS = {
    "Global.log_level": "error",  # it logs every model file it opens and warns of every frame without text
    "Global.use_cls": False,  # the classifier that turns text from its head to its feet
    # The longest side, in pixels, that the detector sees. By default it enlarges every frame to 736 on its shortest side:
    # twice the time, and it read nothing more of lines 8 pixels high in a frame of 640x360.
    "Det.limit_type": "max",
    "Det.limit_side_len": 960,
    "EngineConfig.onnxruntime.intra_op_num_threads": 2,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

# Of 126 lines read from blurred, coarsely coded pictures none below this was right, and text on its head comes out as scraps
# of 0.65 to 0.85. Above it, whole lines or all but a letter or two are right.
MIN_CONFIDENCE = 0.8

# A frame is new when one cell of a 64x64 grid of mean greys changed by more than 10 of 255 levels. At 640x360 one digit of a
# clock 14 pixels high moves its cell by 13 and more, another caption by 50 and more; grain and H.264 at usual quality by 9 at
# most. The greatest change counts, not the mean: a caption is a few per cent of a picture. In doubt a frame is read again.
GRID = 64
MIN_CHANGE = 10


class FrameText(NamedTuple):
    """What stands in one frame, and until when it counts."""

    start: float  # seconds
    end: float
    text: str  # empty for a frame without words
    confidence: float | None  # mean over its lines


class Line(NamedTuple):
    """A line of text in a frame, pixels counted from the upper left corner."""

    text: str
    confidence: float
    left: float
    top: float
    bottom: float


class RapidOCRReader:
    """A loaded RapidOCR engine."""

    name = "rapidocr:PP-OCRv6-small"

    def __init__(self, engine: rapidocr.RapidOCR) -> None:
        self.engine = engine

    def read(self, frames: Frames, *, end: float) -> list[TextSpan]:
        """The words shown in `frames`, one span per picture that differs from the one before, equal neighbours merged."""
        kept = [index for index in distinct_frames(frames.pixels) if frames.times[index] < end]
        edges = [*(float(frames.times[index]) for index in kept), end]
        readings = [
            self._reading(frames.pixels[index], start, until)
            for index, (start, until) in zip(kept, pairwise(edges), strict=True)
        ]
        return [_span(list(same)) for text, same in groupby(readings, key=lambda reading: reading.text) if text]

    def _reading(self, picture: NDArray[np.uint8], start: float, end: float) -> FrameText:
        lines = reading_order(self._lines(picture))
        text = clean(" ".join(line.text for line in lines))
        confidence = sum(line.confidence for line in lines) / len(lines) if lines else None
        return FrameText(start, end, text, confidence)

    def _lines(self, picture: NDArray[np.uint8]) -> list[Line]:
        """The lines of one picture ((height, width, 3) RGB) that are read with enough confidence."""
        found = self.engine(np.ascontiguousarray(picture[:, :, ::-1]))  # it expects blue first, as OpenCV does
        if not len(found):
            return []
        return [
            Line(text, float(score), float(box[:, 0].min()), float(box[:, 1].min()), float(box[:, 1].max()))
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if score >= MIN_CONFIDENCE and any(map(str.isalnum, text))  # a drawn square is read as the sign ■
        ]


def load() -> RapidOCRReader:
    """RapidOCR with the models of its wheel. Raises ModelError when the installed wheel brings other ones."""
    folder = Path(rapidocr.__file__).parent / "models"
    missing = [name for name in (DETECTOR, RECOGNIZER) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"rapidocr at {folder.parent} lacks the models {', '.join(missing)}. Needed: rapidocr 3.10 or newer, whose wheel "
            f"brings them. Install it with: pip install --upgrade 'rankvideo-rag[ocr]'"
        )
    # Given by path, models are never looked for on the network.
    models = {"Det.model_path": str(folder / DETECTOR), "Rec.model_path": str(folder / RECOGNIZER)}
    return RapidOCRReader(rapidocr.RapidOCR(params=OPTIONS | models))


def distinct_frames(pixels: NDArray[np.uint8]) -> Iterator[int]:
    """Which of the pictures ((n, height, width, 3)) differ visibly from the last one given: their places, in order."""
    last: NDArray[np.int16] | None = None
    for index, picture in enumerate(pixels):
        grid = _grid(picture)
        if last is None or np.abs(grid - last).max() > MIN_CHANGE:
            yield index
            last = grid


def _grid(picture: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The mean grey of each cell: (GRID, GRID), signed so that a difference does not wrap."""
    return np.asarray(Image.fromarray(picture).convert("L").resize((GRID, GRID), Image.Resampling.BOX), dtype=np.int16)


def reading_order(lines: Sequence[Line]) -> list[Line]:
    """Top to bottom, and left to right among the lines of one row: those whose middle lies within the row's first line."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.top):
        middle = (line.top + line.bottom) / 2
        if rows and middle < rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]


def _span(same: Sequence[FrameText]) -> TextSpan:
    """Neighbouring frames with the same words as one span."""
    confidences = [reading.confidence for reading in same if reading.confidence is not None]
    return TextSpan(
        channel="on_screen",
        text=same[0].text,
        start=same[0].start,
        end=same[-1].end,
        source="rapidocr",
        confidence=sum(confidences) / len(confidences),
    )
