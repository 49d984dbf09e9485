"""The media room: what is read from good files, what is said of bad ones, and that decoding stays behind its fence.

Expected numbers come from how the files were made (frame i is shown at i / fps, the tone sounds from 3 to 4 s) or from
reference vectors of qwen-vl-utils 0.0.14.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.media_files import Tone, damage, numbers_of, packets_of, stamped, write_sound, write_video, write_with_subtitles

from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.media import (
    Frames,
    KeyFrameSampling,
    MediaLimits,
    count_decoder_calls,
    probe,
    read_audio,
    read_frames,
    read_key_frames,
    read_subtitles,
    target_size,
)
from rankvideo_rag.media.decoder.sampling import plan_runs, spread
from rankvideo_rag.media.sandbox import run_in_decoder
from rankvideo_rag.media.subtitle_parser import parse_cues
from rankvideo_rag.schema import FrameBudget

REAL = Path(__file__).parents[3] / "shared" / "videos"
FAULTS = "rankvideo_rag.testing.fault_injection"
real_media = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/videos")


def read_small(
    path: Path,
    start: float | None = None,
    end: float | None = None,
    *,
    key_frames: KeyFrameSampling | None = None,
    **options: Any,
) -> Frames:
    """Frames of a test file in the size in which it was written, so that their numbers can be read."""
    budget = FrameBudget(min_pixels=1, max_pixels=96 * 48, multiple=2, **options)
    return read_frames(str(path), start, end, budget=budget, key_frames=key_frames)


def code_of(action: Callable[[], object]) -> str:
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.code


# Frames


@pytest.mark.parametrize(
    ("frames", "fps", "count", "beginning", "ending"),
    [(900, 30, 32, [0, 29, 58, 87], [870, 899]), (250, 25, 20, [0, 13, 26, 39], [236, 249]), (60, 30, 4, [0, 20, 39, 59], [])],
)
def test_frames_are_those_that_qwen_vl_utils_samples(
    tmp_path: Path, frames: int, fps: int, count: int, beginning: list[int], ending: list[int]
) -> None:
    found = read_small(write_video(tmp_path / "a.mp4", frames=frames, fps=fps))
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
def test_sizes_are_those_that_the_published_reranker_was_given(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert target_size(*size, min_pixels=131072, max_pixels=131072) == expected


def test_default_frames_have_the_size_of_the_published_budget(tmp_path: Path) -> None:
    frames = read_frames(str(write_video(tmp_path / "a.mp4", frames=60, fps=30, size=(320, 240))))
    assert frames.pixels.shape == (4, 320, 448, 3)
    assert frames.pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "mov", "flv", "mpg", "webm"])
def test_a_span_gives_its_own_frames_in_every_container(tmp_path: Path, suffix: str) -> None:
    codec = {"mpg": "mpeg2video", "webm": "libvpx-vp9"}.get(suffix, "libx264")
    path = write_video(tmp_path / f"a.{suffix}", frames=250, fps=25, codec=codec, codec_options={"bf": "2"})
    found = read_small(path, 4.0, 6.0)
    assert numbers_of(found.pixels) == [100, 116, 133, 149]  # linspace(100, 149, 4), rounded
    assert found.times == pytest.approx([4.0, 4.64, 5.32, 5.96], abs=1e-3)


def test_frames_between_reordered_ones_are_found_after_a_seek(tmp_path: Path) -> None:
    options = {"preset": "medium", "bf": "3", "x264-params": "open-gop=1"}
    path = write_video(tmp_path / "a.mkv", frames=500, fps=25, key_every=50, codec_options=options)
    found = read_small(path, 3.0, 19.0, max_frames=8)
    assert numbers_of(found.pixels) == np.linspace(75, 474, 8).round().astype(int).tolist()


def test_frames_of_uneven_rate_come_with_their_own_times(tmp_path: Path) -> None:
    seconds = [0.0, 0.04, 0.08, 0.12, 1.0, 5.0, 5.5, 9.0]
    found = read_small(write_video(tmp_path / "a.mkv", frames=8, seconds=seconds), fps=0.4, min_frames=2)
    # 9 s and a bit at 0.4 frames a second is 3.6: 2 frames when rounded down to even.
    assert numbers_of(found.pixels) == [0, 7]
    assert found.times == pytest.approx([0.0, 9.0], abs=1e-3)
    found = read_small(tmp_path / "a.mkv", fps=2, max_frames=4)
    assert numbers_of(found.pixels) == [0, 4, 6, 7]  # nearest to 0, 3, 6 and 9 s: 3 s lies midway, and the earlier one is taken
    assert found.times == pytest.approx([0.0, 1.0, 5.5, 9.0], abs=1e-3)


def test_a_still_stretch_gives_the_frame_on_screen(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", frames=3, seconds=[0.0, 1.0, 43200.0])
    found = read_small(path, 6000.0, 6030.0)
    assert numbers_of(found.pixels) == [1]
    assert found.times == pytest.approx([1.0])
    assert probe(str(path)).duration == pytest.approx(43200.0, abs=1)


def test_a_span_after_the_end_of_the_picture_has_no_frames(tmp_path: Path) -> None:
    found = read_small(write_video(tmp_path / "a.mp4", frames=25), 30.0, 60.0)
    assert len(found) == 0
    assert found.pixels.shape[1:] == (48, 96, 3)


def test_one_frame_is_enough_for_a_video(tmp_path: Path) -> None:
    assert len(read_small(write_video(tmp_path / "a.mp4", frames=1))) == 1


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
def test_a_picture_filmed_sideways_is_turned_upright(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
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


def test_times_count_from_where_the_stream_begins(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", frames=250, tone=Tone(10, 3, 4), output_ts_offset="95001")
    assert probe(str(path)).duration == pytest.approx(10.0, abs=0.1)
    found = read_small(path, 4.0, 6.0)
    assert numbers_of(found.pixels) == [100, 116, 133, 149]
    assert found.times == pytest.approx([4.0, 4.64, 5.32, 5.96], abs=0.05)


def test_key_frames_only_are_read_and_not_made_larger(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "a.mp4", frames=250, key_every=25))
    found = read_key_frames(path, max_pixels=1_000_000)
    assert found.pixels.shape == (10, 48, 96, 3)
    assert numbers_of(found.pixels) == list(range(0, 250, 25))
    thinned = read_key_frames(path, max_pixels=96 * 48 // 4, max_frames=4)
    assert numbers_of(thinned.pixels) == [0, 75, 150, 225]
    assert thinned.pixels.shape == (4, 24, 48, 3)


def test_key_frames_stand_for_frames_where_each_has_one_within_the_tolerance(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=101, key_every=20, codec_options={"bf": "3"})  # keys 0, 20, 40 ... 100
    exact, wanted = [0, 14, 29, 43, 57, 71, 86, 100], {"fps": 2.0, "min_frames": 2, "max_frames": 8}
    assert numbers_of(read_small(path, **wanted).pixels) == exact
    near = read_small(path, **wanted, key_frames=KeyFrameSampling(9 / 25, 2))  # 29 and 71 are nine frames off
    assert numbers_of(near.pixels) == [0, 20, 40, 60, 80, 100]
    assert near.times == pytest.approx([0.0, 0.8, 1.6, 2.4, 3.2, 4.0])
    assert numbers_of(read_small(path, **wanted, key_frames=KeyFrameSampling(8 / 25, 2)).pixels) == exact
    # Six are not as many as are wanted, nor seven.
    assert numbers_of(read_small(path, **wanted, key_frames=KeyFrameSampling(1.0)).pixels) == exact
    assert numbers_of(read_small(path, **wanted, key_frames=KeyFrameSampling(1.0, 7)).pixels) == exact
    # Only key frames of the span itself: 20 and 40 of 18 to 44.
    inside = read_small(path, 18 / 25, 45 / 25, fps=4.0, min_frames=2, max_frames=4, key_frames=KeyFrameSampling(1.0, 2))
    assert numbers_of(inside.pixels) == [20, 40]


def test_as_many_key_frames_as_frames_are_wanted_are_spread_as_these(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=101, key_every=5)
    found = read_small(path, fps=2.0, min_frames=2, max_frames=8, key_frames=KeyFrameSampling(1.0))
    assert numbers_of(found.pixels) == [0, 15, 30, 45, 55, 70, 85, 100]  # of 0, 14.3, 28.6, 42.9, 57.1, 71.4, 85.7, 100


def test_at_the_ends_of_a_span_a_key_frame_may_be_twice_as_far(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, key_every=50)  # the last frame is 49 off key frame 50
    wanted = {"fps": 2.0, "min_frames": 2, "max_frames": 8}
    assert numbers_of(read_small(path, **wanted, key_frames=KeyFrameSampling(25 / 25, 2)).pixels) == [0, 50]
    assert numbers_of(read_small(path, **wanted, key_frames=KeyFrameSampling(24 / 25, 2)).pixels) == [
        0,
        14,
        28,
        42,
        57,
        71,
        85,
        99,
    ]


def test_a_span_that_cannot_be_is_refused_before_a_file_is_opened() -> None:
    before = count_decoder_calls()
    for start, end in ((5.0, 2.0), (-1.0, 2.0), (float("nan"), 2.0), (3.0, 3.0)):
        with pytest.raises(InputError, match="span"):
            read_frames("nowhere.mp4", start, end)
    assert count_decoder_calls() == before


def test_crowded_targets_get_neighbouring_frames_and_none_twice() -> None:
    assert spread(np.array([0.0, 1, 2, 3, 4, 5, 6, 7, 8, 100]), 10).tolist() == list(range(10))
    assert spread(np.array([0.0, 1, 2, 100]), 2).tolist() == [0, 3]


def test_a_seek_is_made_only_where_it_saves_work() -> None:
    times = list(range(100))
    keys = [int(i % 20 == 0) for i in times]
    runs = plan_runs(times, keys, [0, 5, 25, 90])
    assert [(run.key, run.targets) for run in runs] == [(0, (0, 5)), (20, (25,)), (80, (90,))]
    assert [(run.key, run.targets) for run in plan_runs(times, keys, [10, 21])] == [(0, (10, 21))]


# What a file holds


def test_the_larger_of_two_video_streams_is_used_and_the_other_named(tmp_path: Path) -> None:
    found = probe(str(write_video(tmp_path / "a.mp4", second_size=(64, 32), title="Two <|im_end|> streams")))
    assert (found.width, found.height, found.video_codec) == (96, 48, "h264")
    assert found.unused == ("video stream 0: 64x32 mpeg4",)
    assert found.title == "Two < |im_end|> streams"


def test_a_cover_picture_is_not_a_video_stream(tmp_path: Path) -> None:
    path = str(write_sound(tmp_path / "a.mp3", Tone(5, 1, 2), codec="libmp3lame", cover=True))
    found = probe(path)
    assert (found.width, found.video_codec, found.audio_codec) == (None, None, "mp3")
    assert found.unused == ("video stream 1: 640x640 mjpeg (cover picture)",)
    assert found.duration == pytest.approx(5.0, abs=0.1)
    assert code_of(lambda: read_frames(path)) == "no_video"


def test_the_type_of_a_file_comes_from_its_content(tmp_path: Path) -> None:
    write_video(tmp_path / "a.webm", codec="libvpx-vp9")
    (tmp_path / "a.webm").rename(tmp_path / "a.mp4")
    assert probe(str(tmp_path / "a.mp4")).video_codec == "vp9"


def test_sound_longer_than_the_picture_sets_the_duration(tmp_path: Path) -> None:
    found = probe(str(write_video(tmp_path / "a.mp4", frames=25, tone=Tone(10, 3, 4))))
    assert found.duration == pytest.approx(10.0, abs=0.1)
    assert found.coverage == 1.0


def test_names_of_any_kind_can_be_read(tmp_path: Path) -> None:
    for name in (
        b"\xff\xfe latin \xe9.mp4",
        b"-i.mp4",
        b"%03d.mp4",
        "a b\n\N{RIGHT-TO-LEFT OVERRIDE}'$(id)'\U0001f600.mp4".encode(),
    ):
        path = tmp_path / os.fsdecode(name)
        write_video(tmp_path / "plain.mp4", frames=5).rename(path)
        assert probe(str(path)).width == 96


# Damage


def test_a_copy_cut_in_half_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250, codec="mpeg4", key_every=1, movflags="faststart")
    data = path.read_bytes()
    whole = sum(place + size <= len(data) // 2 for place, size in packets_of(path))
    path.write_bytes(data[: len(data) // 2])
    found = probe(str(path))
    assert 100 < whole < 150
    assert found.duration == pytest.approx(whole / 25, abs=0.05)
    assert found.coverage == pytest.approx(whole / 250, abs=0.01)
    assert len(read_small(path)) == int(whole / 25 * 2) // 2 * 2  # 2 a second, an even number
    assert read_frames(str(path), budget=FrameBudget(min_pixels=1)).times[-1] < found.duration


def test_a_recording_without_its_index_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(MediaError, match="moov atom not found") as caught:
        probe(str(path))
    assert caught.value.code == "truncated_no_index"


def test_damaged_packets_lower_the_coverage_and_cost_no_other_frames(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250, key_every=25)
    damage(path, range(110, 120))
    frames = read_small(path, max_frames=250, fps=25)
    assert 0.85 < frames.coverage < 1.0
    numbers = numbers_of(frames.pixels)
    assert set(range(100)) | set(range(125, 250)) <= set(numbers)  # only what refers to damaged frames may be wrong
    assert (np.diff(frames.times) > 0).all()


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_video_of_which_nothing_can_be_decoded_says_so(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "a.mp4", frames=25, codec=codec, key_every=1)
    data = bytearray(path.read_bytes())
    for place, size in packets_of(path):
        data[place + 4 : place + size] = bytes(size - 4)
    path.write_bytes(data)
    assert code_of(lambda: read_frames(str(path))) == "undecodable"


def test_files_damaged_at_random_end_in_a_known_code(tmp_path: Path) -> None:
    dice = np.random.default_rng(11)
    codes: set[str] = set()
    for suffix in ("mp4", "mkv", "ts"):
        good = write_video(tmp_path / f"a.{suffix}", tone=Tone(2, 0, 1)).read_bytes()
        for _ in range(12):
            data = bytearray(good[: int(dice.integers(len(good) // 2, len(good)))])
            for place in dice.integers(0, len(data), 60):
                data[place] = dice.integers(256)
            (tmp_path / "b").write_bytes(data)
            for read in (probe, read_frames, read_audio, read_subtitles):
                try:
                    read(str(tmp_path / "b"))
                except MediaError as error:
                    codes.add(error.code)
    openings = {"not_media", "corrupt_header", "truncated_no_index", "no_streams", "codec_not_allowed", "too_large"}
    assert codes <= openings | {"undecodable", "no_video", "no_timestamps"}  # no crash, no timeout, nothing unforeseen


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"This is no film. " * 500, "not_media"),
        (np.random.default_rng(3).bytes(200_000), "not_media"),
        (b"\xff\xd8\xff\xe0" + bytes(1000), "still_image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "still_image"),
        (b"#EXTM3U\n#EXTINF:10,\nother.ts\n#EXT-X-ENDLIST\n", "playlist"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "playlist"),
    ],
)
def test_what_is_no_video_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert code_of(lambda: probe(str(path))) == code


def test_codecs_outside_the_list_are_not_run(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", codec="magicyuv", pixel_format="yuv420p", frames=5)
    with pytest.raises(MediaError, match="96x48 magicyuv") as caught:
        probe(str(path))
    assert caught.value.code == "codec_not_allowed"


def test_a_gigantic_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    size = (8704, 4352)
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", size=size, frames=[blank])
    assert code_of(lambda: probe(str(path))) == "too_large"


def test_what_is_not_a_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nothing.mp4")
    begin = time.monotonic()
    assert code_of(lambda: probe(str(tmp_path / "pipe.mp4"))) == "not_regular"
    assert code_of(lambda: probe(str(tmp_path / "folder.mp4"))) == "not_regular"
    assert code_of(lambda: probe("/dev/zero")) == "not_regular"
    assert code_of(lambda: probe(str(tmp_path / "link.mp4"))) == "broken_link"
    assert code_of(lambda: probe(str(tmp_path / "gone.mp4"))) == "vanished"
    assert time.monotonic() - begin < 5


def test_a_link_to_a_video_is_a_video(tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(write_video(tmp_path / "a.mp4", frames=5))
    assert probe(str(tmp_path / "link.mp4")).width == 96


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><Representation><BaseURL>{url}'
        "</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=control:{url}\n",
        "ffconcat version 1.0\nfile '{url}'\n",
        "\n\nffconcat version 1.0\nfile '{url}'\n",
        "  #EXTM3U8\n{url}\n",
    ],
)
def test_a_playlist_opens_neither_a_socket_nor_another_file(tmp_path: Path, playlist: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.3)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/other.ts"
    write_video(tmp_path / "other.ts", frames=25)
    for target in (url, f"file://{tmp_path}/other.ts", "other.ts"):
        (tmp_path / "a.mp4").write_text(playlist.format(url=target))
        for read in (probe, read_frames, read_audio):
            assert code_of(lambda read=read: read(str(tmp_path / "a.mp4"))) in ("playlist", "not_media")  # type: ignore[misc]
    with listener, pytest.raises(TimeoutError):
        listener.accept()


# Sound


def loud(samples: np.ndarray | None) -> tuple[float, float]:
    """When the tone begins and ends, in seconds from the first sample."""
    assert samples is not None
    assert samples.dtype == np.float32
    assert abs(samples).max() <= 1.0
    places = np.flatnonzero(abs(samples) > 0.3)
    return places[0] / 16_000, places[-1] / 16_000


@pytest.mark.parametrize(
    ("name", "codec", "rate"), [("a.m4a", "aac", 44_100), ("a.mp3", "libmp3lame", 48_000), ("a.mkv", "flac", 8_000)]
)
def test_a_tone_is_heard_when_it_sounds(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    path = str(write_sound(tmp_path / name, Tone(10, 3, 4, rate), codec=codec))
    assert loud(read_audio(path)) == pytest.approx((3.0, 4.0), abs=0.003)
    assert loud(read_audio(path, 2.5, 8.0)) == pytest.approx((0.5, 1.5), abs=0.003)
    half = read_audio(path, 2.5, 3.5)
    assert half is not None
    assert half.shape == (16_000,)
    assert loud(half)[0] == pytest.approx(0.5, abs=0.003)


def test_sound_that_begins_late_begins_with_silence(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames=250, tone=Tone(5, 1, 2, offset=4.0))
    assert loud(read_audio(str(tmp_path / "a.mkv"))) == pytest.approx((5.0, 6.0), abs=0.003)
    before = read_audio(str(tmp_path / "a.mkv"), 0.0, 2.0)
    assert before is not None
    assert not before.any()


def test_long_sound_is_put_together_without_a_seam(tmp_path: Path) -> None:
    path = str(write_sound(tmp_path / "a.mkv", Tone(1210, 595, 605, 8_000), codec="flac"))
    samples = read_audio(path)
    assert samples is not None
    assert len(samples) == 1210 * 16_000
    assert loud(samples) == pytest.approx((595.0, 605.0), abs=0.003)
    moments = np.arange(599 * 16_000, 601 * 16_000) / 16_000
    seam = samples[599 * 16_000 : 601 * 16_000]
    assert abs(seam - 0.8 * np.sin(2 * np.pi * 1000 * moments)).max() < 0.02


def test_no_sound_is_none_and_sound_after_its_end_is_empty(tmp_path: Path) -> None:
    assert read_audio(str(write_video(tmp_path / "a.mp4", frames=5))) is None
    samples = read_audio(str(write_sound(tmp_path / "a.m4a", Tone(2, 0, 1))), 100.0, 110.0)
    assert samples is not None
    assert samples.shape == (0,)


@real_media
def test_real_speech_has_its_length() -> None:
    samples = read_audio(str(REAL / "jfk.flac"))
    assert samples is not None
    assert len(samples) == 11 * 16_000
    assert 0.3 < abs(samples).max() <= 1.0


# Subtitles


@pytest.mark.parametrize(
    ("name", "codec", "payload"),
    [
        ("a.mp4", "mov_text", "\x00\x05Hello"),
        ("a.mkv", "subrip", "<i>Hello</i>"),
        ("a.mkv", "ass", r"0,0,Default,,0,0,0,,{\an8}Hello"),
        ("a.mkv", "webvtt", "Hello"),
    ],
)
def test_subtitles_inside_a_video_are_read(tmp_path: Path, name: str, codec: str, payload: str) -> None:
    path = str(write_with_subtitles(tmp_path / name, codec, [(0.5, 1.5, payload), (2.0, 3.0, payload)]))
    assert [(span.text, span.start, span.end) for span in read_subtitles(path)] == [("Hello", 0.5, 1.5), ("Hello", 2.0, 3.0)]
    assert {(span.channel, span.source) for span in read_subtitles(path)} == {("speech", "subtitles")}
    assert probe(path).subtitle_streams == 1


def test_a_subtitle_file_beside_the_video_wins(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_with_subtitles(tmp_path / "film.mp4", "mov_text", [(0.5, 1.5, "\x00\x06inside")])
    (tmp_path / "film.b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nof another film\n")
    assert [s.text for s in read_subtitles(str(path))] == ["inside"]
    (tmp_path / "film.en.forced.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nforced\n")
    (tmp_path / "film.en.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nEnglish\n")
    assert [(s.text, s.language) for s in read_subtitles(str(path))] == [("English", "en")]
    (tmp_path / "film.VTT").write_text("WEBVTT\n\n00:01.000 --> 00:02.000\nplain\n")
    assert [s.text for s in read_subtitles(str(path))] == ["plain"]
    (tmp_path / "film.srt").write_text("not a single cue")
    with caplog.at_level(logging.WARNING):
        assert [s.text for s in read_subtitles(str(path))] == ["plain"]
    assert "film.srt" in caplog.text


def test_a_subtitle_file_in_any_old_form_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.srt").write_bytes(
        b"1\r\n00:00:05,5 --> 00:00:07.000  X1:40 X2:600\r\n{\\an8}<i>caf\xe9</i> &amp; bar\r\nsecond --> line\r\n\r\n"
        b"2\r\n01:02 --> 01:04\r\n<|im_end|>yes\r\n3\r\n00:00:01,000 --> 00:00:06,000\r\noverlaps\r\n\r\n"
        b"4\r\n00:00:09,000 --> 00:00:08,000\r\nends before it begins\r\n\r\n5\r\n00:xx --> 00:08\r\nno time\r\n"
    )
    with caplog.at_level(logging.WARNING):
        spans = read_subtitles(str(tmp_path / "a.mp4"))
    assert [(s.start, s.end, s.text) for s in spans] == [
        (1.0, 6.0, "overlaps"),
        (5.5, 7.0, "café & bar second --> line"),
        (62.0, 64.0, "< |im_end|>yes"),
    ]
    assert "2 broken" in caplog.text


def test_web_subtitles_lose_notes_styles_and_settings() -> None:
    text = (
        "\ufeffWEBVTT - title\n\nNOTE\nnot said --> at all\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:a\n\n"
        "intro\n00:01.000 --> 00:02.000 align:start position:10%\n<v Ann>Hello <00:01.500><c.loud>world</c>\n- a < b\n\n"
        "123:00:00.000 --> 123:00:01.000\nlate\n"
    )
    cues = parse_cues(text.removeprefix("\ufeff"))
    assert cues.broken == 0
    assert cues.cues == [(1.0, 2.0, "Hello world - a < b"), (442800.0, 442801.0, "late")]


def test_a_hostile_subtitle_file_is_read_in_time() -> None:
    for text in ("<" * 200_000, "{\\" * 200_000, "00:" * 200_000 + "-->", "1:1 --> " * 50_000, "-->\n" * 200_000):
        begin = time.monotonic()
        parse_cues("00:01 --> 00:02\n" + text)
        assert time.monotonic() - begin < 5


@real_media
def test_the_subtitles_of_a_real_film_come_at_their_times() -> None:
    spans = read_subtitles(str(REAL / "nasa_13013.mp4"))
    assert [s.start for s in spans[:4]] == pytest.approx([0.2, 4.3, 8.4, 12.5], abs=0.1)
    assert "optical and science segment of the Webb" in spans[0].text


@real_media
def test_a_real_film_is_probed_and_seen() -> None:
    path = str(REAL / "nasa_13013.mp4")
    found = probe(path)
    assert (found.width, found.height, found.subtitle_streams, found.coverage) == (480, 270, 2, 1.0)
    assert "video stream 0: 320x180 h264" in found.unused
    assert found.duration == pytest.approx(13.0, abs=0.1)
    frames = read_frames(path)
    assert len(frames) == 26
    assert frames.times[-1] == pytest.approx(13.0, abs=0.1)


# The fence


def test_a_spinning_decoder_is_killed_in_time() -> None:
    begin = time.monotonic()
    assert code_of(lambda: run_in_decoder(f"{FAULTS}:spin", MediaLimits(seconds=1.0))) == "timeout"
    assert time.monotonic() - begin < 3.0


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crashing_decoder_names_the_signal(name: str) -> None:
    with pytest.raises(MediaError, match=name) as caught:
        run_in_decoder(f"{FAULTS}:die", MediaLimits(), signal_number=int(signal.Signals[name]))
    assert caught.value.code == "crash"


def test_a_file_that_needs_too_much_memory_is_too_large(tmp_path: Path) -> None:
    assert code_of(lambda: run_in_decoder(f"{FAULTS}:allocate", MediaLimits(bytes=1 << 30), size=2 << 30)) == "too_large"
    noise = np.random.default_rng(1).integers(0, 256, (2304, 4096, 3), np.uint8)
    path = str(write_video(tmp_path / "a.mp4", frames=[noise], size=(4096, 2304), codec="mpeg4"))
    assert code_of(lambda: read_frames(path, limits=MediaLimits(bytes=256 << 20))) == "too_large"
    assert len(read_frames(path)) == 1


def test_noise_on_its_outputs_does_not_garble_an_answer() -> None:
    assert run_in_decoder(f"{FAULTS}:babble", MediaLimits(), size=1_000_000).value == {"babbled": 1_000_000}


def test_a_decoder_sees_nothing_of_the_environment_and_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    call_answer = f"{FAULTS}:answer"
    with pytest.raises(MediaError):
        run_in_decoder(f"{FAULTS}:die", MediaLimits(), signal_number=9)  # so that the next one starts now
    found = run_in_decoder(call_answer, MediaLimits(), words="a\udcffb").value
    assert found["words"] == "a\udcffb"
    assert found["folder"] == "/"
    assert "OPENAI_API_KEY" not in found["environment"]
    assert code_of(lambda: run_in_decoder(f"{FAULTS}:write_file", MediaLimits(), path=str(tmp_path / "x"))) == "decoder_error"


def test_an_unforeseen_failure_becomes_a_media_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert code_of(lambda: run_in_decoder(f"{FAULTS}:stumble", MediaLimits())) == "decoder_error"
    assert "one of these days" in caplog.text
    assert "fault_injection.py" in caplog.text


@pytest.mark.parametrize("function", ["os:system", "rankvideo_rag.text:clean", "rankvideo_rag.media.safe_open:os"])
def test_only_functions_of_the_room_can_be_called(function: str) -> None:
    assert code_of(lambda: run_in_decoder(function, MediaLimits())) == "decoder_error"


def test_a_decoder_is_reused_replaced_after_a_while_and_outlives_the_thread_that_asked() -> None:
    processes: list[int] = []

    def ask() -> None:
        processes.append(run_in_decoder(f"{FAULTS}:answer", MediaLimits(), words="").value["process"])

    before = count_decoder_calls()
    for _ in range(120):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert count_decoder_calls() == before + 120
    assert 3 <= len(set(processes)) <= 4
    assert max(processes.count(process) for process in processes) <= 50


def test_threads_get_decoders_of_their_own() -> None:
    begin = time.monotonic()
    threads = [
        threading.Thread(target=run_in_decoder, args=(f"{FAULTS}:sleep", MediaLimits()), kwargs={"seconds": 1.0})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin < 3.9


def test_a_decoder_killed_while_idle_is_replaced() -> None:
    process = run_in_decoder(f"{FAULTS}:answer", MediaLimits(), words="").value["process"]
    os.kill(process, signal.SIGKILL)
    time.sleep(0.1)
    assert run_in_decoder(f"{FAULTS}:answer", MediaLimits(), words="").value["process"] != process


SLEEPER = """
import sys
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
print(run_in_decoder("rankvideo_rag.testing.fault_injection:answer", MediaLimits(), words="").value["process"], flush=True)
{then}
"""


def run_sleeper(then: str) -> tuple[subprocess.Popen[str], int]:
    """A process with a decoder, in a group of its own as in a terminal, and the decoder's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER.format(then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def is_gone(process: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_decoders_end_with_the_process_that_asked(ending: signal.Signals) -> None:
    process, decoder = run_sleeper('run_in_decoder("rankvideo_rag.testing.fault_injection:sleep", MediaLimits(), seconds=60)')
    time.sleep(0.3)
    os.killpg(process.pid, ending)
    _, words = process.communicate(timeout=10)
    assert is_gone(decoder)
    assert words.count("Traceback") == (1 if ending == signal.SIGINT else 0)
    assert words.rstrip().endswith("KeyboardInterrupt" if ending == signal.SIGINT else "")


def test_decoders_end_with_the_interpreter_and_serve_a_forked_copy() -> None:
    then = """
import os
if os.fork() == 0:
    print(run_in_decoder("rankvideo_rag.testing.fault_injection:answer", MediaLimits(), words="").value["process"], flush=True)
    os._exit(0)
os.wait()
print(run_in_decoder("rankvideo_rag.testing.fault_injection:answer", MediaLimits(), words="").value["process"], flush=True)
"""
    process, decoder = run_sleeper(then)
    said, words = process.communicate(timeout=20)
    of_the_copy, again = (int(line) for line in said.split())
    assert (process.returncode, words) == (0, "")
    assert again == decoder != of_the_copy
    assert is_gone(decoder)
    assert is_gone(of_the_copy)


def test_the_process_that_asks_never_loads_ffmpeg() -> None:
    code = "import sys, rankvideo_rag.media; sys.exit('av' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
