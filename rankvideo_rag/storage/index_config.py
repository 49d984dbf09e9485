"""The index config of an archive: every setting and model that decides what is stored for the same bytes."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import ArchiveMismatch
from rankvideo_rag.media import KeyFrameSampling
from rankvideo_rag.models.asr import Transcriber
from rankvideo_rag.models.embedders import Embedder, EmbedderInfo
from rankvideo_rag.models.ocr import OCRReader
from rankvideo_rag.models.text_embedders import TextEmbedder, TextEmbedderInfo
from rankvideo_rag.schema import Record, VideoReader
from rankvideo_rag.settings import FrameSampling, SegmentBy, Settings

KEY_TOLERANCE = 1.0  # seconds between a wanted frame and the key frame that replaces it; twice that at a clip's ends

_OPTIONS = ("clip_seconds", "clip_overlap", "segment_by", "frame_sampling", "video_reader", "audio_only", "subtitles")
TEXT_SETTINGS = ("text_embedder", "text_embedder_model")  # a change of these costs no reading of videos
# Settings that later runs and searches take from the archive.
ARCHIVE_SETTINGS = ("profile", "embedder", "embedder_model", *_OPTIONS, "asr", "asr_model", "ocr", *TEXT_SETTINGS)


class Models(NamedTuple):
    """The loaded models of an indexing run; None for what is switched off."""

    embedder: Embedder
    transcriber: Transcriber | None
    text_reader: OCRReader | None
    text_embedder: TextEmbedder | None = None


class IndexConfig(Record):
    """The settings of an archive and the models that they load."""

    settings: dict[str, Any]  # ARCHIVE_SETTINGS
    embedder: EmbedderInfo
    clip_seconds: float
    clip_overlap: float
    segment_by: SegmentBy
    frame_sampling: FrameSampling
    video_reader: VideoReader
    audio_only: bool
    subtitles: bool
    transcriber: str | None  # with model and revision
    text_reader: str | None
    text_embedder: TextEmbedderInfo | None = None

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        embedder: EmbedderInfo,
        *,
        transcriber: str | None = None,
        text_reader: str | None = None,
        text_embedder: TextEmbedderInfo | None = None,
    ) -> "IndexConfig":
        """Return the config for these settings and the models that they load."""
        return cls(
            settings={name: getattr(settings, name) for name in ARCHIVE_SETTINGS},
            embedder=embedder,
            transcriber=transcriber,
            text_reader=text_reader,
            text_embedder=text_embedder,
            **{name: getattr(settings, name) for name in _OPTIONS},
        )

    def with_text_embedder(self, settings: Settings, info: TextEmbedderInfo | None) -> "IndexConfig":
        """Return this config with another text embedder."""
        chosen = {name: getattr(settings, name) for name in TEXT_SETTINGS}
        return self.model_copy(update={"settings": self.settings | chosen, "text_embedder": info})

    @property
    def fingerprint(self) -> str:
        """A hash of everything that decides the outcome for the same bytes.

        Vectors of text are left out: they can be computed from what is stored.
        """
        relevant = self.model_dump_json(exclude={"settings": True, "embedder": {"model"}, "text_embedder": True})
        return hashlib.sha256(relevant.encode()).hexdigest()[:32]

    @property
    def frame_options(self) -> dict[str, Any]:
        """Arguments of `media.read_frames` for a clip."""
        options = {"budget": self.embedder.frames, "reader": self.video_reader}
        if self.frame_sampling == "exact":
            return options
        min_frames = self.embedder.frames.min_frames if self.frame_sampling == "keyframes" else None
        return options | {"key_frames": KeyFrameSampling(KEY_TOLERANCE, min_frames)}


def resolve_settings(folder: object, config: Mapping[str, Any], given: Settings) -> Settings:
    """Return the archive's settings, overridden by those that were set explicitly.

    Raises ArchiveMismatch if another embedder is named: its vectors are not comparable. A local model may have moved; whether
    it is the same is known once it is loaded (`check_embedder`).
    """
    explicit = {name: getattr(given, name) for name in given.given}
    stored = dict(config["settings"])
    if explicit.get("text_embedder", stored.get("text_embedder")) != stored.get("text_embedder"):
        stored.pop("text_embedder_model", None)  # the stored model is one of the other backend
    for name in ("embedder", "embedder_model"):
        if name in explicit and explicit[name] != stored[name] and not Path(str(explicit[name])).exists():
            raise _mismatch(folder, str(EmbedderInfo(**config["embedder"])), f"{given.embedder}:{given.embedder_model or ''}")
    return Settings.load(**(stored | explicit))


def check_embedder(folder: object, config: Mapping[str, Any], info: EmbedderInfo) -> None:
    """Raise ArchiveMismatch, with the differences, unless this embedder made the archive's vectors."""
    stored = EmbedderInfo(**config["embedder"])
    differ = [name for name in EmbedderInfo.model_fields if getattr(stored, name) != getattr(info, name)]
    if stored.revision is not None and stored.revision == info.revision:
        differ = [name for name in differ if name != "model"]  # the same weights under another name or path
    if differ:
        details = ", ".join(f"{name} {getattr(stored, name)!r} / {getattr(info, name)!r}" for name in differ)
        raise _mismatch(folder, str(stored), f"{info}; they differ in {details}")


def is_same_text_embedder(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Return whether two text embedders, as JSON, give comparable vectors: the same weights may have another name or path."""
    if one is None or other is None:
        return one is other
    known = one["revision"] is not None
    return all(one[name] == other[name] for name in TextEmbedderInfo.model_fields if name != "model" or not known)


def check_text_embedder(folder: object, config: Mapping[str, Any], info: TextEmbedderInfo) -> None:
    """Raise ArchiveMismatch unless this text embedder made the archive's vectors of passages."""
    stored = config.get("text_embedder")
    if not is_same_text_embedder(stored, info.model_dump(mode="json")):
        made = f"made with the text embedder {TextEmbedderInfo(**stored)}" if stored else "made without a text embedder"
        raise ArchiveMismatch(
            f"the passages of the archive at {folder} were {made}, not with {info}. Leave out the text embedder to use the "
            f"archive's, or embed its text again, which reads no video: rankvideo update {folder} --text-embedder "
            f"{info.backend} --text-embedder-model {info.model}"
        )


def _mismatch(folder: object, stored: str, given: str) -> ArchiveMismatch:
    return ArchiveMismatch(
        f"the archive at {folder} was made with the embedder {stored}, not with {given}. "
        f"Leave out the embedder and the profile to use the archive's, or index the videos into another folder."
    )
