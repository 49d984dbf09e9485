"""Where clips are divided: at cuts and pauses of speech, without gaps, as recorded in the archive."""

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.media_files import Tone, write_sound, write_video
from typer.testing import CliRunner

from rankvideo_rag import media
from rankvideo_rag.cli import app
from rankvideo_rag.errors import InputError, MediaError, MissingDependency
from rankvideo_rag.indexing import run
from rankvideo_rag.indexing.segment import MIN_SECONDS, find_pauses, pause_boundaries, segment_at, shot_boundaries
from rankvideo_rag.schema import TextSpan, TimedWord
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.store import Store

RED, BLUE, GREEN, WHITE = (200, 30, 30), (30, 30, 200), (30, 180, 40), (255, 255, 255)
Picture = NDArray[np.uint8]
Colour = tuple[int, int, int]


def noisy(colour: Colour, count: int, *, seed: int = 1) -> list[Picture]:
    """Pictures of one colour with grain."""
    grain = np.random.default_rng(seed).normal(0, 4, (count, 48, 96, 3))
    return list(np.clip(np.array(colour) + grain, 0, 255).astype(np.uint8))


def fade(one: Colour, other: Colour, count: int) -> list[Picture]:
    steps = [np.array(one) * (1 - share) + np.array(other) * share for share in np.linspace(0, 1, count)]
    return [np.broadcast_to(step, (48, 96, 3)).astype(np.uint8) for step in steps]


def three_shots(path: Path, *, key_every: int = 50) -> Path:
    """At 25 frames a second: red until 5 s, blue until 11.4 s, green until 17.4 s."""
    pictures = noisy(RED, 125) + noisy(BLUE, 160) + noisy(GREEN, 150)
    return write_video(path, frames=pictures, key_every=key_every)


# Shots


@pytest.mark.parametrize("key_every", [1, 40, 1000])
def test_cuts_are_found_at_their_times(tmp_path: Path, key_every: int) -> None:
    found = media.find_shots(str(three_shots(tmp_path / "v.mp4", key_every=key_every)))
    assert found == pytest.approx([5.0, 11.4], abs=0.2)  # of some five pictures a second


def test_cuts_at_key_frames_are_exact_to_the_frame(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", frames=noisy(RED, 57) + noisy(BLUE, 60), key_every=57)
    assert media.find_shots(str(video)) == pytest.approx([57 / 25], abs=0.001)


def test_a_slow_fade_is_one_cut_and_a_flash_is_none(tmp_path: Path) -> None:
    faded = noisy(RED, 60) + fade(RED, BLUE, 75) + noisy(BLUE, 60)
    assert len(media.find_shots(str(write_video(tmp_path / "fade.mp4", frames=faded)))) <= 1
    lit = noisy(RED, 60) + noisy(WHITE, 6) + noisy(RED, 60)
    assert media.find_shots(str(write_video(tmp_path / "flash.mp4", frames=lit))) == []


def test_a_quick_fade_is_one_cut(tmp_path: Path) -> None:
    faded = noisy(RED, 60) + fade(RED, BLUE, 10) + noisy(BLUE, 60)
    assert len(media.find_shots(str(write_video(tmp_path / "fade.mp4", frames=faded)))) <= 1


def test_motion_within_a_shot_is_no_cut(tmp_path: Path) -> None:
    pictures = [np.full((48, 96, 3), 40, np.uint8) for _ in range(150)]
    for i, picture in enumerate(pictures):
        left = abs(72 - (i * 2) % 144)  # to and fro
        picture[12:36, left : left + 24] = GREEN
    assert media.find_shots(str(write_video(tmp_path / "v.mp4", frames=pictures))) == []


def test_the_cut_of_a_real_film_is_found(shared_videos: Path) -> None:
    """A technician on a lift, from 8.0 s on; at 5 s one shot slowly becomes another."""
    found = media.find_shots(str(shared_videos / "nasa_13013.mp4"))
    assert any(abs(cut - 8.008) < 0.05 for cut in found)
    assert all(4.8 < cut < 6.3 for cut in found if abs(cut - 8.008) >= 0.05)


def test_pyscenedetect_finds_the_same_cuts(tmp_path: Path) -> None:
    pytest.importorskip("scenedetect")
    found = media.find_shots(str(three_shots(tmp_path / "v.mp4")), detector="pyscenedetect")
    assert found == pytest.approx([5.0, 11.4], abs=0.04)


def test_missing_pyscenedetect_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankvideo_rag.media.shots.find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"rankvideo-rag\[scenes\]"):
        run.load_models(Settings.load(segment_by="pyscenedetect", ocr="none"))


