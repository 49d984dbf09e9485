"""The little world as pictures and files: a clip's record becomes frames, frames become an .mp4, a narrator's words an .srt.

Drawing is a pure function of the record. Nothing here knows questions.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from rankvideo_rag.media import Frames
from rankvideo_rag.media.decoder.sampling import frame_count, spread
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.schema import FrameBudget, Probe, TextSpan
from rankvideo_rag.synthetic.scenes import FPS, HEIGHT, SIGN_HEIGHT, WIDTH, Shape, SyntheticClip, plan_clips
from rankvideo_rag.synthetic.tts import synthesize_speech
from rankvideo_rag.testing.pattern_detector import BACKGROUNDS

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
_LETTER_SIZE = 22  # pixels
_FLASHES = 4  # times that a flashing shape is in sight


def render_archive(folder: str | Path, *, clips: int = 24, seed: int = 0) -> list[SyntheticClip]:
    """Invent that many clips and write them into a folder, made if need be."""
    planned = plan_clips(clips, seed=seed)
    write_clips(folder, planned)
    return planned


def write_clips(folder: str | Path, clips: Sequence[SyntheticClip]) -> None:
    """An .mp4 for each clip; where there is a narrator an .srt beside it, and a voice if this machine can speak."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        sound = synthesize_speech(clip.narration, clip.seconds) if clip.narration else None
        write_video(folder / f"{clip.stem}.mp4", render_frames(clip), fps=FPS, audio=sound)
        if clip.narration:
            (folder / f"{clip.stem}.srt").write_text(format_srt(clip.narration), encoding="utf-8")


def is_synthetic(probe: Probe) -> bool:
    """Whether a file has the size and the frame rate of those that are written here."""
    return (probe.width, probe.height, probe.frame_rate) == (WIDTH, HEIGHT, FPS)


def render_frames(clip: SyntheticClip) -> NDArray[np.uint8]:
    """The clip's frames, FPS a second: (n, HEIGHT, WIDTH, 3) RGB."""
    count = round(clip.seconds * FPS)
    return np.stack([np.asarray(_picture(clip, number, count)) for number in range(count)])


def sample_frames(clip: SyntheticClip, budget: FrameBudget, *, side: int) -> Frames:
    """What `media.read_frames` gives of the clip's file within that budget, `side` pixels high and wide: without a file.

    The pixels differ from the file's by what the codec and another way of resizing do to them.
    """
    count = round(clip.seconds * FPS)
    times = np.arange(count) / FPS
    numbers = spread(times, frame_count(count, clip.seconds, budget))
    pictures = [
        _picture(clip, number, count).resize((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0) for number in numbers
    ]
    return Frames(np.stack([np.asarray(picture) for picture in pictures]), times[numbers])


def format_srt(narration: tuple[TextSpan, ...]) -> str:
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


def _picture(clip: SyntheticClip, number: int, count: int) -> Image.Image:
    """Frame `number` of the `count` that the clip has."""
    shot, place = divmod(number * len(clip.shots), count)
    last = max(1, (count // len(clip.shots) - 1) * len(clip.shots))
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUNDS[clip.background])
    draw = ImageDraw.Draw(image)
    for thing in clip.shots[shot]:
        _draw_thing(draw, thing, min(1.0, place / last))
    if clip.sign:
        _draw_sign(draw, clip.sign)
    return image


def _in_sight(thing: Shape, progress: float) -> bool:
    """Whether a shape can be seen that far into its scene, from 0 to 1."""
    if thing.event == "flashing":
        return int(progress * 2 * _FLASHES) % 2 == 0 and progress < 1
    return thing.event == "steady" or (progress < 0.5) == (thing.event == "vanishing")


def _draw_thing(draw: ImageDraw.ImageDraw, thing: Shape, progress: float) -> None:
    """The shape where it is `progress` of the way from its scene's beginning (0) to its end (1)."""
    if not _in_sight(thing, progress):
        return
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
    draw.rectangle((8, 5, WIDTH - 9, SIGN_HEIGHT - 6), fill=_BOARD, outline=_BOARD_EDGE, width=2)
    draw.text((WIDTH / 2, SIGN_HEIGHT / 2), text, fill=_INK, font=_font(), anchor="mm")


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=_LETTER_SIZE)
