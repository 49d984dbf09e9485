"""The little world as pictures and files: a clip's record becomes frames, frames become an .mp4, a narrator's words an .srt.

Drawing is a pure function of the record. Nothing here knows questions.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rankvideo_rag.demo.world import FPS, HEIGHT, SIGN_HEIGHT, WIDTH, Thing, WorldClip, plan_clips
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.media.pixels import GROUNDS
from rankvideo_rag.schema import TextSpan

_PAINT = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 230, 40),
    "green": (40, 180, 80),
    "blue": (45, 95, 230),
    "purple": (160, 60, 210),
}
_STEP = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
_BOARD, _BOARD_EDGE, _INK = (250, 250, 250), (60, 60, 60), (0, 0, 0)
_LETTER_SIZE = 28  # pixels


def render_archive(folder: str | Path, *, clips: int = 24, seed: int = 0) -> list[WorldClip]:
    """Write that many clips into a folder, made if need be: an .mp4 for each and an .srt beside those with a narrator."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    planned = plan_clips(clips, seed=seed)
    for clip in planned:
        write_video(folder / f"{clip.stem}.mp4", render_frames(clip), fps=FPS)
        if clip.narration:
            (folder / f"{clip.stem}.srt").write_text(subtitles(clip.narration), encoding="utf-8")
    return planned


def render_frames(clip: WorldClip) -> NDArray[np.uint8]:
    """The clip's frames, FPS a second: (n, HEIGHT, WIDTH, 3) RGB."""
    count = round(clip.seconds * FPS)
    return np.stack([_picture(clip, progress) for progress in np.linspace(0, 1, count)])


def subtitles(narration: tuple[TextSpan, ...]) -> str:
    """Sentences in the SubRip format."""
    cues = (
        f"{number}\n{_srt_time(line.start)} --> {_srt_time(line.end)}\n{line.text}\n"
        for number, line in enumerate(narration, start=1)
    )
    return "\n".join(cues)


def _srt_time(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"


def _picture(clip: WorldClip, progress: float) -> NDArray[np.uint8]:
    """One frame, `progress` of the way from the clip's beginning (0) to its end (1)."""
    image = Image.new("RGB", (WIDTH, HEIGHT), GROUNDS[clip.ground])
    draw = ImageDraw.Draw(image)
    for thing in clip.things:
        _draw_thing(draw, thing, progress)
    if clip.sign:
        _draw_sign(draw, clip.sign)
    return np.asarray(image)


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Thing, progress: float) -> None:
    step_x, step_y = _STEP[thing.motion]
    x = thing.x + step_x * thing.reach * (progress - 0.5)
    y = thing.y + step_y * thing.reach * (progress - 0.5)
    left, top, right, bottom = x - thing.size / 2, y - thing.size / 2, x + thing.size / 2, y + thing.size / 2
    paint = _PAINT[thing.colour]
    if thing.shape == "circle":
        draw.ellipse((left, top, right, bottom), fill=paint)
    elif thing.shape == "square":
        draw.rectangle((left, top, right, bottom), fill=paint)
    else:
        draw.polygon(((x, top), (right, bottom), (left, bottom)), fill=paint)


def _draw_sign(draw: ImageDraw.ImageDraw, text: str) -> None:
    """A white board across the top with the text in its middle."""
    draw.rectangle((10, 6, WIDTH - 11, SIGN_HEIGHT - 7), fill=_BOARD, outline=_BOARD_EDGE, width=2)
    draw.text((WIDTH / 2, SIGN_HEIGHT / 2), text, fill=_INK, font=ImageFont.load_default(size=_LETTER_SIZE), anchor="mm")
