"""Time of indexing, compared with a naive baseline and with decoding alone, on the same files.

peers  open, decode in order, convert and resize every frame, keep those at the sampled times, embed; one file after the other
lean   the same loop, but only the frames at the sampled times are converted and resized
ours   this package's indexing: hash, probe, frames from the sandboxed decoder, vectors, one transaction for each video
floor  PyAV decodes every frame and converts none; with key frames only, every key frame

All sides sample the same times and use the same embedder. They take turns; each figure is the median of several rounds, after a
warm-up round. The videos are generated: a camera that pans over noisy patches.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rankvideo_rag.eval.benchmarks.baselines import decode_all, read_sampled_frames, write_copies
from rankvideo_rag.indexing.build import IndexEvent, IndexJob, build
from rankvideo_rag.media import ClipMedia, target_size
from rankvideo_rag.models.embedders import EmbedderInfo, Vector
from rankvideo_rag.schema import FrameBudget, Record
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.store import Store

FPS, WIDTH, HEIGHT = 25, 1280, 720
_PAN = 4  # pixels from frame to frame
_PATCH = 16  # pixels
_SIZE = target_size(WIDTH, HEIGHT, min_pixels=FrameBudget().min_pixels, max_pixels=FrameBudget().max_pixels)


class IndexBenchmark(Record):
    """Seconds of each side for all files, and of the stages of ours."""

    ours_s: float
    peers_s: float
    lean_s: float
    floor_s: float
    ours_key_s: float  # with frame_sampling = keyframes
    floor_key_s: float
    media_s: float  # seconds of video in all files
    files: int
    frames_sampled: int
    key_frames_sampled: int
    largest_difference: float  # between numbers of the vectors of ours and of peers
    stages: dict[str, float]  # of ours: seconds that the run waited for each, in the round of the median
    rounds: int
    load_average: float  # of the machine over the last minute, when it was done


def benchmark_index(folder: Path, *, files: int, seconds: float, key_seconds: float, rounds: int) -> IndexBenchmark:
    """Measure the indexing of that many generated films of that many seconds, which are made in `folder`."""
    paths = [folder / f"{number:03d}.mp4" for number in range(files)]
    write_copies(paths, _pictures(round(seconds * FPS)), fps=FPS, key_every=max(1, round(key_seconds * FPS)))
    ours, keys = _Ours(folder / "exact", paths, "exact"), _Ours(folder / "keys", paths, "keyframes")
    ours.run()
    clips = ours.embedder.times  # of every file in turn
    of_file = [clips[i * len(clips) // files : (i + 1) * len(clips) // files] for i in range(files)]
    peers = _Peers(paths, of_file)
    sides: dict[str, Callable[[], object]] = {
        "peers": peers.run,
        "lean": lambda: peers.run(convert_all=False),
        "ours": ours.run,
        "floor": lambda: [decode_all(path) for path in paths],
        "ours_key": keys.run,
        "floor_key": lambda: [decode_all(path, keys_only=True) for path in paths],
    }
    took = _in_turns(sides, rounds)
    middle = took["ours"].index(statistics.median_low(took["ours"]))
    return IndexBenchmark(
        **{f"{name}_s": statistics.median_low(of_side) for name, of_side in took.items()},
        media_s=files * seconds,
        files=files,
        frames_sampled=sum(len(times) for times in clips),
        key_frames_sampled=sum(len(times) for times in keys.embedder.times),
        largest_difference=float(np.abs(np.array(peers.vectors) - np.array(ours.embedder.vectors)).max()),
        stages=ours.stages[middle - rounds],
        rounds=rounds,
        load_average=os.getloadavg()[0],
    )


def _in_turns(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, side in sides.items():
            began = time.perf_counter()
            side()
            if number:
                took[name].append(time.perf_counter() - began)
    return took


class _PatchEmbedder:
    """The first layer of a vision transformer with random weights: the mean over all patches of all frames."""

    info = EmbedderInfo(
        backend="patches",
        model=None,
        revision=None,
        dim=256,
        pooling="mean",
        normalized=True,
        query_prompt="",
        document_prompt="",
        modalities=("video",),
        frames=FrameBudget(fps=1.0),
    )

    def __init__(self) -> None:
        self._weights = np.random.default_rng(0).standard_normal((_PATCH * _PATCH * 3, self.info.dim), np.float32)
        self.times: list[NDArray[np.float64]] = []  # of the sampled frames, clip by clip
        self.vectors: list[Vector] = []

    def embed_queries(self, texts: Sequence[str]) -> list[Vector | None]:
        """Return no vectors: this benchmark has no questions."""
        return [None for _ in texts]

    def embed_clips(self, clips: Sequence[ClipMedia]) -> list[Vector | None]:
        """Return a vector for each clip that has frames."""
        shown = [clip.frames for clip in clips if clip.frames is not None]
        self.times += [frames.times for frames in shown]
        self.vectors += [self.vector(frames.pixels) for frames in shown]
        return [*self.vectors[len(self.vectors) - len(shown) :]]

    def vector(self, pixels: NDArray[np.uint8]) -> Vector:
        """Return the vector of the frames of one clip."""
        total = np.sum([np.tanh(self._patches(picture) @ self._weights).mean(axis=0) for picture in pixels], axis=0)
        return np.asarray(total / np.linalg.norm(total), np.float32)

    @staticmethod
    def _patches(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        rows, columns = picture.shape[0] // _PATCH, picture.shape[1] // _PATCH
        cut = picture.reshape(rows, _PATCH, columns, _PATCH, 3).transpose(0, 2, 1, 3, 4).reshape(rows * columns, -1)
        return cut.astype(np.float32) / 127.5 - 1.0


class _Ours:
    """Runs of indexing, each into a new archive."""

    def __init__(self, folder: Path, paths: Sequence[Path], sampling: str) -> None:
        self._folder, self._paths, self._sampling = folder, paths, sampling
        self.embedder = _PatchEmbedder()
        self.stages: list[dict[str, float]] = []  # of each run

    def run(self) -> None:
        self.embedder = _PatchEmbedder()
        settings = Settings.load(embedder="scripted", asr="none", ocr="none", frame_sampling=self._sampling)
        config = IndexConfig.from_settings(settings, self.embedder.info)
        store = Store.create(self._folder / f"archive-{len(self.stages)}", config.model_dump(mode="json"))
        waiting = _Waiting()
        build(store, IndexJob(self._paths, config, Models(self.embedder, None, None)), on_event=waiting)
        store.close()
        self.stages.append(waiting.seconds)


class _Waiting:
    """Measures how long a run spends in each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "start", time.perf_counter()

    def __call__(self, event: IndexEvent) -> None:
        now = time.perf_counter()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = event.stage or "start", now


