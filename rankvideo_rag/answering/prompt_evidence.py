"""Select the evidence that fits a prompt's token budget, and report what was left out.

Each clip gets an equal share of the tokens; what one clip does not need is divided among the others. So no clip can displace
another one from the prompt, however long its text is.
"""

import base64
from collections.abc import Callable, Iterator, Sequence
from math import ceil
from typing import Literal, NamedTuple

import numpy as np

from rankvideo_rag.answering.coverage import question_coverage
from rankvideo_rag.answering.evidence import Evidence, format_span
from rankvideo_rag.answering.options import AnswerOptions
from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import Frames, MediaLimits, read_frames
from rankvideo_rag.models.video_inputs import png_base64
from rankvideo_rag.schema import FrameBudget, OmittedEvidence, PromptUsage, TextSpan

BYTES_PER_TOKEN = 3  # English text has more, most other scripts about as many: this overestimates the tokens
ESTIMATE = f"estimate: UTF-8 bytes / {BYTES_PER_TOKEN}"
# The most expensive of three published rules (255 tokens for a tile of 512x512, one for 32x32 pixels, one for 750 pixels).
PIXELS_PER_TOKEN = 750
_LINE_BREAK = 1  # tokens
_MAX_FRAME_SHARE = 0.5  # of the token budget
_BUDGET_REASON = "the prompt's token budget"


class TokenCounter(NamedTuple):
    """A function that counts the tokens of a text, and its name in reports."""

    count: Callable[[str], int]
    name: str


class EvidenceFrame(NamedTuple):
    """A frame of a numbered clip."""

    number: int  # of the evidence
    time: float  # seconds from the start of the video
    png: bytes
    tokens: int  # estimated


class PromptEvidence(NamedTuple):
    """The evidence that one prompt contains."""

    question: str
    evidence: list[Evidence]  # with the text that fits
    frames: list[EvidenceFrame]
    usage: PromptUsage


class FittedFrames(NamedTuple):
    """Frames that fit a prompt, and those that do not."""

    frames: list[EvidenceFrame]
    omitted: list[OmittedEvidence]

    @property
    def tokens(self) -> int:
        return sum(frame.tokens for frame in self.frames)


class FittedText(NamedTuple):
    """Clips whose text fits a prompt, and what does not."""

    evidence: list[Evidence]
    tokens: int
    omitted: list[OmittedEvidence]


def estimate_tokens(text: str) -> int:
    """Estimate the number of tokens of a text, for models without a known tokenizer.

    >>> estimate_tokens("nine"), estimate_tokens("九点")
    (2, 2)
    """
    return ceil(len(text.encode()) / BYTES_PER_TOKEN)


def fit_evidence(
    question: str, evidence: Sequence[Evidence], *, options: AnswerOptions, budget: int, counter: TokenCounter
) -> PromptEvidence:
    """Return the frames, for at most half of `budget` tokens, and the text that fits the rest."""
    fitted = FittedFrames([], [])
    if options.frames:
        frame_budget = int(budget * _MAX_FRAME_SHARE)
        fitted = fit_frames(evidence, frames=options.frames, budget=frame_budget, limits=options.limits)
    text = fit_text(question, evidence, budget=budget - fitted.tokens, count=counter.count)
    numbers = {piece.number for piece in text.evidence}
    shown = [frame for frame in fitted.frames if frame.number in numbers]
    usage = PromptUsage(
        budget=budget,
        used=text.tokens + sum(frame.tokens for frame in shown),
        counted_by=counter.name,
        frames=len(shown),
        omitted=(*text.omitted, *fitted.omitted),
    )
    return PromptEvidence(question, text.evidence, shown, usage)


