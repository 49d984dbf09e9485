"""Score pairs of a question and a span of a video pointwise, as RankVideo does (arXiv 2602.02444, section 3).

Each span is decoded once for all its questions, while the model runs on the previous ones.
"""

import json
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Self

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.media import Frames, MediaLimits, read_frames
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import NO_CONTEXT, ClipContext, PromptSpec
from rankvideo_rag.ranking.cache import ScoreCache, open_cache, score_key
from rankvideo_rag.ranking.reasoning import NO_REASONING, Reasoning, rescore_with_reasoning
from rankvideo_rag.ranking.scores import TIMED_OUT, score_prompts
from rankvideo_rag.ranking.windows import NO_WINDOWS, Windowing
from rankvideo_rag.schema import Score
from rankvideo_rag.settings import Settings


class VideoSpan(NamedTuple):
    """A span of a video file; None stands for the file's beginning or end."""

    path: str
    start: float | None = None  # seconds
    end: float | None = None


class Pair(NamedTuple):
    """A question and the span of a video to score it against."""

    question: str
    span: VideoSpan
    context: ClipContext = NO_CONTEXT  # shown to the model if the prompt has a place for it


@dataclass(frozen=True)
class ScoringOptions:
    """How pairs are scored: everything apart from the model, its prompt and the pairs.

    At most three times `batch_size` spans are in memory. What has not begun by `deadline` fails with `timeout`; a call to the
    model that has begun is not cut short.
    """

    windows: Windowing = NO_WINDOWS  # how long spans are divided
    reasoning: Reasoning = NO_REASONING
    cache: ScoreCache | None = None
    deadline: float | None = None  # a moment of `time.monotonic()`
    limits: MediaLimits = MediaLimits()  # what one call into the decoder may cost
    batch_size: int = 4  # spans whose prompts go to the model in one call
    decoders: int = 2  # threads that decode the next spans meanwhile

    @classmethod
    def from_settings(cls, settings: Settings, *, batch_size: int = 4) -> Self:
        """Return the options that these settings ask for, with the score cache opened."""
        return cls(
            windows=Windowing.from_settings(settings),
            reasoning=Reasoning.from_settings(settings),
            cache=open_cache(settings.score_cache),
            limits=MediaLimits.from_settings(settings),
            batch_size=batch_size,
        )


def score_spans(vlm: VLM, spec: PromptSpec, pairs: Sequence[Pair], options: ScoringOptions = ScoringOptions()) -> list[Score]:
    """Score each pair, in the order given, without dividing spans into windows (`scorer.score_pairs` divides them).

    Equal pairs are scored once, and those in the cache not at all. The model is asked about `batch_size` spans at a time, each
    with all its questions side by side on the same Frames. What cannot be scored is explained by its Score.
    """
    asked: dict[VideoSpan, dict[Pair, None]] = {}  # of each span, each once, in the order of the pairs
    for pair in pairs:
        asked.setdefault(pair.span, {})[pair] = None
    scorer = _Scorer(vlm, spec, options)
    ahead = 2 * options.batch_size + 1
    scores: dict[Pair, Score] = {}
    with closing(prefetch_map(scorer.decode, asked.items(), ahead=ahead, threads=options.decoders)) as spans:
        while batch := list(islice(spans, options.batch_size)):
            scores |= scorer.score(batch)
            batch.clear()  # frees their frames before the next ones are awaited
    return [scores[pair] for pair in pairs]


def score_unreadable(error: MediaError) -> Score:
    """Return the score of a span that cannot be decoded. A recording without a picture is not a failure."""
    return Score(status="abstained" if error.code == "no_video" else "failed", reason=f"{error.code}: {error}")


class _DecodedSpan(NamedTuple):
    frames: Frames | None  # None where nothing is left to ask of the model
    known: dict[Pair, Score]
    keys: dict[Pair, str]  # keys in the cache; empty without one
    unknown: list[Pair]


class _Scorer(NamedTuple):
    """What is the same for all spans of one call of `score_spans`."""

    vlm: VLM
    spec: PromptSpec
    options: ScoringOptions

    def decode(self, asked: tuple[VideoSpan, Collection[Pair]]) -> _DecodedSpan:
        """Look up the scores of a span's pairs, and decode it where some are unknown. Runs in a background thread."""
        span, pairs = asked
        keys = self._cache_keys(span, pairs)
        known = self._cached(keys)
        unknown = [pair for pair in pairs if pair not in known]
        frames = self._read_frames(span) if unknown else None
        if isinstance(frames, Score):
            return _DecodedSpan(None, known | dict.fromkeys(unknown, frames), keys, [])
        return _DecodedSpan(frames, known, keys, unknown)

    def score(self, spans: Sequence[_DecodedSpan]) -> dict[Pair, Score]:
        """Score all pairs of these spans in one call to the model."""
        prompts = {
            pair: self.spec.prompt(pair.question, span.frames, pair.context)
            for span in spans
            if span.frames is not None
            for pair in span.unknown
        }
        asked, labels, deadline = list(prompts.values()), self.spec.labels, self.options.deadline
        first = score_prompts(self.vlm, asked, labels, deadline=deadline)
        final = rescore_with_reasoning(self.vlm, asked, first, labels, reasoning=self.options.reasoning, deadline=deadline)
        found = dict(zip(prompts, final, strict=True))
        for pair, key in ((pair, key) for span in spans for pair, key in span.keys.items() if pair in found):
            # A reason beside a margin means that something is missing from it: it is tried again next time.
            if self.options.cache is not None and found[pair].reason is None:
                self.options.cache.put(key, found[pair])
        return {pair: score for span in spans for pair, score in span.known.items()} | found

    def _read_frames(self, span: VideoSpan) -> Frames | Score:
        limits, deadline = self.options.limits, self.options.deadline
        if deadline is not None:
            limits = limits._replace(seconds=min(limits.seconds, deadline - time.monotonic()))
        if limits.seconds <= 0:
            return TIMED_OUT
        try:
            return read_frames(span.path, span.start, span.end, budget=self.spec.frames, limits=limits)
        except MediaError as error:
            return score_unreadable(error)
        except InputError as error:
            return Score(status="failed", reason=f"no_span: {error}")

    def _cache_keys(self, span: VideoSpan, pairs: Collection[Pair]) -> dict[Pair, str]:
        if self.options.cache is None:
            return {}
        try:
            content = self.options.cache.content_of(span.path)
        except MediaError:  # decoding fails in the same way, and its Score says so
            return {}
        reasoning = self.options.reasoning
        variant = "" if reasoning.mode == "never" else reasoning.model_dump_json()
        variants = {pair: variant + json.dumps(pair.context) if self._is_shown(pair) else variant for pair in pairs}
        made_of = {"model": self.vlm.name, "spec": self.spec.fingerprint, "content": content}
        return {
            pair: score_key(**made_of, start=span.start, end=span.end, question=pair.question, variant=variants[pair])
            for pair in pairs
        }

    def _is_shown(self, pair: Pair) -> bool:
        return bool(self.spec.context) and pair.context != NO_CONTEXT

    def _cached(self, keys: Mapping[Pair, str]) -> dict[Pair, Score]:
        if self.options.cache is None:
            return {}
        found = {pair: self.options.cache.get(key) for pair, key in keys.items()}
        return {pair: score for pair, score in found.items() if score is not None}
