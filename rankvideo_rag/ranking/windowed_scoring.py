"""Long clips judged window by window, coarse to fine under a budget of frames; the best window is the evidence.

It asks `pointwise.judge` about parts of clips, as `windows` says.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import MediaLimits, probe
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.cache import ScoreCache
from rankvideo_rag.ranking.pointwise import Pair, VideoSpan, score_pairs, score_unreadable
from rankvideo_rag.ranking.reasoning import NO_REASONING, Reasoning
from rankvideo_rag.ranking.scores import TIMED_OUT, deadline_passed, explain_unscored, rank_by_margin
from rankvideo_rag.ranking.windows import CoarsePlan, Span, Windowing, combine_windows, plan_coarse_pass, plan_windows
from rankvideo_rag.schema import Score


def score_pairs_in_windows(
    vlm: VLM,
    spec: PromptSpec,
    pairs: Sequence[Pair],
    windows: Windowing,
    *,
    batch_size: int = 4,
    limits: MediaLimits = MediaLimits(),
    reasoning: Reasoning = NO_REASONING,
    cache: ScoreCache | None = None,
    deadline: float | None = None,
    decoders: int = 2,
) -> list[Score]:
    """`judge`, each clip divided as `windows` say; a score tells the window that carried it as start and end.

    Nothing is reasoned about in a coarse look. The options are those of `judge`.
    """

    def look(spec: PromptSpec, pairs: Sequence[Pair], reasoning: Reasoning) -> list[Score]:
        return score_pairs(
            vlm,
            spec,
            pairs,
            batch_size=batch_size,
            limits=limits,
            reasoning=reasoning,
            cache=cache,
            deadline=deadline,
            decoders=decoders,
        )

    if windows.seconds is None:
        return look(spec, pairs, reasoning)
    spans = {clip: _spans(clip, windows, limits, deadline) for clip in dict.fromkeys(pair.span for pair in pairs)}
    divided = {pair: found for pair in pairs if isinstance(found := spans[pair.span], list)}
    chosen = _chosen(look, spec, divided, windows)
    close = {pair: found for pair, found in chosen.items() if isinstance(found, list)}
    seen = _look(look, spec, close, reasoning)
    told = {pair: found for pair in pairs if isinstance(found := spans[pair.span], Score)}
    told |= {pair: found for pair, found in chosen.items() if isinstance(found, Score)}
    told |= {pair: combine_windows(scores, windows) for pair, scores in seen.items()}
    return [told[pair] for pair in pairs]


_Scorer = Callable[[PromptSpec, Sequence[Pair], Reasoning], list[Score]]


def _spans(clip: VideoSpan, windows: Windowing, limits: MediaLimits, deadline: float | None) -> "list[Span] | Score":
    """The windows of a clip, or why there are none."""
    start, end = clip.start or 0.0, clip.end
    if end is not None and windows.seconds is not None and end - start <= windows.seconds:
        return [Span(start, end)]
    if deadline_passed(deadline):
        return TIMED_OUT
    try:
        length = probe(clip.path, limits=limits).duration
    except MediaError as error:
        return score_unreadable(error)
    # A node's word for its end may be anything.
    end = length if end is None else min(end, length)
    if end <= start:
        return Score(status="failed", reason=f"no_span: the clip begins at {start} s, and the file ends at {length} s")
    return plan_windows(start, end, windows)


def _look(
    score: _Scorer, spec: PromptSpec, divided: Mapping[Pair, list[Span]], reasoning: Reasoning
) -> dict[Pair, dict[Span, Score]]:
    """The score of every window of every pair."""
    whose = [(pair, span) for pair, spans in divided.items() for span in spans]
    parts = [Pair(pair.question, VideoSpan(pair.span.path, span.start, span.end)) for pair, span in whose]
    seen: dict[Pair, dict[Span, Score]] = defaultdict(dict)
    for (pair, span), found in zip(whose, score(spec, parts, reasoning), strict=True):
        seen[pair][span] = found
    return seen


def _chosen(
    score: _Scorer, spec: PromptSpec, divided: Mapping[Pair, list[Span]], windows: Windowing
) -> dict[Pair, list[Span] | Score]:
    """The windows to look at closely: all, or the best of a coarse look; the score where that look had nothing to tell."""
    chosen: dict[Pair, list[Span] | Score] = dict(divided)
    if windows.max_windows is None:
        return chosen
    budget, most = windows.max_windows * spec.frames.max_frames, spec.frames.max_frames
    coarse = {
        pair: plan_coarse_pass(spans, budget=budget, most_frames=most)
        for pair, spans in divided.items()
        if len(spans) > windows.max_windows
    }
    for frames in {look.frames for look in coarse.values()}:
        parts = {pair: list(look.parts) for pair, look in coarse.items() if look.frames == frames}
        for pair, scores in _look(score, _with_frames(spec, frames), parts, NO_REASONING).items():
            chosen[pair] = _best(scores, coarse[pair], windows.max_windows)
    return chosen


def _best(scores: Mapping[Span, Score], coarse: CoarsePlan, most: int) -> list[Span] | Score:
    if all(score.margin is None for score in scores.values()):
        return explain_unscored(list(scores.values()))
    looked = list(scores)
    ranked = [looked[i] for i in rank_by_margin(list(scores.values()))]
    return sorted([span for part in ranked for span in coarse.parts[part]][:most])


def _with_frames(spec: PromptSpec, frames: int) -> PromptSpec:
    few = spec.frames.model_copy(update={"max_frames": frames, "min_frames": min(frames, spec.frames.min_frames)})
    return spec.model_copy(update={"frames": few})
