"""From media files to a written archive, one file after the other: what is unchanged costs a stat and nothing else.

For each file: known? -> hash -> probe -> clips -> words -> vectors -> one transaction. Every file ends in exactly one outcome.
This file draws no progress bars: it tells a listener what it does.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag import media
from rankvideo_rag.embedders import Embedder
from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.files import file_hash
from rankvideo_rag.indexing.recipe import Recipe
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.indexing.store import KnownFile, Store
from rankvideo_rag.indexing.words import TextReader, Transcriber
from rankvideo_rag.indexing.writer import Writer, writing
from rankvideo_rag.media import ClipMedia, Limits
from rankvideo_rag.schema import Clip, FileOutcome, Outcome, Probe, TextSpan, Video
from rankvideo_rag.text import clean

logger = logging.getLogger(__name__)

Stage = Literal["hash", "probe", "subtitles", "speech", "on-screen", "frames", "vectors", "commit"]
BATCH = 8  # clips whose frames are held at once
# Reasons that may be gone at the next run; every other one stays until the file changes.
TRANSIENT = frozenset({"changed", "crash", "io", "timeout"})


class Event(NamedTuple):
    """What the indexer is doing: a stage of a file begun, or a file done."""

    path: Path
    stage: Stage | None
    done: FileOutcome | None = None
    unchanged: bool = False


class Tools(NamedTuple):
    """The models that make words and vectors; None for a kind of words that is switched off."""

    embedder: Embedder
    transcriber: Transcriber | None
    text_reader: TextReader | None


class Report(NamedTuple):
    """What became of every file given, and what it cost."""

    files: tuple[FileOutcome, ...]
    unchanged: int  # of the files, how many were known already
    decodes: int  # calls into the media decoder
    embeddings: int  # clips given to the embedder
    seconds: float

    def count(self, outcome: Outcome) -> int:
        """How many files ended so."""
        return sum(file.outcome == outcome for file in self.files)


class _Draft(NamedTuple):
    """A video before it is written."""

    clips: list[Clip]
    spans: list[TextSpan]
    vectors: dict[str, NDArray[np.float16]]  # clip_id -> (dim,)
    damage: list[str]  # what is missing of it, in words


def build(
    store: Store,
    paths: Sequence[Path],
    recipe: Recipe,
    tools: Tools,
    *,
    limits: Limits = Limits(),
    listen: Callable[[Event], None] = lambda event: None,
) -> Report:
    """Bring the archive up to date with the files. Interrupted, it leaves every finished video in place.

    Raises ArchiveLocked when another process writes the archive, ArchiveError when the disk does not take the writes.
    """
    began, decodes = time.monotonic(), media.decode_calls()
    with writing(store) as writer:
        if store.recipe != recipe.model_dump(mode="json"):
            writer.set_recipe(recipe.model_dump(mode="json"))
        indexer = _Indexer(store, writer, recipe, tools, limits, listen)
        files = tuple(indexer.index(path) for path in paths)
    return Report(files, indexer.unchanged, media.decode_calls() - decodes, indexer.embeddings, time.monotonic() - began)


class _Indexer:
    """One run over some files."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        recipe: Recipe,
        tools: Tools,
        limits: Limits,
        listen: Callable[[Event], None],
    ) -> None:
        self._store, self._writer, self._recipe, self._tools = store, writer, recipe, tools
        self._limits, self._listen = limits, listen
        self._hash = recipe.fingerprint
        self.unchanged = 0
        self.embeddings = 0

    def index(self, path: Path) -> FileOutcome:
        known = self._known(path)
        if known:
            self.unchanged += 1
        outcome = known or self._index_new(path)
        self._listen(Event(path, None, outcome, unchanged=known is not None))
        return outcome

    def _known(self, path: Path) -> FileOutcome | None:
        """The outcome on record, if the file is as it was then and the recipe too, and trying again would be no use."""
        known = self._store.file(path)
        if known is None or known.recipe != self._hash or known.outcome.outcome == "failed":
            return None
        try:
            return known.outcome if (known.size, known.mtime_ns) == _state(path) else None
        except MediaError:  # said again, in words, when it is tried
            return None

    def _index_new(self, path: Path) -> FileOutcome:
        state = (0, 0)
        try:
            state = _state(path)
            return self._index_content(path, state)
        except MediaError as error:
            verdict: Outcome = "failed" if error.code in TRANSIENT else "skipped"
            outcome = FileOutcome(path=str(path), outcome=verdict, reason=f"{error.code}: {error}")
        except ModelError as error:
            outcome = FileOutcome(path=str(path), outcome="failed", reason=f"model: {error}")
        self._writer.put_file(KnownFile(*state, self._hash, outcome))
        return outcome

    def _index_content(self, path: Path, state: tuple[int, int]) -> FileOutcome:
        self._at(path, "probe")
        probe = media.probe(str(path), limits=self._limits)
        self._at(path, "hash")
        video_id = file_hash(path)[:32]
        twin = self._store.outcome_of_content(video_id, self._hash)
        if twin:
            outcome = FileOutcome(path=str(path), outcome=twin[0], reason=twin[1], clips=twin[2], video_id=video_id)
            self._writer.put_file(KnownFile(*state, self._hash, outcome))
            return outcome
        video = Video(video_id=video_id, path=str(path), title=clean(probe.title or path.stem, max_length=200), probe=probe)
        draft = self._draft(path, video)
        if _state(path) != state:
            raise MediaError("changed", f"{str(path)!r} changed while it was read: it is tried again at the next run")
        outcome = FileOutcome(
            path=str(path),
            outcome="partial" if draft.damage else "ok",
            reason="; ".join(draft.damage) or None,
            clips=len(draft.clips),
            video_id=video_id,
        )
        self._at(path, "commit")
        self._writer.put_video(video, draft.clips, draft.spans, draft.vectors, file=KnownFile(*state, self._hash, outcome))
        return outcome

    def _draft(self, path: Path, video: Video) -> _Draft:
        probe, recipe = video.probe, self._recipe
        damage = [] if probe.coverage > 0.995 else [f"incomplete: {probe.coverage:.0%} of the declared duration is there"]
        clips = segment(video.video_id, probe.duration, clip_seconds=recipe.clip_seconds, overlap=recipe.clip_overlap)
        spans: list[TextSpan] = []
        for read in (self._speech, self._on_screen):
            try:
                spans += read(path, probe)
            except MediaError as error:
                if error.code in TRANSIENT:
                    raise
                damage.append(f"{error.code}: {error}")
        vectors = self._vectors(path, clips, damage) if probe.video_codec else {}
        return _Draft(clips, spans, vectors, damage)

    def _speech(self, path: Path, probe: Probe) -> list[TextSpan]:
        """What is said: from subtitles, else heard."""
        self._at(path, "subtitles")
        spans = media.read_subtitles(str(path), limits=self._limits) if self._recipe.subtitles else []
        if spans or self._tools.transcriber is None or probe.audio_codec is None:
            return spans
        self._at(path, "speech")
        audio = media.read_audio(str(path), limits=self._limits)
        return [] if audio is None else self._tools.transcriber.transcribe(audio)

    def _on_screen(self, path: Path, probe: Probe) -> list[TextSpan]:
        """What is written in the picture."""
        if self._tools.text_reader is None or probe.video_codec is None:
            return []
        self._at(path, "on-screen")
        frames = media.read_key_frames(str(path), max_pixels=1280 * 720, limits=self._limits)
        return self._tools.text_reader.read(frames, end=probe.duration)

    def _vectors(self, path: Path, clips: Sequence[Clip], damage: list[str]) -> dict[str, NDArray[np.float16]]:
        """The vectors of the clips that could be watched; what could not be is added to `damage`."""
        found: dict[str, NDArray[np.float16]] = {}
        coverage: list[float] = []
        missing: Counter[str] = Counter()
        for batch in _batches(clips, BATCH):
            watched: list[tuple[Clip, ClipMedia]] = []
            for clip in batch:
                try:
                    watched.append((clip, self._watch(path, clip)))
                except MediaError as error:
                    if error.code in TRANSIENT:
                        raise
                    missing[error.code] += 1
            coverage += [m.frames.coverage for _, m in watched if m.frames is not None]
            self._at(path, "vectors")
            self.embeddings += len(watched)
            vectors = self._tools.embedder.embed_clips([m for _, m in watched])
            found |= {
                clip.clip_id: vector.astype(np.float16)
                for (clip, _), vector in zip(watched, vectors, strict=True)
                if vector is not None
            }
        if coverage and min(coverage) < 1.0:
            damage.append(f"damaged: {sum(coverage) / len(coverage):.1%} of the packets decoded")
        damage += [f"{code}: {count} of {len(clips)} clips could not be watched" for code, count in missing.items()]
        return found

    def _watch(self, path: Path, clip: Clip) -> ClipMedia:
        self._at(path, "frames")
        info = self._tools.embedder.info
        frames = media.read_frames(str(path), clip.start, clip.end, **info.frames.model_dump(), limits=self._limits)
        hears = "audio" in info.modalities
        return ClipMedia(frames, media.read_audio(str(path), clip.start, clip.end, limits=self._limits) if hears else None)

    def _at(self, path: Path, stage: Stage) -> None:
        self._listen(Event(path, stage))


def _state(path: Path) -> tuple[int, int]:
    """Size in bytes and time of change in ns; raises MediaError where even that is not to be had."""
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        if path.is_symlink():
            raise MediaError("broken_link", f"{str(path)!r} is a link that leads nowhere") from error
        raise MediaError("vanished", f"{str(path)!r} is not there any more") from error
    except OSError as error:
        raise MediaError("io", f"{str(path)!r}: {error.strerror}") from error
    return stat.st_size, stat.st_mtime_ns


def _batches(clips: Sequence[Clip], size: int) -> Iterator[Sequence[Clip]]:
    return (clips[i : i + size] for i in range(0, len(clips), size))
