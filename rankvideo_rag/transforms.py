"""VideoClips: media files to clip nodes inside somebody's own LlamaIndex pipeline, made by the code that makes an archive.

No archive is written: what a node lacks beside one of an archive is the store behind it, so the words are searched by
whatever the pipeline ends in. Here LlamaIndex's nodes are known, and the drafts of `indexing`.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from llama_index.core.schema import BaseNode, TransformComponent
from pydantic import Field, PrivateAttr

from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.draft import Draft, Drafter
from rankvideo_rag.indexing.file_state import compute_video_id, read_file_state
from rankvideo_rag.indexing.prefetch import Ahead
from rankvideo_rag.indexing.run import IndexRun, prepare
from rankvideo_rag.nodes import clip_to_node, node_to_clip
from rankvideo_rag.schema import Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.tables import TEXT_CHANNELS
from rankvideo_rag.storage.text_rows import text_within
from rankvideo_rag.storage.writer import title_of

logger = logging.getLogger(__name__)


class VideoClips(TransformComponent):
    """Each node that names a media file becomes the nodes of its clips, as `VideoArchive` gives them, with their vectors.

    A node's text is what is said, shown and written of the clip; its embedding is the embedder's vector of what is seen (and
    heard, where the embedder hears), so that a question's vector must come from that embedder too: `embed_query`. A clip
    without one, as of a recording without a picture, has no embedding: the next component may give it one.

    A pipeline's cache goes by a node's text and metadata, not by the file: whoever replaces files under the same name has to
    put something that changes (its time, its hash) into the metadata.

    Args:
        options: those of Settings, such as {"embedder": "scripted", "clip_seconds": 10}.
        on_error: "raise" raises the MediaError of a file that cannot be read, "skip" logs it and goes on.
    """

    options: dict[str, Any] = Field(default_factory=dict)
    on_error: Literal["raise", "skip"] = "raise"
    _run: IndexRun | None = PrivateAttr(None)

    @classmethod
    def class_name(cls) -> str:
        """How LlamaIndex calls it."""
        return "VideoClips"

    def __call__(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[BaseNode]:
        """The clips of these files, in order."""
        return [clip for node in nodes for clip in self._clips_of(node)]

    def embed_query(self, question: str) -> list[float] | None:
        """The vector of a question, to be compared with those of the clips; None where the embedder has none for it."""
        models = self._loaded().models
        assert models is not None  # a run for no archive has its models
        vector = models.embedder.embed_queries([question])[0]
        return None if vector is None else vector.tolist()

    def _loaded(self) -> IndexRun:
        if self._run is None:
            self._run = prepare(None, (), Settings.load(**self.options))
        return self._run

    def _clips_of(self, node: BaseNode) -> Iterator[BaseNode]:
        path = Path(node_to_clip(node).span.path)
        try:
            video, draft = self._draft(path)
        except MediaError as error:
            if self.on_error == "raise":
                raise
            logger.warning("%s is left out: %s: %s", path, error.code, error)
            return
        if draft.damage:
            logger.warning("%s: %s", path, "; ".join(draft.damage))
        for clip in draft.clips:
            words = (text_within(draft.spans, channel, clip.start, clip.end) for channel in TEXT_CHANNELS)
            made = clip_to_node(video, clip, "\n".join(text for text in words if text))
            vector = draft.vectors.get(clip.clip_id)
            made.embedding = None if vector is None else vector.astype(float).tolist()
            yield made

    def _draft(self, path: Path) -> tuple[Video, Draft]:
        run = self._loaded()
        assert run.models is not None
        with closing(Ahead(run.config, run.limits, run.models)) as ahead:
            probe = ahead.probe(path, read_file_state(path, subtitles=run.config.subtitles))
            video = Video(video_id=compute_video_id(path), path=str(path), title=title_of(probe, path), probe=probe)
            drafter = Drafter(run.config, run.models, run.limits, lambda path, stage: None, ahead)
            return video, drafter.draft(path, video, subtitles_of=path, kept=None)