def test_sound_has_no_shots(tmp_path: Path) -> None:
    with pytest.raises(MediaError) as raised:
        media.find_shots(str(write_sound(tmp_path / "a.m4a", Tone(2.0, 0.0, 1.0))))
    assert raised.value.code == "no_video"


_PEAK = """
import resource, sys
from rankvideo_rag.media.decoder.shots import find_shots
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
cuts = find_shots(path=sys.argv[1]).arrays["cuts"]
print(len(cuts), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def peak(video: Path) -> tuple[int, int]:
    """Cuts that are found, and how far the memory of the process that looks for them grows, in kB."""
    asked = subprocess.run([sys.executable, "-c", _PEAK, str(video)], check=True, capture_output=True, text=True)
    cuts, kilobytes = asked.stdout.split()
    return int(cuts), int(kilobytes)


def test_a_video_ten_times_as_long_takes_no_more_memory(tmp_path: Path) -> None:
    """Keeping signatures of the 3,000 frames of the long video would take 18 MB, the frames 21 MB or more."""

    def film(name: str, shots: int) -> Path:
        pictures = (np.full((48, 96, 3), (RED, BLUE)[shot % 2], np.uint8) for shot in range(shots) for _ in range(60))
        return write_video(tmp_path / name, frames=pictures, fps=2, key_every=30)  # 30 s each

    short, long = film("short.mp4", 5), film("long.mp4", 50)
    few, of_short = peak(short)
    many, of_long = peak(long)
    assert (few, many) == (4, 49)
    assert of_long < of_short + 10_000


# Bounds


seconds = st.floats(0.0, 900.0, allow_nan=False)


def check(bounds: Sequence[float], duration: float, longest: float) -> None:
    lengths = [end - start for start, end in pairwise(bounds)]
    assert (bounds[0], bounds[-1]) == (0.0, duration)
    assert all(length <= longest * (1 + 1e-6) for length in lengths)
    assert all(length >= min(MIN_SECONDS, longest / 2, duration) * (1 - 1e-6) for length in lengths)


@settings(deadline=None)
@given(st.lists(seconds), st.floats(0.1, 900.0), st.floats(1.0, 60.0))
def test_pieces_between_shots_cover_the_video_and_keep_their_lengths(
    cuts: list[float], duration: float, longest: float
) -> None:
    check(shot_boundaries(sorted(cuts), duration, longest=longest), duration, longest)


@settings(deadline=None)
@given(st.lists(st.tuples(seconds, st.floats(0.3, 20.0))), st.floats(0.1, 900.0), st.floats(1.0, 60.0))
def test_pieces_between_pauses_cover_the_video_and_keep_their_lengths(
    pauses: list[tuple[float, float]], duration: float, longest: float
) -> None:
    check(pause_boundaries(pauses, duration, longest=longest), duration, longest)


@settings(deadline=None)
@given(st.lists(seconds, max_size=30), st.floats(0.1, 900.0), st.floats(2.0, 60.0), st.floats(0.0, 0.9))
def test_clips_have_no_gaps_and_the_requested_overlap(
    cuts: list[float], duration: float, clip_seconds: float, share: float
) -> None:
    overlap = share * clip_seconds
    clips = segment_at("v", shot_boundaries(sorted(cuts), duration, longest=clip_seconds - overlap), overlap=overlap)
    assert (clips[0].start, clips[-1].end) == (0.0, pytest.approx(duration, abs=0.001))  # type: ignore[comparison-overlap]
    for one, other in pairwise(clips):
        assert one.end - other.start == pytest.approx(min(overlap, one.end), abs=0.002)
    assert all(clip.end - clip.start <= clip_seconds + 0.002 for clip in clips)


def test_short_shots_are_merged_and_long_ones_divided_equally() -> None:
    assert shot_boundaries([6.0, 7.0, 16.0], 40.0, longest=15.0) == [0.0, 6.0, 16.0, 28.0, 40.0]
    assert shot_boundaries([1.0, 19.0], 20.0, longest=30.0) == [0.0, 20.0]


def said(start: float, end: float) -> TextSpan:
    return TextSpan(channel="speech", text="words", start=start, end=end, source="subtitles")


def test_pauses_are_found_between_speech() -> None:
    words = [said(4.0, 5.0), said(0.0, 3.0), said(1.0, 2.0), said(5.1, 9.0), said(10.0, 11.0)]
    assert find_pauses(words) == [(3.5, 1.0), (9.5, 1.0)]
    timed = said(0.0, 9.0).model_copy(update={"words": (TimedWord("one", 0.5, 1.0), TimedWord("two", 3.0, 3.5))})
    assert find_pauses([timed, said(4.5, 5.0)]) == [(2.0, 2.0), (4.0, 1.0)]


# Archives


def spans_of(archive: Path) -> list[tuple[float, float]]:
    store = Store.open(archive)
    spans = [(clip.start, clip.end) for video in store.videos() for clip in store.clips_of(video)]
    store.close()
    return spans


def test_a_folder_is_indexed_by_shots_and_remembers_it(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    three_shots(videos / "v.mp4", key_every=25)
    archive = tmp_path / "archive"
    options = ["--output", str(archive), "--ocr", "none"]
    done = CliRunner().invoke(app, ["index", str(videos), *options, "--segment-by", "shots"])
    assert done.exit_code == 0, done.output
    (first, until), (second, then), (third, end) = spans_of(archive)
    assert (first, until, then) == (0.0, second, third)
    assert (second, third, end) == pytest.approx((5.0, 11.4, 17.4), abs=0.2)
    again = run.index([videos], archive, Settings.load(ocr="none"))
    assert again.unchanged == 1
    other = run.index([videos], archive, Settings.load(ocr="none", segment_by="windows"))
    assert other.unchanged == 0
    assert spans_of(archive) == [(0.0, pytest.approx(17.4, abs=0.05))]  # type: ignore[comparison-overlap]


def test_clips_by_speech_end_in_pauses_and_follow_changed_subtitles(tmp_path: Path) -> None:
    videos, archive = tmp_path / "videos", tmp_path / "archive"
    videos.mkdir()
    write_video(videos / "v.mp4", frames=[np.full((48, 96, 3), RED, np.uint8)] * 100, fps=5)

    def index_with(*cues: tuple[int, int]) -> list[tuple[float, float]]:
        blocks = [f"{i}\n00:00:{a:02d},000 --> 00:00:{b:02d},000\nsome words\n" for i, (a, b) in enumerate(cues, 1)]
        (videos / "v.srt").write_text("\n".join(blocks))
        asked = Settings.load(ocr="none", segment_by="speech", clip_seconds=12.0)
        assert [file.outcome for file in run.index([videos], archive, asked).files] == ["ok"]
        store = Store.open(archive)
        assert store.counts()["vectors"] == store.counts()["clips"]
        store.close()
        return spans_of(archive)

    assert index_with((0, 4), (5, 7), (9, 14), (15, 20)) == [(0.0, 8.0), (8.0, 20.0)]
    assert index_with((0, 10), (11, 20)) == [(0.0, 10.5), (10.5, 20.0)]


def test_changed_subtitles_do_not_change_shots(tmp_path: Path) -> None:
    videos, archive = tmp_path / "videos", tmp_path / "archive"
    videos.mkdir()
    three_shots(videos / "v.mp4", key_every=25)
    asked = Settings.load(ocr="none", segment_by="shots")
    run.index([videos], archive, asked)
    before = spans_of(archive)
    (videos / "v.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nnew words\n")
    report = run.index([videos], archive, asked)
    assert (report.unchanged, report.embeddings) == (0, 0)
    assert spans_of(archive) == before
    store = Store.open(archive)
    assert len(store.perceptual_hashes_of(next(iter(store.videos())))) == 3
    store.close()


def test_files_without_shots_or_speech_are_divided_into_windows(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "v.mp4", frames=[np.full((48, 96, 3), RED, np.uint8)] * 40, fps=2)
    for where in ("shots", "speech"):
        run.index([videos], tmp_path / where, Settings.load(ocr="none", segment_by=where, clip_seconds=15.0))
        assert spans_of(tmp_path / where) == [(0.0, 10.0), (10.0, 20.0)]


def test_unknown_boundaries_are_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"segment_by = 'scenes': .*'windows', 'shots', 'pyscenedetect' or 'speech'"):
        Settings.load(segment_by="scenes")
