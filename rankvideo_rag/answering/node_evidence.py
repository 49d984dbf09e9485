"""Convert LlamaIndex nodes to numbered evidence."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.schema import MetadataMode, NodeWithScore

from rankvideo_rag.answering.evidence import UNLIMITED, Evidence, sanitize_for_display
from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import MediaLimits, probe
from rankvideo_rag.nodes import NO_TEXT, NodeClip, node_to_clip
from rankvideo_rag.ranking.windows import Span
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

logger = logging.getLogger(__name__)

CONTEXT = 180.0  # seconds of text before and after a clip, in which a sentence of the clip is understood

TextLookup = Callable[[str, float, float], Sequence[TextSpan]]
"""(video_id, start, end) -> the timed text that overlaps this part of a video."""


def nodes_to_evidence(
    nodes: Sequence[NodeWithScore], text_lookup: TextLookup | None, limits: MediaLimits = MediaLimits()
) -> list[Evidence]:
    """Return the clips of these nodes, numbered from 1.

    Without `text_lookup`, a node's text counts as spoken during its whole clip.
    """
    return [_node_to_evidence(number, hit, text_lookup, limits) for number, hit in enumerate(nodes, start=1)]


def _node_to_evidence(number: int, hit: NodeWithScore, text_lookup: TextLookup | None, limits: MediaLimits) -> Evidence:
    clip = node_to_clip(hit.node)
    start = clip.span.start or 0.0
    end = _read_duration(clip, limits) if clip.span.end is None else clip.span.end
    return Evidence(
        number=number,
        video_id=clip.video_id,
        path=clip.span.path,
        title=clean(sanitize_for_display(clip.title), max_length=200),
        start=start,
        end=end,
        spans=tuple(text_lookup(clip.video_id, start, end) if text_lookup else _spans_of_text(hit, start, end)),
        around=tuple(text_lookup(clip.video_id, max(start - CONTEXT, 0.0), end + CONTEXT)) if text_lookup else (),
        margin=hit.node.metadata.get("rerank_score"),
        window=_scored_window(hit.node.metadata, start, end),
        relevance=hit.node.metadata.get("relevance"),
        relevance_picture=hit.node.metadata.get("relevance_picture"),
        relevance_text=hit.node.metadata.get("relevance_text"),
    )


def timed_text(hit: NodeWithScore, text_lookup: TextLookup | None) -> Sequence[TextSpan]:
    """Return the timed text of a node: what `text_lookup` gives for its span, else its own text."""
    start, end = (hit.node.metadata.get(key) for key in ("start", "end"))
    video_id = hit.node.metadata.get("video_id")
    if text_lookup and video_id is not None and start is not None and end is not None:
        return text_lookup(video_id, start, end)
    return _spans_of_text(hit, 0.0, 0.0)


def _read_duration(clip: NodeClip, limits: MediaLimits) -> float:
    """Return the end of a clip that is a whole file; its start if the file cannot be read, so that no time can be cited."""
    try:
        return probe(clip.span.path, limits=limits).duration
    except MediaError as error:
        logger.warning("cannot read the duration of %s: %s", clip.span.path, error)
        return clip.span.start or 0.0


def _scored_window(metadata: Mapping[str, Any], start: float, end: float) -> Span | None:
    """Return the window that RankVideo's score came from, limited to the clip."""
    if "rerank_start" not in metadata or "rerank_end" not in metadata:
        return None
    window = Span(max(metadata["rerank_start"], start), min(metadata["rerank_end"], end))
    return window if window.start < window.end else None


def _spans_of_text(hit: NodeWithScore, start: float, end: float) -> list[TextSpan]:
    text = clean(hit.node.get_content(MetadataMode.NONE), max_length=UNLIMITED)
    if not text or text == NO_TEXT:
        return []
    return [TextSpan(channel="speech", text=text, start=start, end=end, source="node")]
