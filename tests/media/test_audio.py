"""Audio: each sample at its time. Tones were written at known times."""

from pathlib import Path

import numpy as np
import pytest
from support.media_files import Tone, write_sound, write_video
from support.media_reads import REAL_VIDEOS, needs_real_videos

from rankvideo_rag.media import (
    read_audio,
)


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
def test_samples_are_at_their_times(tmp_path: Path, name: str, codec: str, rate: int) -> None:
    path = str(write_sound(tmp_path / name, Tone(10, 3, 4, rate), codec=codec))
    assert loud(read_audio(path)) == pytest.approx((3.0, 4.0), abs=0.003)
    assert loud(read_audio(path, 2.5, 8.0)) == pytest.approx((0.5, 1.5), abs=0.003)
    half = read_audio(path, 2.5, 3.5)
    assert half is not None
    assert half.shape == (16_000,)
    assert loud(half)[0] == pytest.approx(0.5, abs=0.003)


def test_audio_that_starts_late_begins_with_silence(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", frames=250, tone=Tone(5, 1, 2, offset=4.0))
    assert loud(read_audio(str(tmp_path / "a.mkv"))) == pytest.approx((5.0, 6.0), abs=0.003)
    before = read_audio(str(tmp_path / "a.mkv"), 0.0, 2.0)
    assert before is not None
    assert not before.any()


def test_chunks_of_long_audio_join_without_a_seam(tmp_path: Path) -> None:
    path = str(write_sound(tmp_path / "a.mkv", Tone(1210, 595, 605, 8_000), codec="flac"))
    samples = read_audio(path)
    assert samples is not None
    assert len(samples) == 1210 * 16_000
    assert loud(samples) == pytest.approx((595.0, 605.0), abs=0.003)
    moments = np.arange(599 * 16_000, 601 * 16_000) / 16_000
    seam = samples[599 * 16_000 : 601 * 16_000]
    assert abs(seam - 0.8 * np.sin(2 * np.pi * 1000 * moments)).max() < 0.02


def test_missing_audio_is_none_and_audio_after_its_end_is_empty(tmp_path: Path) -> None:
    assert read_audio(str(write_video(tmp_path / "a.mp4", frames=5))) is None
    samples = read_audio(str(write_sound(tmp_path / "a.m4a", Tone(2, 0, 1))), 100.0, 110.0)
    assert samples is not None
    assert samples.shape == (0,)


@needs_real_videos
def test_real_speech_has_its_length() -> None:
    samples = read_audio(str(REAL_VIDEOS / "jfk.flac"))
    assert samples is not None
    assert len(samples) == 11 * 16_000
    assert 0.3 < abs(samples).max() <= 1.0
