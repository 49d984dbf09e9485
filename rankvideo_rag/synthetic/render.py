"""Render synthetic clips: frames, .mp4 files with speech, and .srt subtitles."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rankvideo_rag.media import Frames
from rankvideo_rag.media.decoder.sampling import frame_count, spread
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.schema import FrameBudget, TextSpan
from rankvideo_rag.synthetic.scenes import FPS, HEIGHT, SIGN_HEIGHT, WIDTH, Shape, SyntheticClip, plan_clips
from rankvideo_rag.synthetic.tts import synthesize_speech
from rankvideo_rag.testing.pattern_detector import BACKGROUNDS

_RGB = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 230, 40),
    "green": (40, 180, 80),
    "blue": (45, 95, 230),
    "purple": (160, 60, 210),
}
_STEP = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
_BOARD, _EDGE, _INK = (250, 250, 250), (60, 60, 60), (0, 0, 0)
_FONT_SIZE = 22  # pixels
_FLASHES = 4  # times that a flashing shape is visible


def render_archive(folder: str | Path, *, clips: int = 24, seed: int = 0) -> list[SyntheticClip]:
    """Plan this many clips and write them into a folder, which is made if needed."""
    planned = plan_clips(clips, seed=seed)
    write_clips(folder, planned)
    return planned


def write_clips(folder: str | Path, clips: Sequence[SyntheticClip]) -> None:
    """Write an .mp4 for each clip; with narration also an .srt, and speech if espeak-ng is installed."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        sound = synthesize_speech(clip.narration, clip.seconds) if clip.narration else None
        write_video(folder / f"{clip.stem}.mp4", render_frames(clip), fps=FPS, audio=sound)
        if clip.narration:
            (folder / f"{clip.stem}.srt").write_text(format_srt(clip.narration), encoding="utf-8")


def render_frames(clip: SyntheticClip) -> NDArray[np.uint8]:
    """Return the clip's frames, FPS per second: (n, HEIGHT, WIDTH, 3) RGB."""
    count = round(clip.seconds * FPS)
    return np.stack([np.asarray(_draw_frame(clip, number, count)) for number in range(count)])


def sample_frames(clip: SyntheticClip, budget: FrameBudget, *, side: int) -> Frames:
    """Return what `media.read_frames` returns for the clip's file, `side` pixels high and wide, without a file.

    The pixels differ from the file's by the codec and another way of resizing.
    """
    count = round(clip.seconds * FPS)
    times = np.arange(count) / FPS
    numbers = spread(times, frame_count(count, clip.seconds, budget))
    pictures = [
        _draw_frame(clip, number, count).resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0) for number in numbers
    ]
    return Frames(np.stack([np.asarray(picture) for picture in pictures]), times[numbers])


def format_srt(narration: tuple[TextSpan, ...]) -> str:
    """Return sentences in the SubRip format."""
    cues = (
        f"{number}\n{_srt_time(line.start)} --> {_srt_time(line.end)}\n{line.text}\n"
        for number, line in enumerate(narration, start=1)
    )
    return "\n".join(cues)


def _srt_time(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"


def _draw_frame(clip: SyntheticClip, number: int, count: int) -> Image.Image:
    """Draw frame `number` of the `count` frames of a clip."""
    shot, place = divmod(number * len(clip.shots), count)
    last = max(1, (count // len(clip.shots) - 1) * len(clip.shots))
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUNDS[clip.background])
    draw = ImageDraw.Draw(image)
    for shape in clip.shots[shot]:
        _draw_shape(draw, shape, min(1.0, place / last))
    if clip.sign:
        _draw_sign(draw, clip.sign)
    return image


def _is_visible(shape: Shape, progress: float) -> bool:
    """Return whether a shape is visible at this progress, from 0 to 1, of its shot."""
    if shape.event == "flashing":
        return int(progress * 2 * _FLASHES) % 2 == 0 and progress < 1
    return shape.event == "steady" or (progress < 0.5) == (shape.event == "vanishing")


def _draw_shape(draw: ImageDraw.ImageDraw, shape: Shape, progress: float) -> None:
    """Draw the shape at this progress, from 0 to 1, of its shot."""
    if not _is_visible(shape, progress):
        return
    step_x, step_y = _STEP[shape.motion]
    x = shape.x + step_x * shape.reach * (progress - 0.5)
    y = shape.y + step_y * shape.reach * (progress - 0.5)
    left, top, right, bottom = x - shape.size / 2, y - shape.size / 2, x + shape.size / 2, y + shape.size / 2
    rgb = _RGB[shape.colour]
    if shape.shape == "circle":
        draw.ellipse((left, top, right, bottom), fill=rgb)
    elif shape.shape == "square":
        draw.rectangle((left, top, right, bottom), fill=rgb)
    else:
        draw.polygon(((x, top), (right, bottom), (left, bottom)), fill=rgb)


def _draw_sign(draw: ImageDraw.ImageDraw, text: str) -> None:
    """Draw a white board across the top with centred text."""
    draw.rectangle((8, 5, WIDTH - 9, SIGN_HEIGHT - 6), fill=_BOARD, outline=_EDGE, width=2)
    draw.text((WIDTH / 2, SIGN_HEIGHT / 2), text, fill=_INK, font=_font(), anchor="mm")


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_FONT_SIZE)
