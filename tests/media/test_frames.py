"""Frames of good files: which ones, of which size, at which times.

Expected numbers come from how the files were made (frame i is shown at i / fps) or from reference vectors of
qwen-vl-utils 0.0.14.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.media_files import Tone, numbers_of, stamped, write_video
from support.media_reads import REAL_VIDEOS, needs_real_videos, read_original_size

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import (
    KeyFrameSampling,
    MediaLimits,
    count_decoder_calls,
    probe,
    read_frames,
    read_key_frames,
    target_size,
)
from rankvideo_rag.media.decoder.sampling import plan_runs, spread
from rankvideo_rag.schema import FrameBudget


@pytest.mark.parametrize(
    ("frames", "fps", "count", "beginning", "ending"),
    [(900, 30, 32, [0, 29, 58, 87], [870, 899]), (250, 25, 20, [0, 13, 26, 39], [236, 249]), (60, 30, 4, [0, 20, 39, 59], [])],
)
def test_sampled_frames_match_qwen_vl_utils(
    tmp_path: Path, frames: int, fps: int, count: int, beginning: list[int], ending: list[int]
) -> None:
    found = read_original_size(write_video(tmp_path / "a.mp4", frames=frames, fps=fps))
    numbers = numbers_of(found.pixels)
    assert len(found) == count
    assert numbers[: len(beginning)] == beginning
    assert numbers[len(numbers) - len(ending) :] == ending
    assert numbers == np.linspace(0, frames - 1, count).round().astype(int).tolist()
    assert found.times == pytest.approx([number / fps for number in numbers], abs=1e-4)
    assert found.coverage == 1.0


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
def test_target_size_matches_the_published_reranker(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert target_size(*size, min_pixels=131072, max_pixels=131072) == expected


def test_default_frames_have_the_published_size(tmp_path: Path) -> None:
    frames = read_frames(str(write_video(tmp_path / "a.mp4", frames=60, fps=30, size=(320, 240))))
    assert frames.pixels.shape == (4, 320, 448, 3)
    assert frames.pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "flv", "mpg", "webm"])
def test_a_span_gives_its_own_frames_in_every_container(tmp_path: Path, suffix: str) -> None:
    codec = {"mpg": "mpeg2video", "webm": "libvpx-vp9"}.get(suffix, "libx264")
    path = write_video(tmp_path / f"a.{suffix}", frames=250, fps=25, codec=codec, codec_options={"bf": "2"})
    found = read_original_size(path, 4.0, 6.0)
    assert numbers_of(found.pixels) == [100, 116, 133, 149]  # linspace(100, 149, 4), rounded
    assert found.times == pytest.approx([4.0, 4.64, 5.32, 5.96], abs=1e-3)


def test_reordered_frames_are_found_after_a_seek(tmp_path: Path) -> None:
    options = {"preset": "medium", "bf": "3", "x264-params": "open-gop=1"}
    path = write_video(tmp_path / "a.mkv", frames=500, fps=25, key_every=50, codec_options=options)
    found = read_original_size(path, 3.0, 19.0, max_frames=8)
    assert numbers_of(found.pixels) == np.linspace(75, 474, 8).round().astype(int).tolist()


def test_variable_frame_rate_keeps_true_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.04, 0.08, 0.12, 1.0, 5.0, 5.5, 9.0]
    found = read_original_size(write_video(tmp_path / "a.mkv", frames=8, seconds=seconds), fps=0.4, min_frames=2)
    # 9 s and a bit at 0.4 frames a second is 3.6: 2 frames when rounded down to even.
    assert numbers_of(found.pixels) == [0, 7]
    assert found.times == pytest.approx([0.0, 9.0], abs=1e-3)
    found = read_original_size(tmp_path / "a.mkv", fps=2, max_frames=4)
    assert numbers_of(found.pixels) == [0, 4, 6, 7]  # nearest to 0, 3, 6 and 9 s: 3 s lies midway, and the earlier one is taken
    assert found.times == pytest.approx([0.0, 1.0, 5.5, 9.0], abs=1e-3)


def test_a_span_without_a_new_frame_gives_the_frame_on_screen(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=3, seconds=[0.0, 1.0, 43200.0])
    found = read_original_size(path, 6000.0, 6030.0)
    assert numbers_of(found.pixels) == [1]
    assert found.times == pytest.approx([1.0])
    assert probe(str(path)).duration == pytest.approx(43200.0, abs=1)


def test_a_span_after_the_last_frame_has_no_frames(tmp_path: Path) -> None:
    found = read_original_size(write_video(tmp_path / "a.mp4", frames=25), 30.0, 60.0)
    assert len(found) == 0
    assert found.pixels.shape[1:] == (48, 96, 3)


def test_a_video_may_have_one_frame(tmp_path: Path) -> None:
    assert len(read_original_size(write_video(tmp_path / "a.mp4", frames=1))) == 1


def test_a_long_video_is_read_in_bounded_memory(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mkv",
        frames=(stamped(i % 4096, (48, 24)) for i in range(4320)),
        seconds=range(0, 43200, 10),
        size=(48, 24),
    )
    found = read_frames(
        str(path),
        budget=FrameBudget(min_pixels=1, max_pixels=48 * 24, multiple=2, max_frames=8),
        limits=MediaLimits(60, 1 << 30),
    )
    expected = np.linspace(0, 4319, 8).round().astype(int)
    assert numbers_of(found.pixels) == (expected % 4096).tolist()
    assert found.times == pytest.approx(expected * 10.0, abs=1e-3)


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_rotated_video_is_turned_upright(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
    red_corner = np.zeros((64, 128, 3), np.uint8)
    red_corner[:24, :24, 0] = 255  # top left, and where turning it counter-clockwise takes it
    path = write_video(tmp_path / "a.mp4", frames=[red_corner] * 10, size=(128, 64), rotation=rotation)
    upright = (64, 128) if abs(rotation) == 90 else (128, 64)
    found = probe(str(path))
    assert (found.width, found.height) == upright
    picture = read_frames(str(path), budget=FrameBudget(min_pixels=1, max_pixels=128 * 64, multiple=2)).pixels[0]
    assert picture.shape == (upright[1], upright[0], 3)
    red = picture[..., 0] > 150
    assert red[corner]
    assert [bool(red[c]) for c in ((0, 0), (0, -1), (-1, 0), (-1, -1))].count(True) == 1


def test_times_count_from_the_start_of_the_stream(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", frames=250, tone=Tone(10, 3, 4), output_ts_offset="95001")
    assert probe(str(path)).duration == pytest.approx(10.0, abs=0.1)
    found = read_original_size(path, 4.0, 6.0)
    assert numbers_of(found.pixels) == [100, 116, 133, 149]
    assert found.times == pytest.approx([4.0, 4.64, 5.32, 5.96], abs=0.05)


def test_key_frames_are_read_and_not_enlarged(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "a.mp4", frames=250, key_every=25))
    found = read_key_frames(path, max_pixels=1_000_000)
    assert found.pixels.shape == (10, 48, 96, 3)
    assert numbers_of(found.pixels) == list(range(0, 250, 25))
    thinned = read_key_frames(path, max_pixels=96 * 48 // 4, max_frames=4)
    assert numbers_of(thinned.pixels) == [0, 75, 150, 225]
    assert thinned.pixels.shape == (4, 24, 48, 3)


def test_key_frames_replace_frames_within_the_tolerance(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=101, key_every=20, codec_options={"bf": "3"})  # keys 0, 20, 40 ... 100
    exact = [0, 14, 29, 43, 57, 71, 86, 100]
    wanted: dict[str, Any] = {"fps": 2.0, "min_frames": 2, "max_frames": 8}
    assert numbers_of(read_original_size(path, **wanted).pixels) == exact
    near = read_original_size(path, **wanted, key_frames=KeyFrameSampling(9 / 25, 2))  # 29 and 71 are nine frames off
    assert numbers_of(near.pixels) == [0, 20, 40, 60, 80, 100]
    assert near.times == pytest.approx([0.0, 0.8, 1.6, 2.4, 3.2, 4.0])
    assert numbers_of(read_original_size(path, **wanted, key_frames=KeyFrameSampling(8 / 25, 2)).pixels) == exact
    # Six are not as many as are wanted, nor seven.
    assert numbers_of(read_original_size(path, **wanted, key_frames=KeyFrameSampling(1.0)).pixels) == exact
    assert numbers_of(read_original_size(path, **wanted, key_frames=KeyFrameSampling(1.0, 7)).pixels) == exact
    # Only key frames of the span itself: 20 and 40 of 18 to 44.
    inside = read_original_size(
        path, 18 / 25, 45 / 25, fps=4.0, min_frames=2, max_frames=4, key_frames=KeyFrameSampling(1.0, 2)
    )
    assert numbers_of(inside.pixels) == [20, 40]


def test_as_many_key_frames_as_frames_are_wanted_are_spread_as_these(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=101, key_every=5)
    found = read_original_size(path, fps=2.0, min_frames=2, max_frames=8, key_frames=KeyFrameSampling(1.0))
    assert numbers_of(found.pixels) == [0, 15, 30, 45, 55, 70, 85, 100]  # of 0, 14.3, 28.6, 42.9, 57.1, 71.4, 85.7, 100


def test_the_tolerance_is_doubled_at_the_ends_of_a_span(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, key_every=50)  # the last frame is 49 off key frame 50
    wanted = {"fps": 2.0, "min_frames": 2, "max_frames": 8}
    assert numbers_of(read_original_size(path, **wanted, key_frames=KeyFrameSampling(25 / 25, 2)).pixels) == [0, 50]
    assert numbers_of(read_original_size(path, **wanted, key_frames=KeyFrameSampling(24 / 25, 2)).pixels) == [
        0,
        14,
        28,
        42,
        57,
        71,
        85,
        99,
    ]


def test_an_invalid_span_is_refused_before_a_file_is_opened() -> None:
    before = count_decoder_calls()
    for start, end in ((5.0, 2.0), (-1.0, 2.0), (float("nan"), 2.0), (3.0, 3.0)):
        with pytest.raises(InputError, match="span"):
            read_frames("nowhere.mp4", start, end)
    assert count_decoder_calls() == before


def test_crowded_targets_get_different_neighbouring_frames() -> None:
    assert spread(np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 100]), 10).tolist() == list(range(10))
    assert spread(np.array([0.0, 1, 2, 100]), 2).tolist() == [0, 3]


def test_seeks_are_planned_only_where_they_save_work() -> None:
    times = list(range(100))
    keys = [int(i % 20 == 0) for i in times]
    runs = plan_runs(times, keys, [0, 5, 25, 90])
    assert [(run.key, run.targets) for run in runs] == [(0, (0, 5)), (20, (25,)), (80, (90,))]
    assert [(run.key, run.targets) for run in plan_runs(times, keys, [10, 21])] == [(0, (10, 21))]


@needs_real_videos
def test_a_real_video_is_probed_and_decoded() -> None:
    path = str(REAL_VIDEOS / "nasa_13013.mp4")
    found = probe(path)
    assert (found.width, found.height, found.subtitle_streams, found.coverage) == (480, 270, 2, 1.0)
    assert "video stream 0: 320x180 h264" in found.unused
    assert found.duration == pytest.approx(13.0, abs=0.1)
    frames = read_frames(path)
    assert len(frames) == 26
    assert frames.times[-1] == pytest.approx(13.0, abs=0.1)
