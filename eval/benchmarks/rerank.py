"""Time of scoring: many questions on one video, together and one by one; one question on many videos, end to end.

What is compared is measured in the same run, in turns; each figure is the median of its repeats.
"""

import os
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.eval.benchmarks.stages import measure_stages, synchronized_time
from rankvideo_rag.eval.benchmarks.videos import render_videos
from rankvideo_rag.media import Frames, read_frames
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, VIDEO_FIRST
from rankvideo_rag.models.vlm.transformers import TransformersVLM
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.schema import Record

COUNTS = (1, 4, 16, 64)  # questions on one video
_DECODERS = 1  # beside the model, which on a CPU gets the other cores
_BATCH = 4  # clips


class StageCost(Record):
    """Time of one stage of scoring, and the tokens that it processes; None where it processes none."""

    seconds: float
    tokens: int | None = None


class QuestionBatchCost(Record):
    """Time for that many questions on one decoded video."""

    one_by_one: float  # seconds, the published prompt, one call for each
    together: float  # seconds, video first, one call
    pairs_per_second: dict[str, float]


class DecodeOverlap(Record):
    """One question on many videos, in seconds."""

    videos: int
    decode_only: float
    model_only: float
    end_to_end: float


class RerankReport(Record):
    """The results of one benchmark of reranking."""

    model: str
    device: str
    threads: int  # of the model, on a CPU
    repeats: int
    frames: str  # that every question is asked of
    questions: dict[int, QuestionBatchCost]
    speedup: dict[int, float]  # one by one over together
    speedup_with_decode: dict[int, float]  # the same, a decoding of the video added to both
    stages: dict[str, dict[str, StageCost]]  # for 16 questions, or as many as there are
    overlap: float  # end to end over the slower of decode only and model only
    overlap_seconds: DecodeOverlap
    peak_memory_bytes: int  # of the GPU, or of this process on a CPU
    largest_margin_difference: float  # nats: a question among others against the same prompt alone


def benchmark_rerank(
    vlm: TransformersVLM, folder: Path, *, counts: Sequence[int] = COUNTS, videos: int = 24, repeats: int = 3
) -> RerankReport:
    """Measure a model on videos that are rendered into `folder`. On a CPU it leaves one core to the decoder."""
    if vlm.network.device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 2) - _DECODERS))
    paths = render_videos(folder, videos)
    shown = _read(paths[0])
    decode = median(_seconds(_read, paths[0]) for _ in range(max(5, repeats)))
    questions = [f"a red square moves to the left of blue circle number {number}" for number in range(max(counts))]
    _one_by_one(vlm, shown, questions[:1])  # warm-up: the first call loads kernels
    timed = _many_questions(vlm, shown, questions, counts, repeats)
    overlap = _many_videos(vlm, paths, repeats)
    return RerankReport(
        model=vlm.name,
        device=_device(vlm),
        threads=torch.get_num_threads(),
        repeats=repeats,
        frames=f"{len(shown)} frames of {shown.pixels.shape[2]}x{shown.pixels.shape[1]}",
        questions={count: _figures(count, cost) for count, cost in timed.items()},
        speedup={count: cost.one_by_one / cost.together for count, cost in timed.items()},
        speedup_with_decode={count: (decode + cost.one_by_one) / (decode + cost.together) for count, cost in timed.items()},
        stages=_stages(vlm, shown, questions[: min(16, max(counts))], decode),
        overlap=overlap.end_to_end / max(overlap.decode_only, overlap.model_only),
        overlap_seconds=overlap,
        peak_memory_bytes=_peak_memory(),
        largest_margin_difference=_largest_difference(vlm, shown, questions[:4]),
    )


class _Cost(NamedTuple):
    one_by_one: float  # seconds
    together: float


