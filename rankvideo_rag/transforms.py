"""LlamaIndex transformation that turns media files into clip nodes, for use in an ingestion pipeline without an archive."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from llama_index.core.schema import BaseNode, TransformComponent
from pydantic import Field, PrivateAttr

from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.build import IndexJob
from rankvideo_rag.indexing.extract import ProcessedVideo, VideoProcessor
from rankvideo_rag.indexing.file_state import MediaFile, compute_video_id, read_file_state
from rankvideo_rag.indexing.run import prepare
from rankvideo_rag.nodes import clip_to_node, node_to_clip
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.database import TEXT_CHANNELS
from rankvideo_rag.storage.index_config import Models
from rankvideo_rag.storage.text_rows import text_within

logger = logging.getLogger(__name__)


class VideoClips(TransformComponent):
    """Replace each node that names a media file by the nodes of its clips, with text and vectors as in a `VideoArchive`.

    A node's text is the clip's speech, on-screen text and description. Its embedding is made by the video embedder, so queries
    must be embedded with `embed_query`. A clip without a vector, as of an audio file, has no embedding: a later component may
    add one.

    The cache of a pipeline is keyed by a node's text and metadata, not by the file: put something that changes with the file
    (its modification time or hash) into the metadata if files are replaced under the same name.

    Args:
        options: options of Settings, such as {"embedder": "scripted", "clip_seconds": 10}.
        on_error: "raise" raises the MediaError of a file that cannot be read, "skip" logs it and continues.
    """

    options: dict[str, Any] = Field(default_factory=dict)
    on_error: Literal["raise", "skip"] = "raise"
    _job: IndexJob | None = PrivateAttr(None)

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex serialises the component."""
        return "VideoClips"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[BaseNode]:
        """Return the nodes of the files' clips, in order."""
        return [clip for node in nodes for clip in self._clips_of(node)]

    def embed_query(self, question: str) -> list[float] | None:
        """Return the vector of a question, comparable with those of the clips; None where the embedder takes no text."""
        vector = self._load()[1].embedder.embed_queries([question])[0]
        return None if vector is None else vector.tolist()

    def _load(self) -> tuple[IndexJob, Models]:
        if self._job is None:
            self._job = prepare(None, (), Settings.load(**{"text_embedder": "none"} | self.options)).job
        assert self._job.models is not None
        return self._job, self._job.models

    def _clips_of(self, node: BaseNode) -> Iterator[BaseNode]:
        path = Path(node_to_clip(node).span.path)
        try:
            processed = self._process(path)
        except MediaError as error:
            if self.on_error == "raise":
                raise
            logger.warning("%s is left out: %s: %s", path, error.code, error)
            return
        if processed.damage:
            logger.warning("%s: %s", path, "; ".join(processed.damage))
        for clip in processed.clips:
            texts = (text_within(processed.spans, channel, clip.start, clip.end) for channel in TEXT_CHANNELS)
            clip_node = clip_to_node(processed.video, clip, "\n".join(text for text in texts if text))
            vector = processed.vectors.get(clip.clip_id)
            clip_node.embedding = None if vector is None else vector.astype(float).tolist()
            yield clip_node

    def _process(self, path: Path) -> ProcessedVideo:
        job, models = self._load()
        file = MediaFile(path, read_file_state(path, subtitles=job.config.subtitles))
        processor = VideoProcessor(job.config, models, job.limits)
        probe = processor.probe(file)
        return processor.process(file, compute_video_id(path), probe)