class _Peers:
    """The naive baseline."""

    def __init__(self, paths: Sequence[Path], times: Sequence[Sequence[NDArray[np.float64]]]) -> None:
        self._paths, self._times = paths, times
        self.vectors: list[Vector] = []

    def run(self, *, convert_all: bool = True) -> None:
        embedder = _PatchEmbedder()
        self.vectors = []
        for path, clips in zip(self._paths, self._times, strict=True):
            pictures = read_sampled_frames(path, np.concatenate(clips).tolist(), _SIZE, convert_all=convert_all)
            held: list[NDArray[np.uint8]] = []
            ends = set(np.cumsum([len(times) for times in clips]).tolist())
            for number, picture in enumerate(pictures, start=1):
                held.append(picture)
                if number in ends:
                    self.vectors.append(embedder.vector(np.stack(held)))
                    held.clear()


def _pictures(count: int) -> Iterator[NDArray[np.uint8]]:
    """Yield frames of a camera that pans to and fro over a picture of patches with grain, with sensor noise."""
    draw = np.random.default_rng(0)
    patches = Image.fromarray(draw.integers(0, 256, (18, 64, 3), dtype=np.uint8))
    wide = np.asarray(patches.resize((2 * WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
    wide += draw.integers(-12, 13, wide.shape, dtype=np.int16)
    noise = draw.integers(-3, 4, (HEIGHT + 64, WIDTH, 3), dtype=np.int16)
    for number in range(count):
        at = abs((number * _PAN + WIDTH) % (2 * WIDTH) - WIDTH)
        grain = noise[(number * 7) % 64 :][:HEIGHT]
        yield np.clip(wide[:, at : at + WIDTH] + grain, 0, 255).astype(np.uint8)
