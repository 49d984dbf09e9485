"""Frames and their sizes are those of RankVideo's published script, which uses qwen-vl-utils 0.0.14."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from qwen_vl_utils.vision_process import fetch_video, smart_nframes, smart_resize

from rankvideo_rag.media import read_frames, target_size
from rankvideo_rag.media.decoder.sampling import frame_count, spread
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, SPECS
from rankvideo_rag.schema import FrameBudget

BUDGETS = {name: spec.frames for name, spec in SPECS.items()}


def chosen(frames: int, rate: float, *, max_frames: int = 32) -> list[int]:
    """Which of that many frames at a constant rate are watched."""
    count = frame_count(frames, frames / rate, FrameBudget(fps=2.0, min_frames=4, max_frames=max_frames))
    places: list[int] = spread(np.arange(frames) / rate, count).tolist()
    return places


def chosen_by_qwen(frames: int, rate: float, *, max_frames: int = 32) -> list[int]:
    count = smart_nframes({"fps": 2.0, "max_frames": max_frames}, total_frames=frames, video_fps=rate)
    return torch.linspace(0, frames - 1, count).round().long().tolist()


@pytest.mark.parametrize(
    ("frames", "rate", "count", "first", "last"),
    [
        (900, 30, 32, [0, 29, 58, 87], [870, 899]),
        (250, 25, 20, [0, 13, 26, 39], [236, 249]),
        (60, 30, 4, [0, 20, 39, 59], [39, 59]),
        (9000, 30, 32, [0, 290, 581, 871], [8709, 8999]),
    ],
)
def test_the_frames_are_those_of_the_published_script(
    frames: int, rate: int, count: int, first: list[int], last: list[int]
) -> None:
    ours = chosen(frames, rate)
    assert (len(ours), ours[:4], ours[-2:]) == (count, first, last)
    assert ours == chosen_by_qwen(frames, rate)


def test_the_frames_are_those_of_the_published_script_for_any_length_and_rate() -> None:
    dice = random.Random(0)
    for _ in range(2_000):
        frames, rate = dice.randint(2, 20_000), dice.choice([10, 12.5, 15, 24, 24000 / 1001, 25, 30000 / 1001, 30, 50, 60])
        most = dice.choice([24, 32])
        assert chosen(frames, rate, max_frames=most) == chosen_by_qwen(frames, rate, max_frames=most), (frames, rate, most)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (480, 256)),
        ((1280, 720), (480, 256)),
        ((640, 360), (480, 256)),
        ((640, 480), (416, 288)),
        ((720, 1280), (256, 480)),
        ((320, 240), (448, 320)),
        ((1000, 1000), (352, 352)),
    ],
)
def test_a_frame_has_the_size_of_the_published_script(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert target_size(*size, min_pixels=131_072, max_pixels=131_072) == expected


@pytest.mark.parametrize(("size", "expected"), [((1280, 720), (1152, 640)), ((640, 360), (640, 352))])
def test_a_frame_has_the_size_of_the_published_training(size: tuple[int, int], expected: tuple[int, int]) -> None:
    budget = BUDGETS["rankvideo-train"]
    assert target_size(*size, min_pixels=budget.min_pixels, max_pixels=budget.max_pixels) == expected


@pytest.mark.parametrize("name", BUDGETS)
def test_a_frame_of_any_shape_has_the_size_that_qwen_gives_it(name: str) -> None:
    dice = random.Random(1)
    limits = {"min_pixels": BUDGETS[name].min_pixels, "max_pixels": BUDGETS[name].max_pixels}
    for _ in range(2_000):
        width, height = dice.randint(16, 4096), dice.randint(16, 4096)
        if max(width, height) < 20 * min(width, height):
            tall, wide = smart_resize(height, width, 32, **limits)
            assert target_size(width, height, **limits) == (wide, tall), (width, height)


def test_frames_are_resized_once_where_the_published_tools_resize_ready_frames_twice(tmp_path: Path) -> None:
    """Handing frames that are ready to qwen-vl-utils squeezes them to multiples of 64, then stretches them to 135 tokens a
    pair instead of 120, and forgets their times."""
    noise = np.random.default_rng(0).integers(0, 256, (60, 360, 640, 3), dtype=np.uint8)
    write_video(tmp_path / "noise.mp4", noise, fps=10)
    read = read_frames(str(tmp_path / "noise.mp4"), budget=RANKVIDEO.frames)
    assert read.pixels.shape == (12, 256, 480, 3)

    indices = chosen_by_qwen(60, 10)
    element = {"video": [Image.fromarray(noise[i]) for i in indices], "min_pixels": 131_072, "max_pixels": 131_072}
    (twice, metadata), _ = fetch_video(element, image_patch_size=16, return_video_sample_fps=True, return_video_metadata=True)
    assert tuple(twice.shape) == (12, 3, 288, 480)  # 9 x 15 tokens
    assert metadata["frames_indices"] == list(range(12))  # at 2 a second: 0 to 5.5 s
    assert read.times.tolist() == pytest.approx([i / 10 for i in indices])  # 0 to 5.9 s
