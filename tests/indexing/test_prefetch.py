"""Prefetching changes when media are read, and neither frames, vectors nor outcomes."""

import shutil
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.media_files import Tone, damage, write_sound, write_video

from rankvideo_rag import media
from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing import prefetch, run
from rankvideo_rag.indexing.build import IndexReport
from rankvideo_rag.indexing.file_state import MediaFile
from rankvideo_rag.indexing.run import index
from rankvideo_rag.media import SAMPLE_RATE, ClipMedia, read_frames
from rankvideo_rag.models.embedders import Vector
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.testing import scripted_embedder

CLIP_SECONDS = 0.5
TONE = Tone(2.0, 0.5, 1.0)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    uneven = np.cumsum(np.random.default_rng(3).uniform(0.01, 0.1, 50)).round(3).tolist()
    write_video(folder / "a-plain.mp4", frames=101)  # 9 clips: the last ones are not of the first batch
    write_video(folder / "b-uneven.mkv", frames=50, seconds=[0.0, *uneven[1:]])
    write_video(folder / "c-heard.mp4", frames=53, tone=TONE)  # its last clip has no whole second
    write_sound(folder / "d-sound.m4a", TONE)
    write_video(folder / "e-damaged.mp4", frames=100, key_every=10)
    damage(folder / "e-damaged.mp4", range(40, 50))
    write_video(folder / "g-reordered.mp4", frames=70, codec_options={"bf": "3"})
    return folder


class Watching(scripted_embedder.ScriptedEmbedder):
    """Keeps what it was shown, and gives a vector that depends on every pixel and every time."""

    def __init__(self) -> None:
        self.shown: list[ClipMedia] = []

    def embed_clips(self, clips: list[ClipMedia]) -> list[Vector | None]:  # type: ignore[override]
        self.shown += clips
        return [_vector(clip) for clip in clips]


def _vector(clip: ClipMedia) -> NDArray[np.float32]:
    assert clip.frames is not None
    values = [clip.frames.pixels.mean(), clip.frames.pixels.std(), *np.append(clip.frames.times, [0.0] * 4)[:4]]
    return np.array(values, np.float32) / np.float32(np.linalg.norm(values))


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Watching:
    embedder = Watching()
    monkeypatch.setattr(scripted_embedder, "load", lambda *_, **__: embedder)
    return embedder


def indexed(films: Path, archive: Path, **options: object) -> IndexReport:
    return index([films], archive, Settings.load(**({"ocr": "none", "clip_seconds": CLIP_SECONDS} | options)))


def test_prefetched_clips_equal_those_read_one_by_one(films: Path, watching: Watching, tmp_path: Path) -> None:
    report = indexed(films, tmp_path / "archive")
    assert [file.outcome for file in report.files] == ["ok", "ok", "ok", "ok", "partial", "ok"]
    store, budget = Store.open(tmp_path / "archive"), watching.info.frames
    paths = {video.video_id: video.path for video in store.videos().values()}
    stored = store.vectors()
    clips = list(store.clips(stored.numbers.tolist()).values())
    shown = iter(watching.shown)
    assert len(clips) == len(watching.shown) > 30
    for clip, vector in zip(clips, stored.vectors, strict=True):
        alone = read_frames(paths[clip.video_id], clip.start, clip.end, budget=budget)
        seen = next(shown).frames
        assert seen is not None
        assert np.array_equal(seen.pixels, alone.pixels)
        assert (seen.times.tolist(), seen.coverage) == (alone.times.tolist(), alone.coverage)
        assert np.array_equal(vector, _vector(ClipMedia(alone)).astype(np.float16))
    store.close()


def test_the_next_video_is_transcribed_while_the_last_one_is_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard_by: list[str] = []
    next_one_heard = threading.Event()

    class Hearing:
        name = "hearing"

        def transcribe(self, audio: NDArray[np.float32]) -> list[TextSpan]:
            heard_by.append(threading.current_thread().name)
            if len(heard_by) == 2:
                next_one_heard.set()
            text = f"{len(audio) / SAMPLE_RATE:.1f} seconds"
            return [TextSpan(channel="speech", text=text, start=0.0, end=1.0, source="hearing")]

    class Waiting(Watching):
        def embed_clips(self, clips: list[ClipMedia]) -> list[Vector | None]:  # type: ignore[override]
            assert next_one_heard.wait(timeout=30)
            return super().embed_clips(clips)

    monkeypatch.setattr(scripted_embedder, "load", lambda *_, **__: Waiting())
    monkeypatch.setattr(run, "load_transcriber", lambda *_, **__: Hearing())
    (tmp_path / "in").mkdir()
    for seconds in (2, 3):
        write_video(tmp_path / "in" / f"{seconds}.mp4", frames=25 * seconds, tone=Tone(float(seconds), 0.5, 1.0))
    indexed(tmp_path / "in", tmp_path / "archive", clip_seconds=30.0, embedder="scripted", asr="hearing")
    assert heard_by == ["MainThread", "prefetch-file"]
    with closing(Store.open(tmp_path / "archive")) as store:
        said = {Path(video.path).name: store.spans(video_id)[0].text for video_id, video in store.videos().items()}
    assert said == {"2.mp4": "2.0 seconds", "3.mp4": "3.0 seconds"}


