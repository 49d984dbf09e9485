"""Extract all that is stored of one media file: probe -> segment -> text -> vectors. The archive is not accessed here."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.indexing.file_state import MediaFile
from rankvideo_rag.indexing.media_reader import MediaReader, Stage
from rankvideo_rag.indexing.perceptual_hash import perceptual_hash
from rankvideo_rag.indexing.prefetch import Prefetcher
from rankvideo_rag.indexing.segment import find_pauses, pause_boundaries, segment, segment_at, shot_boundaries
from rankvideo_rag.indexing.text_index import embed_texts
from rankvideo_rag.media import ClipMedia, MediaLimits
from rankvideo_rag.models.embedders import Vector
from rankvideo_rag.schema import Clip, FileOutcome, Probe, TextSpan, Video
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.passages import split_passages
from rankvideo_rag.storage.writer import title_of
from rankvideo_rag.text import timestamp

T = TypeVar("T")
BATCH = 8  # clips embedded at once
MAX_SPANS = 20  # damaged spans listed in an outcome
# Error codes that another attempt may resolve; all others stay until the file changes.
TRANSIENT = frozenset({"changed", "crash", "io", "timeout", "worker"})
_COMPLETE = 0.995  # coverage


class ExistingContent(NamedTuple):
    """What an archive holds of the same content and need not be made again where only the subtitles changed."""

    clips: Sequence[Clip]
    on_screen: Sequence[TextSpan]
    vectors: Mapping[str, NDArray[np.float16]]  # clip_id -> (dim,)
    perceptual_hashes: Mapping[str, bytes]  # by clip_id


class ProcessedVideo:
    """One video on its way through the stages; each stage adds what it extracts."""

    def __init__(self, file: MediaFile, video: Video) -> None:
        self.file, self.video = file, video
        self.clips: list[Clip] = []
        self.spans: list[TextSpan] = []
        self.vectors: dict[str, NDArray[np.float16]] = {}  # clip_id -> (dim,)
        self.perceptual_hashes: dict[str, bytes] = {}  # by clip_id
        self.text_vectors: dict[str, NDArray[np.float16]] = {}  # of passages, (dim,), by text
        self.damage: list[str] = []  # "code: message" for each loss of a part
        self.seconds: float | None = None  # processing time; None where existing content was used

    @property
    def outcome(self) -> FileOutcome:
        """The outcome of the file once this is stored."""
        return FileOutcome(
            path=str(self.file.path),
            outcome="partial" if self.damage else "ok",
            reason="; ".join([*self.damage, *self.video.probe.warnings]) or None,
            clips=len(self.clips),
            video_id=self.video.video_id,
        )


def failed_outcome(path: Path, error: MediaError | ModelError) -> FileOutcome:
    """Return the outcome of a file that could not be processed: failed is tried again, skipped is not."""
    if isinstance(error, ModelError):
        return FileOutcome(path=str(path), outcome="failed", reason=f"model: {error}")
    outcome = "failed" if error.code in TRANSIENT else "skipped"
    return FileOutcome(path=str(path), outcome=outcome, reason=f"{error.code}: {error}")


class VideoProcessor:
    """Extracts videos under one index config. `on_stage` is called at the beginning of each stage."""

    def __init__(
        self,
        config: IndexConfig,
        models: Models,
        limits: MediaLimits,
        on_stage: Callable[[Path, Stage], None] = lambda path, stage: None,
    ) -> None:
        self._config, self._on_stage = config, on_stage
        self._embedder, self._text_embedder = models.embedder, models.text_embedder
        self._reader = MediaReader(config, models, limits)
        self._media = Prefetcher(config, self._reader)
        self._started = time.monotonic()
        self.embeddings = 0  # clips given to the embedder
        self.texts = 0  # passages given to the text embedder

    def prefetch(self, file: MediaFile) -> None:
        """Start to read the next file in the background."""
        self._media.start(file)

    def close(self) -> None:
        """Stop prefetching."""
        self._media.close()

    def probe(self, file: MediaFile) -> Probe:
        """Probe the file. Raises MediaError where it cannot be read, and `audio_only` where audio files are left out."""
        self._started = time.monotonic()
        self._on_stage(file.path, "probe")
        probe = self._media.probe(file)
        if not (probe.video_codec or self._config.audio_only):
            raise MediaError("audio_only", f"{str(file.path)!r} has no video stream, and audio files are left out here")
        return probe

    def process(
        self,
        file: MediaFile,
        video_id: str,
        probe: Probe,
        *,
        subtitles_path: Path | None = None,
        existing: ExistingContent | None = None,
        on_last_frames: Callable[[], None] = lambda: None,
    ) -> ProcessedVideo:
        """Extract clips, text and vectors.

        Args:
            subtitles_path: the path with the same content beside which the subtitle files lie; that of the file by default.
            existing: what is taken over, so that only the subtitles are read.
            on_last_frames: called once the frames of the last clip are read.

        Raises MediaError for a loss that another attempt may avoid, and where nothing of the file can be decoded; ModelError
        for unusable vectors.
        """
        path = file.path
        record = ProcessedVideo(file, Video(video_id=video_id, path=str(path), title=title_of(probe, path), probe=probe))
        if probe.coverage <= _COMPLETE:
            record.damage.append(_describe_incomplete(probe))
        on_stage = partial(self._on_stage, path)
        record.spans = _read(record, lambda: self._media.speech(path, subtitles_path or path, probe, on_stage))
        if existing:
            record.clips, record.vectors = list(existing.clips), dict(existing.vectors)
            record.spans += existing.on_screen
            record.perceptual_hashes = dict(existing.perceptual_hashes)
            self._embed_text(record)
            return record
        record.clips = self._segment(record)
        record.spans += _read(record, lambda: self._media.on_screen(path, probe, on_stage))
        if probe.video_codec:
            with closing(self._media.clips(path, record.clips)) as media_of_clips:
                self._embed(record, media_of_clips, on_last_frames)
        self._embed_text(record)
        record.seconds = time.monotonic() - self._started
        return record

    def _segment(self, record: ProcessedVideo) -> list[Clip]:
        """Segment by shots or pauses where the config says so and there are any, else into equal windows."""
        config, video, bounds = self._config, record.video, list[float]()
        longest, duration = config.clip_seconds - config.clip_overlap, video.probe.duration
        if config.segment_by == "speech":
            pauses = find_pauses(record.spans)
            bounds = pause_boundaries(pauses, duration, longest=longest) if pauses else []
        elif config.segment_by != "windows" and video.probe.video_codec:
            self._on_stage(record.file.path, "shots")
            cuts = _read(record, lambda: self._reader.shots(record.file.path, video.probe))
            bounds = shot_boundaries(cuts, duration, longest=longest) if cuts else []
        if bounds:
            return segment_at(video.video_id, bounds, overlap=config.clip_overlap)
        return segment(video.video_id, duration, clip_seconds=config.clip_seconds, overlap=config.clip_overlap)

    def _embed(
        self,
        record: ProcessedVideo,
        media_of_clips: Iterator[ClipMedia | MediaError],
        on_last_frames: Callable[[], None],
    ) -> None:
        """Embed the clips in batches, and record their perceptual hashes and what cannot be decoded."""
        path, clips = record.file.path, record.clips
        coverage: dict[Clip, float] = {}
        missing: Counter[str] = Counter()
        for first in range(0, len(clips), BATCH):
            decoded = self._decode(record, clips[first : first + BATCH], media_of_clips, missing)
            if first + BATCH >= len(clips):
                on_last_frames()
            coverage |= {clip: m.frames.coverage for clip, m in decoded.items() if m.frames is not None}
            record.perceptual_hashes |= {c.clip_id: perceptual_hash(m.frames.pixels) for c, m in decoded.items() if m.frames}
            self._on_stage(path, "vectors")
            self.embeddings += len(decoded)
            vectors = self._embedder.embed_clips(list(decoded.values()))
            found_vectors = ((clip, vector) for clip, vector in zip(decoded, vectors, strict=True) if vector is not None)
            record.vectors |= {clip.clip_id: self._to_float16(vector) for clip, vector in found_vectors}
        _add_losses(record, coverage, missing)

    def _embed_text(self, record: ProcessedVideo) -> None:
        """Embed the passages of the text."""
        if self._text_embedder is None:
            return
        self._on_stage(record.file.path, "text vectors")
        texts = list(dict.fromkeys(passage.text for passage in split_passages(record.spans)))
        self.texts += len(texts)
        record.text_vectors = embed_texts(self._text_embedder, texts)

    def _decode(
        self,
        record: ProcessedVideo,
        batch: Sequence[Clip],
        media_of_clips: Iterator[ClipMedia | MediaError],
        missing: Counter[str],
    ) -> dict[Clip, ClipMedia]:
        """Return the media of the clips that can be decoded, and count the error codes of the others."""
        decoded: dict[Clip, ClipMedia] = {}
        for clip in batch:
            self._on_stage(record.file.path, "frames")
            found = next(media_of_clips)
            if isinstance(found, ClipMedia):
                decoded[clip] = found
            elif found.code in TRANSIENT:
                raise found
            else:
                missing[found.code] += 1
        return decoded

    def _to_float16(self, vector: Vector) -> NDArray[np.float16]:
        """Return the vector as it is stored. Raises ModelError for one that is zero or not finite."""
        with np.errstate(over="ignore"):  # an overflow becomes infinite, and is refused
            stored = vector.astype(np.float16)
        if not (np.isfinite(stored).all() and stored.any()):
            raise ModelError(f"the embedder {self._embedder.info} returned a vector that is zero or not finite")
        return stored


def _read(record: ProcessedVideo, read: Callable[[], list[T]]) -> list[T]:
    """Return what is read; a permanent error becomes damage of the video."""
    try:
        return list(read())
    except MediaError as error:
        if error.code in TRANSIENT:
            raise
        record.damage.append(f"{error.code}: {error}")
        return []


def _add_losses(record: ProcessedVideo, coverage: Mapping[Clip, float], missing: Counter[str]) -> None:
    """Add the damage found in clips. Raises MediaError where no clip can be decoded and the file has nothing else."""
    clips = record.clips
    if missing.total() == len(clips) and not record.spans and record.video.probe.audio_codec is None:
        raise MediaError(next(iter(missing)), f"{str(record.file.path)!r}: none of its {len(clips)} clips can be decoded")
    if damaged := [clip for clip, share in coverage.items() if share < 1.0]:
        share = sum(coverage.values()) / len(coverage)
        record.damage.append(f"damaged: {share:.1%} of the packets decoded; something is missing in {_join_spans(damaged)}")
    record.damage += [f"{code}: {count} of {len(clips)} clips could not be decoded" for code, count in missing.items()]


def _describe_incomplete(probe: Probe) -> str:
    declared = probe.duration / max(probe.coverage, 1e-9)
    return f"incomplete: {probe.duration:.1f} of the declared {declared:.1f} s are there ({probe.coverage:.0%})"


def _join_spans(clips: Sequence[Clip]) -> str:
    """Return the times of the clips, adjoining ones joined."""
    joined: list[tuple[float, float]] = []
    for clip in clips:
        start = joined.pop()[0] if joined and joined[-1][1] >= clip.start else clip.start
        joined.append((start, clip.end))
    listed = [f"{timestamp(start)}-{timestamp(end)}" for start, end in joined[:MAX_SPANS]]
    return ", ".join(listed + [f"{len(joined) - MAX_SPANS} more"] * (len(joined) > MAX_SPANS))
