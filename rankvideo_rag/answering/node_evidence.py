"""LlamaIndex's nodes as numbered evidence, with their words in time and what RankVideo left on them."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.schema import MetadataMode, NodeWithScore

from rankvideo_rag.answering.evidence import ANY_LENGTH, Evidence
from rankvideo_rag.answering.support import plain
from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import probe
from rankvideo_rag.nodes import NO_TEXT, NodeClip, node_to_clip
from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

logger = logging.getLogger(__name__)

Words = Callable[[str, float, float], Sequence[TextSpan]]
"""(video_id, start, end) -> the timed words that touch this part of a video."""


def evidence_of(nodes: Sequence[NodeWithScore], words: Words | None) -> list[Evidence]:
    """The clips that these nodes stand for, numbered from 1. Without `words` a node's text is spoken during its whole clip."""
    return [_piece(number, hit, words) for number, hit in enumerate(nodes, start=1)]


def _piece(number: int, hit: NodeWithScore, words: Words | None) -> Evidence:
    clip = node_to_clip(hit.node)
    start = clip.span.start or 0.0
    end = _end(clip) if clip.span.end is None else clip.span.end
    spans = words(clip.video_id, start, end) if words else _spans_of_text(hit, start, end)
    margin = hit.node.metadata.get("rerank_score")
    seen = _seen(hit.node.metadata, start, end)
    return Evidence(number, clip.video_id, clip.span.path, _title(clip), start, end, tuple(spans), margin, seen)


def _title(clip: NodeClip) -> str:
    # Brackets would be read as the end of a citation, an address as a link.
    return clean(plain(clip.title), max_length=200)


def _end(clip: NodeClip) -> float:
    """The end of a clip that is a whole file; its beginning where the file cannot be read, so that no time can be cited."""
    try:
        return probe(clip.span.path).duration
    except MediaError as error:
        logger.warning("the length of %s is unknown: %s", clip.span.path, error)
        return clip.span.start or 0.0


def _seen(metadata: Mapping[str, Any], start: float, end: float) -> Span | None:
    """The window in which RankVideo saw what is asked for, as far as it lies in the clip."""
    if "rerank_start" not in metadata or "rerank_end" not in metadata:
        return None
    seen = Span(max(metadata["rerank_start"], start), min(metadata["rerank_end"], end))
    return seen if seen.start < seen.end else None


def _spans_of_text(hit: NodeWithScore, start: float, end: float) -> list[TextSpan]:
    text = clean(hit.node.get_content(MetadataMode.NONE), max_length=ANY_LENGTH)
    if not text or text == NO_TEXT:
        return []
    return [TextSpan(channel="speech", text=text, start=start, end=end, source="node")]
