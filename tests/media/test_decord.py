"""Frames read with decord are those that PyAV reads, at the same times."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.media_files import Tone, damage, numbers_of, stamped, write_sound, write_video

from rankvideo_rag import media
from rankvideo_rag.errors import InputError, MediaError, MissingDependency
from rankvideo_rag.indexing.run import index
from rankvideo_rag.media import Frames, KeyFrameSampling, MediaLimits, frames, read_frames
from rankvideo_rag.schema import FrameBudget, VideoReader
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.store import Store

pytest.importorskip("decord")
ORIGINAL_SIZE = FrameBudget(min_pixels=1, max_pixels=96 * 48, multiple=2)


def uneven_times(count: int) -> list[float]:
    return [0.0, *np.cumsum(np.random.default_rng(3).uniform(0.01, 0.1, count - 1)).round(3).tolist()]


def read_both(path: Path, *span: float, **options: Any) -> tuple[Frames, Frames]:
    readers: tuple[VideoReader, VideoReader] = ("pyav", "decord")
    pyav, decord = (read_frames(str(path), *span, reader=reader, **{"budget": ORIGINAL_SIZE} | options) for reader in readers)
    return pyav, decord


FILES: dict[str, Callable[[Path], Path]] = {
    "plain": lambda folder: write_video(folder / "a.mp4", frames=100),
    "reordered": lambda folder: write_video(folder / "a.mp4", frames=100, codec_options={"bf": "3"}),
    "uneven": lambda folder: write_video(folder / "a.mkv", frames=50, seconds=uneven_times(50)),
    "late": lambda folder: write_video(
        folder / "a.mp4", frames=50, seconds=[1 + i / 25 for i in range(50)], tone=Tone(3, 0, 1)
    ),
    "offset": lambda folder: write_video(folder / "a.ts", frames=100, output_ts_offset="95001"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_frames_are_read_at_the_same_times(tmp_path: Path, name: str) -> None:
    path = FILES[name](tmp_path)
    for span in ((), (0.5, 1.6), (1.5, 30.0)):
        pyav, decord = read_both(path, *span)
        assert len(decord) > 0
        assert decord.times.tolist() == pyav.times.tolist()
        assert numbers_of(decord.pixels) == numbers_of(pyav.pixels)
        assert decord.pixels.shape == pyav.pixels.shape
        assert np.abs(decord.pixels.astype(int) - pyav.pixels).mean() < 3  # of 255: another conversion to RGB


@pytest.mark.parametrize("rotation", [0, 90, -90, 180])
def test_frames_are_upright_and_have_the_size_of_the_budget(tmp_path: Path, rotation: int) -> None:
    picture = stamped(0b101010, (128, 64))
    picture[:32] = [255, 0, 0]
    path = write_video(tmp_path / "a.mp4", frames=[picture] * 10, size=(128, 64), rotation=rotation)
    pyav, decord = read_both(path, budget=FrameBudget(min_pixels=1, max_pixels=64 * 32, multiple=2))
    assert decord.pixels.shape == pyav.pixels.shape
    assert np.abs(decord.pixels.astype(int) - pyav.pixels).mean() < 6


def test_key_frames_can_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=101, key_every=20)
    pyav, decord = read_both(path, key_frames=KeyFrameSampling(9 / 25, 2))
    assert numbers_of(decord.pixels) == numbers_of(pyav.pixels) == [0, 20, 40, 60, 80, 100]


def test_a_span_after_the_last_frame_gives_no_frames(tmp_path: Path) -> None:
    pyav, decord = read_both(write_video(tmp_path / "a.mp4", frames=25), 30.0, 60.0)
    assert decord.pixels.shape == pyav.pixels.shape
    assert len(decord) == 0


def test_what_pyav_does_not_open_is_not_given_to_decord(tmp_path: Path) -> None:
    playlist = tmp_path / "a.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:4,\n{write_video(tmp_path / 'other.ts')}\n")
    sound = write_sound(tmp_path / "a.m4a", Tone(2, 0, 1))
    for path, code in ((playlist, "playlist"), (sound, "no_video"), (tmp_path / "none.mp4", "vanished")):
        with pytest.raises(MediaError) as caught:
            read_frames(str(path), reader="decord")
        assert caught.value.code == code
    with pytest.raises(InputError, match="span"):
        read_frames(str(playlist), 2.0, 1.0, reader="decord")


def test_damage_ends_in_frames_or_in_an_error(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", frames=100, key_every=10)
    damage(path, range(40, 50))
    assert outcome_of(path) in ("frames", "undecodable", "crash")


def outcome_of(path: Path) -> str:
    try:
        read_frames(str(path), reader="decord")
    except MediaError as error:
        return error.code
    return "frames"


def test_it_runs_within_limits(tmp_path: Path) -> None:
    path = str(write_video(tmp_path / "a.mp4", frames=50))
    with pytest.raises(MediaError, match="media_seconds"):
        read_frames(path, reader="decord", limits=MediaLimits(seconds=1e-6))


def test_an_archive_remembers_its_reader(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_video(tmp_path / "in" / "a.mp4", frames=50)
    report = index([tmp_path / "in"], tmp_path / "archive", Settings.load(ocr="none", video_reader="decord"))
    assert [file.outcome for file in report.files] == ["ok"]
    again = index([tmp_path / "in"], tmp_path / "archive", Settings.load())
    assert again.unchanged == 1
    with closing(Store.open(tmp_path / "archive")) as store:
        assert store.index_config["video_reader"] == "decord"
    other = index([tmp_path / "in"], tmp_path / "archive", Settings.load(video_reader="pyav"))
    assert other.unchanged == 0


def test_a_missing_decord_is_reported_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="decord"):
        media.check_reader("decord")