def fit_frames(evidence: Sequence[Evidence], *, frames: int, budget: int, limits: MediaLimits = MediaLimits()) -> FittedFrames:
    """Read up to `frames` frames of each clip, best clips first, until `budget` tokens are used.

    Frames are spread over the window that RankVideo's score came from, else over the whole clip. For a clip that cannot be
    read, the reason is reported.
    """
    fitted = FittedFrames([], [])
    for piece in evidence:
        try:
            read = _read_evidence_frames(piece, frames, limits)
        except MediaError as error:
            fitted.omitted.append(_omitted(piece, "frames", frames, frames, f"{error.code}: {error}"))
            continue
        kept = read[: max(budget - fitted.tokens, 0) // read[0].tokens]
        fitted.frames.extend(kept)
        if missing := len(read) - len(kept):
            fitted.omitted.append(_omitted(piece, "frames", missing, len(read)))
    return fitted


def _read_evidence_frames(piece: Evidence, count: int, limits: MediaLimits) -> list[EvidenceFrame]:
    span = piece.window or piece
    if span.start >= span.end:
        raise MediaError("no_length", "the length of the clip is unknown")
    # Read twice as many frames and keep every second one, so that none lies at the edge of the span.
    twice = FrameBudget(max_frames=2 * count, min_frames=2 * count)
    read = read_frames(piece.path, span.start, span.end, budget=twice, limits=limits)
    if not len(read):
        raise MediaError("no_frames", "no frame is on screen in this clip")
    places = np.unique(((np.arange(count) + 0.5) * len(read) / count).astype(int))
    chosen = Frames(read.pixels[places], read.times[places])
    _, height, width, _ = chosen.pixels.shape
    tokens = ceil(height * width / PIXELS_PER_TOKEN)
    encoded = png_base64(chosen)
    return [
        EvidenceFrame(piece.number, float(time), base64.b64decode(png), tokens)
        for time, png in zip(chosen.times, encoded, strict=True)
    ]


def fit_text(question: str, evidence: Sequence[Evidence], *, budget: int, count: Callable[[str], int]) -> FittedText:
    """Return the clips, best first, with as much of their text as `budget` tokens hold.

    Of a clip with too much text, the spans that match the question and those in the window that RankVideo scored are kept
    first. If not even the headers of all clips fit, the last clips are left out.
    """
    shown, omitted = list(evidence), []
    while shown and sum(_header_cost(piece, count) for piece in shown) > budget:
        omitted.append(_omitted(shown.pop(), "clip", 1, 1))
    costs = [_cost(piece, count) for piece in shown]
    fitted = []
    for piece, cost, share in zip(shown, costs, divide_budget(costs, budget), strict=True):
        kept = piece if cost <= share else _truncate(question, piece, share, count)
        fitted.append(kept)
        if missing := _word_count(piece) - _word_count(kept):
            omitted.append(_omitted(piece, "text", missing, _word_count(piece)))
    return FittedText(fitted, sum(_cost(piece, count) for piece in fitted), omitted)


def divide_budget(costs: Sequence[int], budget: int) -> list[int]:
    """Divide a budget fairly (max-min): no share exceeds its cost, and what one does not need goes to the others.

    >>> divide_budget([10, 50, 90], 100)
    [10, 45, 45]
    """
    left, shares = budget, [0] * len(costs)
    for waiting, index in zip(range(len(costs), 0, -1), sorted(range(len(costs)), key=lambda i: costs[i]), strict=True):
        shares[index] = min(costs[index], left // waiting)
        left -= shares[index]
    return shares


def _header_cost(piece: Evidence, count: Callable[[str], int]) -> int:
    return count(piece.format_header()) + 2 * _LINE_BREAK


def _cost(piece: Evidence, count: Callable[[str], int]) -> int:
    return _header_cost(piece, count) + sum(count(format_span(span)) + _LINE_BREAK for span in piece.spans)


def _truncate(question: str, piece: Evidence, budget: int, count: Callable[[str], int]) -> Evidence:
    left = budget - _header_cost(piece, count)
    kept: dict[int, TextSpan] = {}
    for index in _spans_by_priority(question, piece):
        span = _truncate_span(piece.spans[index], left - _LINE_BREAK, count)
        if span is not None:
            kept[index] = span
            left -= count(format_span(span)) + _LINE_BREAK
    return piece._replace(spans=tuple(kept[index] for index in sorted(kept)))


def _spans_by_priority(question: str, piece: Evidence) -> Iterator[int]:
    """Return indices of spans: those that match the question first, then those in the window that RankVideo scored."""
    coverage = [question_coverage(question, span.text, span.channel) for span in piece.spans]
    # Subtitles may split a sentence: neighbours share their priority.
    nearby = [max(coverage[max(i - 1, 0) : i + 2]) for i in range(len(coverage))]
    window = piece.window
    in_window = [window is not None and span.start < window.end and span.end > window.start for span in piece.spans]
    yield from sorted(range(len(coverage)), key=lambda i: (-nearby[i], not in_window[i], i))


def _truncate_span(span: TextSpan, budget: int, count: Callable[[str], int]) -> TextSpan | None:
    """Return the span with as many of its first words as the budget holds; None if it holds no word."""
    words = span.text.split()
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = count(format_span(span.model_copy(update={"text": " ".join(words[:middle])}))) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return None if not low else span if low == len(words) else span.model_copy(update={"text": " ".join(words[:low])})


def _word_count(piece: Evidence) -> int:
    return sum(len(span.text.split()) for span in piece.spans)


def _omitted(
    piece: Evidence, kind: Literal["clip", "text", "frames"], count: int, total: int, reason: str = _BUDGET_REASON
) -> OmittedEvidence:
    return OmittedEvidence(
        title=piece.title, start=piece.start, end=piece.end, kind=kind, count=count, total=total, reason=reason
    )
