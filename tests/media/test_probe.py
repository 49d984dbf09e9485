"""What a good file holds, and which codes damaged and unsuitable files get."""

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from support.media_files import Tone, damage, numbers_of, packets_of, write_sound, write_video, write_with_subtitles
from support.media_reads import error_code, read_original_size

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import (
    probe,
    read_audio,
    read_frames,
    read_subtitles,
)
from rankvideo_rag.schema import FrameBudget


def test_the_larger_of_two_video_streams_is_used(tmp_path: Path) -> None:
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
    assert error_code(lambda: read_frames(path)) == "no_video"


def test_the_type_of_a_file_comes_from_its_content(tmp_path: Path) -> None:
    write_video(tmp_path / "a.webm", codec="libvpx-vp9")
    (tmp_path / "a.webm").rename(tmp_path / "a.mp4")
    assert probe(str(tmp_path / "a.mp4")).video_codec == "vp9"


def test_audio_longer_than_the_video_sets_the_duration(tmp_path: Path) -> None:
    found = probe(str(write_video(tmp_path / "a.mp4", frames=25, tone=Tone(10, 3, 4))))
    assert found.duration == pytest.approx(10.0, abs=0.1)
    assert found.coverage == 1.0


def test_file_names_may_hold_any_bytes(tmp_path: Path) -> None:
    for name in (
        b"\xff\xfe latin \xe9.mp4",
        b"-i.mp4",
        b"%03d.mp4",
        "a b\n\N{RIGHT-TO-LEFT OVERRIDE}'$(id)'\U0001f600.mp4".encode(),
    ):
        path = tmp_path / os.fsdecode(name)
        write_video(tmp_path / "plain.mp4", frames=5).rename(path)
        assert probe(str(path)).width == 96


def test_a_truncated_copy_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250, codec="mpeg4", key_every=1, movflags="faststart")
    data = path.read_bytes()
    whole = sum(place + size <= len(data) // 2 for place, size in packets_of(path))
    path.write_bytes(data[: len(data) // 2])
    found = probe(str(path))
    assert 100 < whole < 150
    assert found.duration == pytest.approx(whole / 25, abs=0.05)
    assert found.coverage == pytest.approx(whole / 250, abs=0.01)
    assert len(read_original_size(path)) == int(whole / 25 * 2) // 2 * 2  # 2 a second, an even number
    assert read_frames(str(path), budget=FrameBudget(min_pixels=1)).times[-1] < found.duration


def test_subtitles_longer_than_the_film_are_no_damage(tmp_path: Path) -> None:
    """Matroska declares the 60 s of its subtitles as the duration of all that it holds; the picture has 5 s."""
    path = write_with_subtitles(tmp_path / "a.mkv", "subrip", [(1.0, 3.0, "hello"), (50.0, 60.0, "the end")])
    found = probe(str(path))
    assert (found.duration, found.coverage) == (5.0, 1.0)
    path.write_bytes(path.read_bytes()[:-300])  # the last cue and the end of the picture
    cut = probe(str(path))
    assert cut.duration < 5.0
    assert cut.coverage == pytest.approx(cut.duration / 60, abs=0.01)


def test_an_mp4_without_its_index_is_reported(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(MediaError, match="moov atom not found") as caught:
        probe(str(path))
    assert caught.value.code == "truncated_no_index"


def test_damaged_packets_lower_only_the_coverage(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=250, key_every=25)
    damage(path, range(110, 120))
    frames = read_original_size(path, max_frames=250, fps=25)
    assert 0.85 < frames.coverage < 1.0
    numbers = numbers_of(frames.pixels)
    assert set(range(100)) | set(range(125, 250)) <= set(numbers)  # only what refers to damaged frames may be wrong
    assert (np.diff(frames.times) > 0).all()


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_video_without_a_decodable_frame_is_undecodable(tmp_path: Path, codec: str) -> None:
    path = write_video(tmp_path / "a.mp4", frames=25, codec=codec, key_every=1)
    data = bytearray(path.read_bytes())
    for place, size in packets_of(path):
        data[place + 4 : place + size] = bytes(size - 4)
    path.write_bytes(data)
    assert error_code(lambda: read_frames(str(path))) == "undecodable"


def test_randomly_damaged_files_end_in_a_known_code(tmp_path: Path) -> None:
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
def test_files_that_are_not_video_have_their_own_codes(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert error_code(lambda: probe(str(path))) == code


def test_codecs_outside_the_list_are_not_decoded(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", codec="magicyuv", pixel_format="yuv420p", frames=5)
    with pytest.raises(MediaError, match="96x48 magicyuv") as caught:
        probe(str(path))
    assert caught.value.code == "codec_not_allowed"


def test_a_huge_picture_is_refused_by_its_header(tmp_path: Path) -> None:
    size = (8704, 4352)
    blank = np.zeros((size[1], size[0], 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", codec="mjpeg", pixel_format="yuvj420p", size=size, frames=[blank])
    assert error_code(lambda: probe(str(path))) == "too_large"


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nothing.mp4")
    assert error_code(lambda: probe(str(tmp_path / "pipe.mp4"))) == "not_regular"
    assert error_code(lambda: probe(str(tmp_path / "folder.mp4"))) == "not_regular"
    assert error_code(lambda: probe("/dev/zero")) == "not_regular"
    assert error_code(lambda: probe(str(tmp_path / "link.mp4"))) == "broken_link"
    assert error_code(lambda: probe(str(tmp_path / "gone.mp4"))) == "vanished"


def test_a_link_to_a_video_can_be_read(tmp_path: Path) -> None:
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
            assert error_code(lambda read=read: read(str(tmp_path / "a.mp4"))) in ("playlist", "not_media")  # type: ignore[misc]
    with listener, pytest.raises(TimeoutError):
        listener.accept()