@pytest.mark.parametrize("code", ["crash", "timeout", "undecodable"])
@pytest.mark.parametrize("step", ["probe", "read_frames"])
def test_a_failure_in_prefetching_is_the_outcome_of_its_own_file(
    films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: str
) -> None:
    whole = getattr(media, step)
    read_by: list[str] = []

    def failing(path: str, *arguments: object, **options: object) -> object:
        read_by.append(threading.current_thread().name)
        if Path(path).name == "b-uneven.mkv":
            raise MediaError(code, "it fell over")
        return whole(path, *arguments, **options)

    monkeypatch.setattr(media, step, failing)
    report = indexed(films, tmp_path / "archive")
    outcomes = {Path(file.path).name[0]: (file.outcome, (file.reason or "").partition(":")[0]) for file in report.files}
    assert outcomes.pop("b") == ("skipped" if code == "undecodable" else "failed", code)
    assert outcomes.pop("e")[0] == "partial"
    assert set(outcomes.values()) == {("ok", "")}
    assert "prefetch-file" in read_by  # before its turn


def test_a_file_that_changes_after_prefetching_is_read_again(
    films: Path, watching: Watching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(films / "a-plain.mp4", folder / "a.mp4")
    shutil.copy(films / "e-damaged.mp4", folder / "b.mp4")
    start = prefetch.Prefetcher.start

    def start_then_change(self: prefetch.Prefetcher, file: MediaFile) -> None:
        start(self, file)
        assert self._next is not None
        self._next.clips.result(timeout=60)
        shutil.copy(films / "g-reordered.mp4", file.path)

    monkeypatch.setattr(prefetch.Prefetcher, "start", start_then_change)
    report = indexed(folder, tmp_path / "archive")
    assert [(file.outcome, file.clips) for file in report.files] == [("ok", 9), ("ok", 6)]
    seen = watching.shown[9].frames
    assert seen is not None
    assert np.array_equal(seen.pixels, read_frames(str(folder / "b.mp4"), 0, 2.8 / 6, budget=watching.info.frames).pixels)


def test_known_content_is_not_prefetched(films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(films / "a-plain.mp4", folder / name)
    report = indexed(folder, tmp_path / "archive", subtitles=False)
    assert [file.outcome for file in report.files] == ["ok"] * 3
    assert (report.decodes, report.embeddings) == (1 + 9, 9)  # one probe, nine clips


def test_key_frames_are_used_where_suitable_and_recorded(watching: Watching, tmp_path: Path) -> None:
    folder, archive = tmp_path / "videos", tmp_path / "archive"
    folder.mkdir()
    write_video(folder / "a.mp4", frames=250, key_every=25)  # 10 s, a key frame every second
    write_video(folder / "b.mp4", frames=250, key_every=50)  # every two

    def sampled_with(**options: str) -> list[list[float]]:
        watching.shown.clear()
        index([folder], archive, Settings.load(ocr="none", **options))
        return [clip.frames.times.round(2).tolist() for clip in watching.shown if clip.frames]

    exact = [0.0, 1.44, 2.84, 4.28, 5.68, 7.12, 8.52, 9.96]  # the frames nearest to 0, 1.42, 2.85 ... 9.96 s
    assert sampled_with() == [[0.0, 1.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.0], exact]  # five key frames are too few
    assert sampled_with(frame_sampling="keyframes") == [[0.0, 1.0, 3.0, 4.0, 5.0, 6.0, 8.0, 9.0], [0.0, 2.0, 6.0, 8.0]]
    assert sampled_with() == []  # remembered: nothing is to be done
    assert sampled_with(frame_sampling="exact") == [exact, exact]


def test_the_tiny_models_get_the_frame_sampling_of_their_training() -> None:
    assert (
        Settings(profile="tiny", embedder="sentence_transformers", embedder_model="bundled:tiny-embedder").frame_sampling
        == "exact"
    )
    assert Settings(profile="tiny", embedder="scripted").frame_sampling == "auto"
    assert Settings(profile="cpu").frame_sampling == "auto"


def test_clips_by_shots_are_not_prefetched(films: Path, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in ("a-plain.mp4", "g-reordered.mp4"):
        shutil.copy(films / name, folder / name)
    report = indexed(folder, tmp_path / "archive", segment_by="shots", subtitles=False, clip_seconds=1.0)
    assert [file.outcome for file in report.files] == ["ok"] * 2
    assert report.decodes == 2 + 2 + report.embeddings  # probes, searches for shots, and each clip once
