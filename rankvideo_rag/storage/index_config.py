"""How the videos of an archive are made: everything that decides what is stored for the same bytes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import ArchiveMismatch
from rankvideo_rag.media import KeyFrameSampling
from rankvideo_rag.models.asr import Transcriber
from rankvideo_rag.models.embedders import Embedder, EmbedderInfo
from rankvideo_rag.models.ocr import OCRReader
from rankvideo_rag.schema import Record
from rankvideo_rag.settings import FrameSampling, SegmentBy, Settings

KEY_TOLERANCE = 1.0  # seconds by which a key frame may lie off the time that is wanted, twice as many at a clip's ends

# The settings that an archive remembers, so that a later run or question need not repeat them.
ARCHIVE_SETTINGS = (
    "profile",
    "embedder",
    "embedder_model",
    "clip_seconds",
    "clip_overlap",
    "segment_by",
    "frame_sampling",
    "audio_only",
    "subtitles",
    "asr",
    "asr_model",
    "ocr",
)


class Models(NamedTuple):
    """The models that make words and vectors; None for a kind of words that is switched off."""

    embedder: Embedder
    transcriber: Transcriber | None
    text_reader: OCRReader | None


class IndexConfig(Record):
    """The settings of an archive with the models they stand for."""

    settings: dict[str, Any]  # the ARCHIVE_SETTINGS ones
    embedder: EmbedderInfo
    clip_seconds: float
    clip_overlap: float
    segment_by: SegmentBy
    frame_sampling: FrameSampling
    audio_only: bool
    subtitles: bool
    transcriber: str | None  # with model and revision
    text_reader: str | None

    @property
    def fingerprint(self) -> str:
        """A hash of all that decides the outcome for the same bytes."""
        relevant = self.model_dump_json(exclude={"settings": True, "embedder": {"model"}})
        return hashlib.sha256(relevant.encode()).hexdigest()[:32]

    @property
    def frame_options(self) -> dict[str, Any]:
        """How the frames of a clip are read: the arguments of `media.read_frames`."""
        if self.frame_sampling == "exact":
            return {"budget": self.embedder.frames}
        min_frames = self.embedder.frames.min_frames if self.frame_sampling == "keyframes" else None
        return {"budget": self.embedder.frames, "key_frames": KeyFrameSampling(KEY_TOLERANCE, min_frames)}

    @classmethod
    def from_settings(
        cls, settings: Settings, embedder: EmbedderInfo, *, transcriber: str | None = None, text_reader: str | None = None
    ) -> "IndexConfig":
        """Return the config for these settings and the models that they load."""
        return cls(
            settings={name: getattr(settings, name) for name in ARCHIVE_SETTINGS},
            embedder=embedder,
            clip_seconds=settings.clip_seconds,
            clip_overlap=settings.clip_overlap,
            segment_by=settings.segment_by,
            frame_sampling=settings.frame_sampling,
            audio_only=settings.audio_only,
            subtitles=settings.subtitles,
            transcriber=transcriber,
            text_reader=text_reader,
        )


def resolve_settings(folder: object, config: Mapping[str, Any], given: Settings) -> Settings:
    """The archive's remembered settings, overridden by those that were given.

    Raises ArchiveMismatch when another embedder is named: its vectors would not be comparable. A local model may lie elsewhere
    than it did: whether it is the same one is known once it is loaded (`check_embedder`).
    """
    asked = {name: getattr(given, name) for name in given.given}
    # What was remembered for the sake of a reranker is not another's.
    stale = {"keep_order_below"} if asked.keys() & {"reranker", "reranker_model"} else set()
    remembered = {name: value for name, value in config["settings"].items() if name not in stale}
    for name in ("embedder", "embedder_model"):
        if name in asked and asked[name] != remembered[name] and not Path(str(asked[name])).exists():
            raise _mismatch(folder, str(EmbedderInfo(**config["embedder"])), f"{given.embedder}:{given.embedder_model or ''}")
    return Settings.load(**(remembered | asked))


def check_embedder(folder: object, config: Mapping[str, Any], info: EmbedderInfo) -> None:
    """Raise ArchiveMismatch, naming both, unless the archive's vectors were made by this very embedder."""
    made_with = EmbedderInfo(**config["embedder"])
    differ = [name for name in EmbedderInfo.model_fields if getattr(made_with, name) != getattr(info, name)]
    if made_with.revision is not None and made_with.revision == info.revision:
        differ = [name for name in differ if name != "model"]  # the same weights under another name or in another place
    if differ:
        details = ", ".join(f"{name} {getattr(made_with, name)!r} / {getattr(info, name)!r}" for name in differ)
        raise _mismatch(folder, str(made_with), f"{info}; they differ in {details}")


def _mismatch(folder: object, made_with: str, asked: str) -> ArchiveMismatch:
    return ArchiveMismatch(
        f"the archive at {folder} was made with the embedder {made_with}, not with {asked}. "
        f"Leave the embedder and the profile to the archive, or index the videos into another folder."
    )
