"""OCR with RapidOCR (PP-OCRv6 on onnxruntime) and the models in its wheel; nothing is downloaded.

Only upright lines are read, as decoded frames are upright. Reading a frame takes about 0.2 s on 2 cores, far more than decoding
it: frames that look like the previous one are skipped.
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
    "Global.log_level": "error",  # it logs every model file and warns about every frame without text
    "Global.use_cls": False,  # classifies upside-down text
    # Longest side of the detector's input in pixels. By default it enlarges every frame to 736 on its shortest side, which took
    # twice the time and read no more lines of 8 pixels height in a frame of 640x360.
    "Det.limit_type": "max",
    "Det.limit_side_len": 960,
    "EngineConfig.onnxruntime.intra_op_num_threads": 2,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}

# Of 126 lines read from blurred, coarsely coded pixelss none below this was right, and upside-down text gives fragments of
# 0.65 to 0.85. Above it, lines are right, or all but a letter or two.
MIN_CONFIDENCE = 0.8

# A frame is distinct when one cell of a 64x64 grid of mean grey levels changes by more than 10 of 255. At 640x360 a digit of a
# clock 14 pixels high changes its cell by 13 or more, another caption by 50 or more; grain and H.264 at usual quality by at
# most 9. The maximum is taken, not the mean, as a caption covers a few percent of a frame.
GRID = 64
MIN_CHANGE = 10


class FrameText(NamedTuple):
    """The text of one frame, and how long it lasts."""

    start: float  # seconds
    end: float
    text: str  # empty for a frame without text
    confidence: float | None  # mean over its lines


class Line(NamedTuple):
    """A line of text in a frame, in pixels from the upper left corner."""

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
        """Return one span per distinct frame with text; neighbours with the same text are merged."""
        kept = [index for index in distinct_frames(frames.pixels) if frames.times[index] < end]
        edges = [*(float(frames.times[index]) for index in kept), end]
        frame_texts = [
            self._read_frame(frames.pixels[index], start, until)
            for index, (start, until) in zip(kept, pairwise(edges), strict=True)
        ]
        return [_span(list(same)) for text, same in groupby(frame_texts, key=lambda frame: frame.text) if text]

    def _read_frame(self, pixels: NDArray[np.uint8], start: float, end: float) -> FrameText:
        lines = reading_order(self._lines(pixels))
        text = clean(" ".join(line.text for line in lines))
        confidence = sum(line.confidence for line in lines) / len(lines) if lines else None
        return FrameText(start, end, text, confidence)

    def _lines(self, pixels: NDArray[np.uint8]) -> list[Line]:
        """Return the lines of a frame ((height, width, 3) RGB) that are read with enough confidence."""
        found = self.engine(np.ascontiguousarray(pixels[:, :, ::-1]))  # BGR, as OpenCV
        if not len(found):
            return []
        return [
            Line(text, float(score), float(box[:, 0].min()), float(box[:, 1].min()), float(box[:, 1].max()))
            for box, text, score in zip(found.boxes, found.txts, found.scores, strict=True)
            if score >= MIN_CONFIDENCE and any(map(str.isalnum, text))  # a square is read as ■
        ]


def load() -> RapidOCRReader:
    """Load RapidOCR with the models in its wheel. Raises ModelError when the installed wheel has others."""
    folder = Path(rapidocr.__file__).parent / "models"
    missing = [name for name in (DETECTOR, RECOGNIZER) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"rapidocr at {folder.parent} lacks the models {', '.join(missing)}. Needed: rapidocr 3.10 or newer, whose wheel "
            f"has them. Install it with: pip install --upgrade 'rankvideo-rag[ocr]'"
        )
    # Models given by path are never downloaded.
    models = {"Det.model_path": str(folder / DETECTOR), "Rec.model_path": str(folder / RECOGNIZER)}
    return RapidOCRReader(rapidocr.RapidOCR(params=OPTIONS | models))


def distinct_frames(pixels: NDArray[np.uint8]) -> Iterator[int]:
    """Yield the indices of the frames ((n, height, width, 3)) that differ visibly from the last one yielded."""
    last: NDArray[np.int16] | None = None
    for index, frame in enumerate(pixels):
        grid = _grid(frame)
        if last is None or np.abs(grid - last).max() > MIN_CHANGE:
            yield index
            last = grid


def _grid(pixels: NDArray[np.uint8]) -> NDArray[np.int16]:
    """Return the mean grey level of each cell: (GRID, GRID), signed so that differences do not wrap."""
    return np.asarray(Image.fromarray(pixels).convert("L").resize((GRID, GRID), Image.Resampling.BOX), dtype=np.int16)


def reading_order(lines: Sequence[Line]) -> list[Line]:
    """Sort lines from top to bottom and, in a row, from left to right. A row holds lines whose middle lies within its first."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.top):
        middle = (line.top + line.bottom) / 2
        if rows and middle < rows[-1][0].bottom:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda line: line.left)]


def _span(same: Sequence[FrameText]) -> TextSpan:
    """Merge neighbouring frames with the same text."""
    confidences = [frame.confidence for frame in same if frame.confidence is not None]
    return TextSpan(
        channel="on_screen",
        text=same[0].text,
        start=same[0].start,
        end=same[-1].end,
        source="rapidocr",
        confidence=sum(confidences) / len(confidences),
    )
