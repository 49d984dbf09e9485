"""One video before it is written: its clips, timed words and vectors, made from its file. Knows no archive and no outcomes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag import media
from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.indexing.boundaries import find_pauses, pause_boundaries, shot_boundaries
from rankvideo_rag.indexing.perceptual_hash import perceptual_hash
from rankvideo_rag.indexing.prefetch import Ahead
from rankvideo_rag.indexing.segment import segment, segment_at
from rankvideo_rag.media import ClipMedia, MediaLimits, ShotDetector
from rankvideo_rag.models.embedders import Vector
from rankvideo_rag.schema import Clip, Probe, TextSpan, Video
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.text import timestamp

T = TypeVar("T")
Stage = Literal["hash", "probe", "subtitles", "speech", "on-screen", "shots", "frames", "vectors", "commit"]
BATCH = 8  # clips whose frames are held at once
MOST_SPANS = 20  # of damage, that are told one by one
# Reasons that may be gone at the next run; every other one stays until the file changes.
TRANSIENT = frozenset({"changed", "crash", "io", "timeout", "worker"})


class Kept(NamedTuple):
    """What the picture of a known video gave, whole: other subtitles do not change it."""

    on_screen: Sequence[TextSpan]
    vectors: Mapping[str, NDArray[np.float16]]  # clip_id -> (dim,)
    clips: Sequence[Clip]
    pictures: Mapping[str, bytes]  # clip_id -> what it looks like


class Draft(NamedTuple):
    """A video before it is written."""

    clips: list[Clip]
    spans: list[TextSpan]
    vectors: Mapping[str, NDArray[np.float16]]  # clip_id -> (dim,)
    damage: list[str]  # what is missing of it, in words
    pictures: Mapping[str, bytes]  # clip_id -> what it looks like


class Drafter:
    """Makes drafts by a config. `at` is told each stage; `embeddings` counts the clips given to the embedder."""

    def __init__(
        self, config: IndexConfig, models: Models, limits: MediaLimits, at: Callable[[Path, Stage], None], ahead: Ahead
    ) -> None:
        self._config, self._embedder, self._limits, self._at, self._ahead = config, models.embedder, limits, at, ahead
        self.embeddings = 0

    def draft(
        self, path: Path, video: Video, *, subtitles_of: Path, kept: Kept | None, when_read: Callable[[], None] = lambda: None
    ) -> Draft:
        """The video in the file at `path`, with the subtitles that belong to the path `subtitles_of`.

        `when_read` is called once the last frame is read, before the last vectors are made of them.
        With `kept` the picture is not looked at again. Raises MediaError for a reason that may be gone at the next run.
        """
        probe = video.probe
        damage = [] if probe.coverage > 0.995 else [_incomplete(probe)]
        spans = self._read(damage, lambda: self._ahead.speech(path, subtitles_of, probe, partial(self._at, path)))
        if kept:
            return Draft(list(kept.clips), [*spans, *kept.on_screen], kept.vectors, damage, kept.pictures)
        clips = self._clips(path, video, spans, damage)
        spans += self._read(damage, lambda: self._ahead.on_screen(path, probe, partial(self._at, path)))
        all_there_is = not spans and probe.audio_codec is None
        pictures: dict[str, bytes] = {}
        if not probe.video_codec:
            return Draft(clips, spans, {}, damage, pictures)
        self._at(path, "frames")
        with closing(self._ahead.clips(path, clips)) as media_of_clips:
            media_in_turn = _calling_at_the_end(media_of_clips, len(clips), when_read)
            vectors = self._vectors(path, clips, media_in_turn, damage, pictures, all_there_is=all_there_is)
        return Draft(clips, spans, vectors, damage, pictures)

    def _clips(self, path: Path, video: Video, speech: Sequence[TextSpan], damage: list[str]) -> list[Clip]:
        """Windows, or what lies between shots or pauses, as the config says; windows where there are none of these."""
        config, where = self._config, self._config.segment_by
        longest = config.clip_seconds - config.clip_overlap
        bounds: list[float] = []
        if where in ("shots", "pyscenedetect") and video.probe.video_codec:
            cuts = self._read(damage, lambda: self._shots(path, video.probe, where))
            bounds = shot_boundaries(cuts, video.probe.duration, longest=longest) if cuts else []
        elif where == "speech" and (pauses := find_pauses(speech)):
            bounds = pause_boundaries(pauses, video.probe.duration, longest=longest)
        if not bounds:
            return segment(video.video_id, video.probe.duration, clip_seconds=config.clip_seconds, overlap=config.clip_overlap)
        return segment_at(video.video_id, bounds, overlap=config.clip_overlap)

    def _shots(self, path: Path, probe: Probe, detector: ShotDetector) -> list[float]:
        self._at(path, "shots")
        return media.find_shots(str(path), detector=detector, limits=self._limits.at_least(probe.duration / 2))

    @staticmethod
    def _read(damage: list[str], read: Callable[[], list[T]]) -> list[T]:
        try:
            return read()
        except MediaError as error:
            if error.code in TRANSIENT:
                raise
            damage.append(f"{error.code}: {error}")
            return []

    def _vectors(
        self,
        path: Path,
        clips: Sequence[Clip],
        media_of_clips: Iterator[ClipMedia | MediaError],
        damage: list[str],
        pictures: dict[str, bytes],
        *,
        all_there_is: bool,
    ) -> dict[str, NDArray[np.float16]]:
        """The vectors of the clips that could be watched, their looks in `pictures`; what could not be is added to `damage`.

        Raises MediaError where no clip could be watched and the picture is all that the file has.
        """
        found: dict[str, NDArray[np.float16]] = {}
        coverage: dict[Clip, float] = {}
        missing: Counter[str] = Counter()
        for batch in _batches(clips, BATCH):
            watched: list[tuple[Clip, ClipMedia]] = []
            for clip in batch:
                self._at(path, "frames")
                seen = next(media_of_clips)
                if isinstance(seen, ClipMedia):
                    watched.append((clip, seen))
                elif seen.code in TRANSIENT:
                    raise seen
                else:
                    missing[seen.code] += 1
            coverage |= {clip: m.frames.coverage for clip, m in watched if m.frames is not None}
            pictures |= {clip.clip_id: perceptual_hash(m.frames.pixels) for clip, m in watched if m.frames}
            self._at(path, "vectors")
            self.embeddings += len(watched)
            vectors = self._embedder.embed_clips([m for _, m in watched])
            found |= {
                clip.clip_id: self._stored(vector)
                for (clip, _), vector in zip(watched, vectors, strict=True)
                if vector is not None
            }
        if all_there_is and missing.total() == len(clips):
            raise MediaError(next(iter(missing)), f"{str(path)!r}: none of its {len(clips)} clips can be decoded")
        if spans := _spans([clip for clip, share in coverage.items() if share < 1.0]):
            share = sum(coverage.values()) / len(coverage)
            damage.append(f"damaged: {share:.1%} of the packets decoded; something is missing in {spans}")
        damage += [f"{code}: {count} of {len(clips)} clips could not be watched" for code, count in missing.items()]
        return found

    def _stored(self, vector: Vector) -> NDArray[np.float16]:
        """A vector as it is kept. Raises ModelError for one that nothing can be compared with."""
        with np.errstate(over="ignore"):  # then it is infinite, and refused
            kept = vector.astype(np.float16)
        if not (np.isfinite(kept).all() and kept.any()):
            raise ModelError(f"the embedder {self._embedder.info} gave a vector of zeros or with numbers that are none")
        return kept


def _calling_at_the_end(items: Iterable[T], count: int, then: Callable[[], None]) -> Iterator[T]:
    """The items, and a call when the last of `count` has come, before it is given."""
    for number, item in enumerate(items, start=1):
        if number == count:
            then()
        yield item


def _incomplete(probe: Probe) -> str:
    there, declared = probe.duration, probe.duration / max(probe.coverage, 1e-9)
    return f"incomplete: {there:.1f} of the declared {declared:.1f} s are there ({probe.coverage:.0%})"


def _spans(clips: Sequence[Clip]) -> str:
    """When these clips are, those that follow each other as one."""
    joined: list[tuple[float, float]] = []
    for clip in clips:
        start = joined.pop()[0] if joined and joined[-1][1] >= clip.start else clip.start
        joined.append((start, clip.end))
    told = [f"{timestamp(start)}-{timestamp(end)}" for start, end in joined[:MOST_SPANS]]
    return ", ".join(told + [f"{len(joined) - MOST_SPANS} more"] * (len(joined) > MOST_SPANS))


def _batches(clips: Sequence[Clip], size: int) -> Iterator[Sequence[Clip]]:
    return (clips[i : i + size] for i in range(0, len(clips), size))
