"""Score pairs of a question and a video span, long spans window by window; the best window is the evidence.

With `max_windows` the windows are chosen coarse to fine, under a budget of frames.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import probe
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan, score_spans, score_unreadable
from rankvideo_rag.ranking.reasoning import NO_REASONING
from rankvideo_rag.ranking.scores import TIMED_OUT, deadline_passed, explain_unscored, rank_by_margin
from rankvideo_rag.ranking.windows import CoarsePlan, Span, combine_windows, plan_coarse_pass, plan_windows
from rankvideo_rag.schema import Score


def score_pairs(vlm: VLM, spec: PromptSpec, pairs: Sequence[Pair], options: ScoringOptions = ScoringOptions()) -> list[Score]:
    """Score each pair, in the order given; spans longer than `options.windows.seconds` are divided into windows.

    Each span is decoded once for all its questions. The start and end of a Score are those of the window with the best margin.
    What cannot be scored is explained by its Score; nothing is raised for it.
    """
    if options.windows.seconds is None:
        return score_spans(vlm, spec, pairs, options)
    scorer = _WindowedScorer(vlm, spec, options)
    planned = {span: scorer.plan(span) for span in dict.fromkeys(pair.span for pair in pairs)}
    divided = {pair: found for pair in pairs if isinstance(found := planned[pair.span], list)}
    chosen = scorer.choose_windows(divided)
    detailed = scorer.score_windows({pair: found for pair, found in chosen.items() if isinstance(found, list)})
    scores = {pair: found for pair in pairs if isinstance(found := planned[pair.span], Score)}
    scores |= {pair: found for pair, found in chosen.items() if isinstance(found, Score)}
    scores |= {pair: combine_windows(found, options.windows) for pair, found in detailed.items()}
    return [scores[pair] for pair in pairs]


@dataclass(frozen=True)
class _WindowedScorer:
    vlm: VLM
    spec: PromptSpec
    options: ScoringOptions

    def plan(self, span: VideoSpan) -> list[Span] | Score:
        """Return the windows of a span, or the Score that says why there are none."""
        windows, start, end = self.options.windows, span.start or 0.0, span.end
        if end is not None and windows.seconds is not None and end - start <= windows.seconds:
            return [Span(start, end)]
        if deadline_passed(self.options.deadline):
            return TIMED_OUT
        try:
            length = probe(span.path, limits=self.options.limits).duration
        except MediaError as error:
            return score_unreadable(error)
        end = length if end is None else min(end, length)  # the end in a node's metadata may be anything
        if end <= start:
            return Score(status="failed", reason=f"no_span: the clip begins at {start} s, and the file ends at {length} s")
        return plan_windows(start, end, windows)

    def score_windows(self, divided: Mapping[Pair, list[Span]]) -> dict[Pair, dict[Span, Score]]:
        """Score every window of every pair."""
        origins = [(pair, window) for pair, windows in divided.items() for window in windows]
        parts = [pair._replace(span=VideoSpan(pair.span.path, window.start, window.end)) for pair, window in origins]
        scores: dict[Pair, dict[Span, Score]] = defaultdict(dict)
        for (pair, window), score in zip(origins, score_spans(self.vlm, self.spec, parts, self.options), strict=True):
            scores[pair][window] = score
        return scores

    def choose_windows(self, divided: Mapping[Pair, list[Span]]) -> Mapping[Pair, list[Span] | Score]:
        """Return the windows to score in detail: all, or the best of a coarse pass; a Score where that pass gave no margin."""
        limit, most = self.options.windows.max_windows, self.spec.frames.max_frames
        if limit is None:
            return divided
        plans = {
            pair: plan_coarse_pass(windows, budget=limit * most, max_frames=most)
            for pair, windows in divided.items()
            if len(windows) > limit
        }
        chosen: dict[Pair, list[Span] | Score] = dict(divided)
        for frames in {plan.frames for plan in plans.values()}:
            parts = {pair: list(plan.parts) for pair, plan in plans.items() if plan.frames == frames}
            for pair, scores in self._coarse(frames).score_windows(parts).items():
                chosen[pair] = _best_windows(scores, plans[pair], limit)
        return chosen

    def _coarse(self, frames: int) -> "_WindowedScorer":
        """Return a scorer that reads at most so many frames of a window, and does not reason."""
        budget = self.spec.frames
        fewer = budget.model_copy(update={"max_frames": frames, "min_frames": min(frames, budget.min_frames)})
        spec = self.spec.model_copy(update={"frames": fewer})
        return replace(self, spec=spec, options=replace(self.options, reasoning=NO_REASONING))


def _best_windows(scores: Mapping[Span, Score], plan: CoarsePlan, count: int) -> list[Span] | Score:
    if all(score.margin is None for score in scores.values()):
        return explain_unscored(list(scores.values()))
    parts = list(scores)
    ranked = [parts[i] for i in rank_by_margin(list(scores.values()))]
    return sorted([window for part in ranked for window in plan.parts[part]][:count])