def _many_questions(
    vlm: TransformersVLM, shown: Frames, questions: Sequence[str], counts: Sequence[int], repeats: int
) -> dict[int, _Cost]:
    """Return the seconds by number of questions; for n questions one by one, the first n of all are summed."""
    alone: list[list[float]] = []
    together: list[dict[int, float]] = []
    for _ in range(repeats):
        alone.append([_seconds(_one_by_one, vlm, shown, [question]) for question in questions])
        together.append({n: _seconds(_together, vlm, shown, questions[:n]) for n in counts})
    return {n: _Cost(median(sum(times[:n]) for times in alone), median(times[n] for times in together)) for n in counts}


def _many_videos(vlm: TransformersVLM, paths: Sequence[Path], repeats: int) -> DecodeOverlap:
    question = "a red square moves to the left"
    # The same few videos, as separate Frames objects: a hundred decoded videos would not fit into memory.
    held = [_read(path) for path in paths[:_BATCH]]

    def decode_only() -> None:
        for _ in prefetch_map(_read, paths, ahead=_BATCH + 1, threads=_DECODERS):
            pass

    def model_only() -> None:
        for at in range(0, len(paths), _BATCH):
            batch = [Frames(frames.pixels, frames.times) for frames in held[: len(paths) - at]]
            vlm.label_logprobs([RANKVIDEO.prompt(question, frames) for frames in batch], RANKVIDEO.labels)

    def end_to_end() -> None:
        pairs = [Pair(question, VideoSpan(str(path))) for path in paths]
        score_pairs(vlm, RANKVIDEO, pairs, ScoringOptions(batch_size=_BATCH, decoders=_DECODERS))

    rounds = [[_seconds(work) for work in (decode_only, model_only, end_to_end)] for _ in range(repeats)]
    decode, model, end = (median(times) for times in zip(*rounds, strict=True))
    return DecodeOverlap(videos=len(paths), decode_only=decode, model_only=model, end_to_end=end)


def _stages(vlm: TransformersVLM, shown: Frames, questions: Sequence[str], decode: float) -> dict[str, dict[str, StageCost]]:
    """Return seconds and tokens by stage, both ways; `other` is the rest: chat template, log-probabilities, copies."""
    found: dict[str, dict[str, StageCost]] = {}
    for way, ask in (("one by one", _one_by_one), ("together", _together)):
        with measure_stages(vlm) as stages:
            total = _seconds(ask, vlm, shown, questions)
        measured = {name: StageCost(seconds=stages.seconds[name], tokens=stages.tokens[name]) for name in stages.seconds}
        other = StageCost(seconds=max(0.0, total - sum(stages.seconds.values())))
        found[way] = {"decode": StageCost(seconds=decode)} | measured | {"other": other}
    return found


def _one_by_one(vlm: TransformersVLM, shown: Frames, questions: Sequence[str]) -> None:
    for question in questions:
        vlm.label_logprobs([RANKVIDEO.prompt(question, shown)], RANKVIDEO.labels)


def _together(vlm: TransformersVLM, shown: Frames, questions: Sequence[str]) -> list[float]:
    """Return the margins."""
    answers = vlm.label_logprobs([VIDEO_FIRST.prompt(question, shown) for question in questions], VIDEO_FIRST.labels)
    return [answer.values[0] - answer.values[1] for answer in answers if answer.values]


def _largest_difference(vlm: TransformersVLM, shown: Frames, questions: Sequence[str]) -> float:
    alone = [margin for question in questions for margin in _together(vlm, shown, [question])]
    return max(abs(a - b) for a, b in zip(_together(vlm, shown, questions), alone, strict=True))


def _figures(count: int, cost: _Cost) -> QuestionBatchCost:
    rates = {"one by one": count / cost.one_by_one, "together": count / cost.together}
    return QuestionBatchCost(one_by_one=cost.one_by_one, together=cost.together, pairs_per_second=rates)


def _read(path: Path) -> Frames:
    return read_frames(str(path), budget=RANKVIDEO.frames)


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    start = synchronized_time()
    work(*arguments)
    return synchronized_time() - start


def _device(vlm: TransformersVLM) -> str:
    device = vlm.network.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {os.cpu_count()} cores"
    return f"{name}, {str(vlm.network.dtype).removeprefix('torch.')}"


def _peak_memory() -> int:
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return int(torch.cuda.max_memory_allocated())
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
