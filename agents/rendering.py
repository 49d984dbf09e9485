"""What agents read: clips, transcripts and answers as compact text. All words of videos are untrusted: cleaned and cut short.

This file knows no archive and no models.
"""

import math
from collections.abc import Iterator, Sequence

from llama_index.core.schema import NodeWithScore

from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.schema import Answer, Citation, Hit, TextSpan, Video
from rankvideo_rag.text import clean, timestamp

MAX_HITS = 20
MAX_TEXT = 4_000  # characters of a transcript or an answer, beside one line that says that it was cut
_WORDS_OF_HIT, _WORDS_OF_SPAN, _TITLE = 240, 1_000, 100  # characters


def found(query: str, hits: Sequence[NodeWithScore]) -> str:
    """Clips as a numbered list."""
    if not hits:
        return f"Nothing in the archive matches {_short(query, _TITLE)!r}. Try other words, or fewer."
    lines = [_clip(line, hit) for line, hit in zip(nodes_to_hits(hits), hits, strict=True)]
    return "\n".join(lines)


def transcript(video: Video, spans: Sequence[TextSpan], start: float, end: float) -> str:
    """The words of a video that touch [start, end), in order of time, cut where they become too many."""
    asked = sorted((span for span in spans if span.start < end and span.end > start), key=lambda span: (span.start, span.end))
    stop = min(end, video.probe.duration)
    head = f"video_id={video.video_id} {_title(video.title)} {_span(start, stop)} of {timestamp(video.probe.duration)}"
    if not asked:
        return f"{head}\n{_where_else(spans)}"
    return "\n".join([head, *_within_limit(asked)])


def answered(answer: Answer) -> str:
    """An answer with its evidence."""
    text = _short(answer.text, MAX_TEXT)
    if not answer.answered:
        return f"{text} search_videos with other words may show what it holds."
    removed = len(answer.removed_citations)
    note = [f"(Citations that did not hold and were taken out: {removed})"] if removed else []
    return "\n".join([text, *note, "Evidence:", *map(_evidence, answer.citations[:MAX_HITS])])


def _clip(line: Hit, hit: NodeWithScore) -> str:
    start, end = line.start or 0.0, line.end
    time = _span(start, end) if end is not None else f"from {timestamp(start)}"
    words = f"\n   words: {_short(line.text, _WORDS_OF_HIT)}" if line.text else ""
    return f"{line.rank}. video_id={line.video_id} {time} {_title(line.title)}{_verdict(hit)}{words}"


def _verdict(hit: NodeWithScore) -> str:
    """Nothing where no judge was asked."""
    if "rerank_status" not in hit.node.metadata:
        return ""
    return " (not judged)" if hit.score is None else f" (relevance {hit.score:+.1f})"


def _within_limit(spans: Sequence[TextSpan]) -> Iterator[str]:
    room = MAX_TEXT
    for number, span in enumerate(spans):
        line = f"{_span(span.start, span.end)} {span.channel}: {_short(span.text, _WORDS_OF_SPAN)}"
        room -= len(line) + 1
        if room < 0:
            yield f"… {len(spans) - number} more lines: call again with start='{timestamp(span.start)}' or later"
            return
        yield line


def _where_else(spans: Sequence[TextSpan]) -> str:
    if not spans:
        return "No words are known of this video: search_videos finds what can be seen in it."
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    return f"No words are known of this time; the video has words between {timestamp(first)} and {_end(last)}."


def _evidence(citation: Citation) -> str:
    quote = f": “{_short(citation.quote, _WORDS_OF_HIT)}”" if citation.quote else ""
    return f"- video_id={citation.video_id} {_span(citation.start, citation.end)} {_title(citation.title)}{quote}"


def _span(start: float, end: float) -> str:
    return f"{timestamp(start)}-{_end(end)}"


def _end(seconds: float) -> str:
    # Rounded up: what lies between the times as written holds all that lay between the times as measured.
    return timestamp(math.ceil(seconds))


def _title(title: str) -> str:
    return f'"{_short(title, _TITLE)}"'


def _short(text: str, limit: int) -> str:
    text = clean(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
