"""Format clips, transcripts and answers as compact text for agents. All text of videos is cleaned and truncated."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_index.core.schema import NodeWithScore

from rankvideo_rag.nodes import MODALITIES, nodes_to_hits
from rankvideo_rag.schema import Answer, Citation, Hit, TextSpan, Video
from rankvideo_rag.text import clean, timestamp

MAX_HITS = 20
MAX_TEXT = 4_000  # characters of a transcript or an answer, besides the line that reports the truncation
_HIT_TEXT, _SPAN_TEXT, _TITLE = 240, 1_000, 100  # characters


def format_hits(query: str, nodes: Sequence[NodeWithScore]) -> str:
    """Return clips as a numbered list."""
    if not nodes:
        return f"Nothing in the archive matches {_truncate(query, _TITLE)!r}. Try other words, or fewer."
    return "\n".join(_format_hit(hit, node) for hit, node in zip(nodes_to_hits(nodes), nodes, strict=True))


def format_transcript(video: Video, spans: Sequence[TextSpan], start: float, end: float) -> str:
    """Return the text of a video that overlaps [start, end) in order of time, truncated if it is too long."""
    inside = sorted((span for span in spans if span.start < end and span.end > start), key=lambda span: (span.start, span.end))
    time = _format_span(start, min(end, video.probe.duration))
    header = f"video_id={video.video_id} {_title(video.title)} {time} of {timestamp(video.probe.duration)}"
    return "\n".join([header, *(_format_spans(inside) if inside else [_no_text(spans)])])


def format_answer(answer: Answer) -> str:
    """Return an answer with its evidence."""
    text = _truncate(answer.text, MAX_TEXT)
    if not answer.answered:
        return f"{text} Try search_videos with other words to see what it contains."
    removed = len(answer.removed_citations)
    note = [f"(Invalid citations that were removed: {removed})"] if removed else []
    return "\n".join([text, *note, "Evidence:", *map(_format_citation, answer.citations[:MAX_HITS])])


def _format_hit(hit: Hit, node: NodeWithScore) -> str:
    start, end = hit.start or 0.0, hit.end
    time = _format_span(start, end) if end is not None else f"from {timestamp(start)}"
    relevance = ""
    if "rerank_status" in node.node.metadata:
        relevance = " (not scored)" if node.score is None else f" ({_format_relevance(node.node.metadata)})"
    text = f"\n   text: {_truncate(hit.text, _HIT_TEXT)}" if hit.text else ""
    return f"{hit.rank}. video_id={hit.video_id} {time} {_title(hit.title)}{relevance}{text}"


def _format_relevance(metadata: Mapping[str, Any]) -> str:
    scored = [modality for modality in MODALITIES if f"relevance_{modality}" in metadata]
    modalities = ", ".join(f"{modality} {metadata[f'relevance_{modality}']:.2f}" for modality in scored)
    return f"relevance {metadata['relevance']:.2f}: {modalities}"


def _format_spans(spans: Sequence[TextSpan]) -> Iterator[str]:
    left = MAX_TEXT
    for number, span in enumerate(spans):
        line = f"{_format_span(span.start, span.end)} {span.channel}: {_truncate(span.text, _SPAN_TEXT)}"
        left -= len(line) + 1
        if left < 0:
            yield f"… {len(spans) - number} more lines: call again with start='{timestamp(span.start)}' or later"
            return
        yield line


def _no_text(spans: Sequence[TextSpan]) -> str:
    if not spans:
        return "This video has no text: use search_videos to find what it shows."
    time = _format_span(min(span.start for span in spans), max(span.end for span in spans))
    return f"There is no text in this time range; the video has text in {time}."


def _format_citation(citation: Citation) -> str:
    quote = f": “{_truncate(citation.quote, _HIT_TEXT)}”" if citation.quote else ""
    return f"- video_id={citation.video_id} {_format_span(citation.start, citation.end)} {_title(citation.title)}{quote}"


def _format_span(start: float, end: float) -> str:
    # The end is rounded up, so that the written range contains the measured one.
    return f"{timestamp(start)}-{timestamp(math.ceil(end))}"


def _title(title: str) -> str:
    return f'"{_truncate(title, _TITLE)}"'


def _truncate(text: str, limit: int) -> str:
    text = clean(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
