"""RankVideo's pointwise verdict (arXiv 2602.02444, section 3) on pairs of a question and footage, decoded while the model runs.

A clip is decoded once for all its questions; what cannot be watched or judged is told by its Score. Knows no nodes or archives.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import NamedTuple

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.media import Frames, MediaLimits, read_frames
from rankvideo_rag.models.vlm import VLM, Prompt
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.cache import ScoreCache, score_key
from rankvideo_rag.ranking.reasoning import NO_REASONING, Reasoning, rescore_with_reasoning
from rankvideo_rag.ranking.scores import TIMED_OUT, score_prompts
from rankvideo_rag.schema import Score


class VideoSpan(NamedTuple):
    """A span of a file, to be watched; None stands for its beginning or end."""

    path: str
    start: float | None = None  # seconds
    end: float | None = None


class Pair(NamedTuple):
    """What is judged."""

    question: str
    span: VideoSpan


def score_pairs(
    vlm: VLM,
    spec: PromptSpec,
    pairs: Sequence[Pair],
    *,
    batch_size: int = 4,
    limits: MediaLimits = MediaLimits(),
    reasoning: Reasoning = NO_REASONING,
    cache: ScoreCache | None = None,
    deadline: float | None = None,
    decoders: int = 2,
) -> list[Score]:
    """A score for each pair, in the order given; equal pairs are judged once, and those in `cache` not at all.

    The model is asked about `batch_size` clips at a time, each with all its questions side by side on the same Frames. The
    next ones are decoded meanwhile, `decoders` at a time: at most three times `batch_size` clips are in memory. What has not
    begun by `deadline`, a moment of `time.monotonic()`, is `failed`; a call to the model that has begun is not cut short.
    """
    questions: dict[VideoSpan, dict[str, None]] = {}  # of each clip, each once, in the order of the pairs
    for pair in pairs:
        questions.setdefault(pair.span, {})[pair.question] = None
    session = _Session(vlm, spec, limits, reasoning, cache, deadline)
    scores: dict[Pair, Score] = {}
    with closing(prefetch_map(session.watch, questions.items(), ahead=2 * batch_size + 1, threads=decoders)) as clips:
        while batch := list(islice(clips, batch_size)):
            scores |= session.score(batch)
            batch.clear()  # their frames make room before the next ones are waited for
    return [scores[pair] for pair in pairs]


class _Clip(NamedTuple):
    """A clip as it comes from the decoder."""

    span: VideoSpan
    frames: Frames | None  # None where nothing is left to ask of the model
    scores: dict[str, Score]  # question -> what is known without asking
    keys: dict[str, str]  # question -> key in the cache; empty without one
    open_questions: list[str]


class _Session(NamedTuple):
    """What is the same for all clips of one call of `judge`."""

    vlm: VLM
    spec: PromptSpec
    limits: MediaLimits
    reasoning: Reasoning
    cache: ScoreCache | None
    deadline: float | None

    def watch(self, asked: tuple[VideoSpan, Collection[str]]) -> _Clip:
        """A clip with what is known of its questions, and its frames where that is not all. Runs in a background thread."""
        footage, questions = asked
        keys = self._keys(footage, questions)
        known = self._kept(keys)
        unknown = [question for question in questions if question not in known]
        frames = self._frames(footage) if unknown else None
        if isinstance(frames, Score):
            return _Clip(footage, None, known | dict.fromkeys(unknown, frames), keys, [])
        return _Clip(footage, frames, known, keys, unknown)

    def score(self, clips: Sequence[_Clip]) -> dict[Pair, Score]:
        """The scores of all questions of these clips; the model is asked once."""
        known = {Pair(question, clip.span): score for clip in clips for question, score in clip.scores.items()}
        prompts = {
            Pair(question, clip.span): self.spec.prompt(question, clip.frames)
            for clip in clips
            if clip.frames is not None
            for question in clip.open_questions
        }
        keys = {Pair(question, clip.span): key for clip in clips for question, key in clip.keys.items()}
        found = dict(zip(prompts, self._ask(list(prompts.values())), strict=True))
        for pair, score in found.items():
            if self.cache is not None and pair in keys and score.status == "ok" and score.reason is None:
                self.cache.put(keys[pair], score)
        return known | found

    def _ask(self, prompts: Sequence[Prompt]) -> list[Score]:
        verdicts = score_prompts(self.vlm, prompts, self.spec.labels, deadline=self.deadline)
        return rescore_with_reasoning(
            self.vlm, prompts, verdicts, self.spec.labels, reasoning=self.reasoning, deadline=self.deadline
        )

    def _frames(self, footage: VideoSpan) -> Frames | Score:
        seconds = self.limits.seconds if self.deadline is None else min(self.limits.seconds, self.deadline - time.monotonic())
        if seconds <= 0:
            return TIMED_OUT
        limits = self.limits._replace(seconds=seconds)
        try:
            return read_frames(footage.path, footage.start, footage.end, budget=self.spec.frames, limits=limits)
        except MediaError as error:
            return score_unreadable(error)
        except InputError as error:
            return Score(status="failed", reason=f"no_span: {error}")

    def _keys(self, footage: VideoSpan, questions: Collection[str]) -> dict[str, str]:
        if self.cache is None:
            return {}
        try:
            content = self.cache.content_of(footage.path)
        except MediaError:  # decoding will say the same, in a Score
            return {}
        variant = "" if self.reasoning.mode == "never" else self.reasoning.model_dump_json()
        made_of = {"model": self.vlm.name, "spec": self.spec.fingerprint, "content": content, "variant": variant}
        return {
            question: score_key(**made_of, start=footage.start, end=footage.end, question=question) for question in questions
        }

    def _kept(self, keys: Mapping[str, str]) -> dict[str, Score]:
        found = {question: self.cache.get(key) for question, key in keys.items()} if self.cache is not None else {}
        return {question: score for question, score in found.items() if score is not None}


def score_unreadable(error: MediaError) -> Score:
    """What is to be said of a clip that cannot be watched. A recording without a picture is no fault."""
    return Score(status="abstained" if error.code == "no_video" else "failed", reason=f"{error.code}: {error}")
