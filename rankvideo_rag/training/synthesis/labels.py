"""Step three: a teacher without eyes reads what a video shows and says, reasons, and judges whether it answers a query.

Two calls a pair: the reasoning and the word are written; then what was written is put back up to <answer>, and yes and no are
compared there, over every spelling and the whole vocabulary. The words of the published script (arXiv 2602.02444).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.formats.resumable_jsonl import fingerprint
from rankvideo_rag.formats.training_data import FirstStage, TrainingExample, VideoEvidence
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.ranking.scores import first_stage_order, score_prompts
from rankvideo_rag.schema import Score
from rankvideo_rag.text import clean
from rankvideo_rag.training.synthesis.parsing import Thought, Unreadable, answer, thought
from rankvideo_rag.training.synthesis.prompts import TEACHER, first_words, passage
from rankvideo_rag.training.synthesis.step_output import Result, StepOutput, SynthesisReport, failed, process
from rankvideo_rag.training.synthesis.video_texts import VideoText

LABELS = ("yes", "no")


class Shown(NamedTuple):
    """How much of a video the teacher reads, in words.

    Published are 512 tokens of a caption and no speech. Without it, though, a query about what is said can only be misjudged.
    """

    caption: int = 400
    asr: int = 200


SHOWN = Shown()


class Candidate(NamedTuple):
    """A pair to be judged."""

    query_id: str
    video_id: str
    grade: int | None  # people's judgement; None where there is none
    meta: FirstStage


def label(
    vlm: VLM,
    texts: Mapping[str, str],
    videos: Mapping[str, VideoText],
    first_stage: TrecRun,
    qrels: Qrels,
    *,
    output: str | Path,
    depth: int = 20,
    shown: Shown = SHOWN,
    max_tokens: int = 1024,
    probabilities: bool = True,
    batch_size: int = 8,
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Judge the first `depth` videos of each query and those that qrels call relevant, to a file of TrainingExample lines.

    `texts` are the queries by id. A pair whose video has no words (captions failed), whose verdict cannot be read, or whose
    probabilities cannot be had is counted and has no line. Without `probabilities` only the word is asked for, of a model or an
    endpoint that cannot tell them: teacher_p_yes and teacher_logit_delta are None then.
    """
    options = {
        "model": vlm.name,
        "prompt": TEACHER.fingerprint,
        "shown": list(shown),
        "max_tokens": max_tokens,
        "probabilities": probabilities,
    }
    pairs = candidates(texts, first_stage, qrels, depth=depth)
    teacher = _Teacher(vlm, max_tokens, probabilities)
    with StepOutput(output, step="labels", options=options) as step:
        waiting = step.pending(_pairs(pairs, texts, videos, shown))
        process(step, waiting, teacher.judge, batch_size=batch_size, progress=progress)
        return step.report()


def candidates(texts: Mapping[str, str], first_stage: TrecRun, qrels: Qrels, *, depth: int) -> list[Candidate]:
    """The pairs to judge, query by query: the first `depth` of the first stage, then what is relevant and is not among them.

    Raises InputError when the first stage knows none of the queries: such files do not belong together.
    """
    if not texts.keys() & first_stage.keys():
        raise InputError(f"the first stage has results for none of the {len(texts)} queries: do these files belong together?")
    orders = first_stage_order({query: first_stage[query] for query in texts if query in first_stage})
    return [pair for query in texts for pair in _of_query(query, orders.get(query, []), first_stage, qrels, depth)]


def _of_query(query: str, order: Sequence[str], first_stage: TrecRun, qrels: Qrels, depth: int) -> Iterator[Candidate]:
    judged = qrels.get(query, {})
    scores = first_stage.get(query, {})
    ranks = {video: rank for rank, video in enumerate(order, start=1)}
    relevant = (video for video, grade in judged.items() if grade >= 1)
    scored = not _ranks_as_scores([scores[video] for video in order])
    for video in dict.fromkeys([*islice(order, depth), *relevant]):
        grade = None if video not in judged else max(judged[video], 0)  # below 0: TREC's mark for what is worse than irrelevant
        yield Candidate(query, video, grade, FirstStage(rank=ranks.get(video), score=scores.get(video) if scored else None))


def _ranks_as_scores(scores: Sequence[float]) -> bool:
    """Whether scores, best first, are n, n - 1, …, 1: many run files bear ranks in their place, whose ratios mean nothing."""
    return list(scores) == list(range(len(scores), 0, -1))


class _Pair(NamedTuple):
    candidate: Candidate
    query: str
    path: str = ""
    words: VideoEvidence = VideoEvidence()
    prompt: Prompt | None = None  # None where nothing is known of the video

    @property
    def key(self) -> tuple[str, ...]:
        return (self.candidate.query_id, self.candidate.video_id)

    @property
    def fingerprint(self) -> str:
        return fingerprint(
            self.query, self.path, self.words.model_dump(), self.candidate.grade, self.candidate.meta.model_dump()
        )

    def example(self, read: "_Reading", score: Score | None) -> TrainingExample:
        return TrainingExample(
            query_id=self.candidate.query_id,
            query=self.query,
            doc_id=self.candidate.video_id,
            videos=(self.path,),
            true_label=self.candidate.grade,
            teacher_p_yes=score.p_yes if score else None,
            evidence=self.words,
            teacher_reasoning=read.thought.text,
            teacher_label=read.label,
            teacher_logit_delta=score.margin if score else None,
            meta=self.candidate.meta,
        )


def _pairs(
    found: Sequence[Candidate], texts: Mapping[str, str], videos: Mapping[str, VideoText], shown: Shown
) -> Iterator[_Pair]:
    for candidate in found:
        query, video = texts[candidate.query_id], videos.get(candidate.video_id)
        if video is None:
            yield _Pair(candidate, query)
            continue
        words = VideoEvidence(caption=first_words(video.caption, shown.caption), asr=first_words(video.asr or "", shown.asr))
        prompt = TEACHER.prompt(query=clean(query), passage=passage(words.caption, words.asr))
        yield _Pair(candidate, query, video.path, words, prompt)


class _Reading(NamedTuple):
    """What could be read of a teacher's text."""

    thought: Thought
    label: int

    @property
    def prefill(self) -> str:
        """The text up to where yes or no stands, in the form that Qwen3's chat template makes of it: vLLM refuses others."""
        opening = "<think>\n" if self.thought.opened else ""
        return f"{opening}{self.thought.text}\n</think>\n\n<answer>"


class _Teacher(NamedTuple):
    """What is the same for all pairs of a run."""

    vlm: VLM
    max_tokens: int
    probabilities: bool

    def judge(self, batch: Sequence[_Pair]) -> list[Result]:
        """What became of each pair. The model is called twice for all of them."""
        prompts = {pair.key: pair.prompt for pair in batch if pair.prompt is not None}
        written = generate_each(self.vlm, list(prompts.values()), max_tokens=self.max_tokens)
        read = {key: self._read(text) for key, text in zip(prompts, written, strict=True)}
        begun = {key: prompts[key]._replace(prefill=one.prefill) for key, one in read.items() if isinstance(one, _Reading)}
        scores = (
            dict(zip(begun, score_prompts(self.vlm, list(begun.values()), LABELS), strict=True)) if self.probabilities else {}
        )
        return [_result(pair, read.get(pair.key), scores.get(pair.key)) for pair in batch]

    def _read(self, written: Generation | ModelError) -> _Reading | Result:
        if isinstance(written, ModelError):
            return failed(f"model: {written}", retry=True)
        found = thought(written, max_tokens=self.max_tokens)
        if isinstance(found, Unreadable):
            return failed(found.reason)
        label = answer(found.rest, written, max_tokens=self.max_tokens)
        return failed(label.reason) if isinstance(label, Unreadable) else _Reading(found, label)


def _result(pair: _Pair, read: _Reading | Result | None, score: Score | None) -> Result:
    if read is None:
        return failed(f"no_words: there is no caption of video {pair.candidate.video_id!r}", retry=True)
    if isinstance(read, Result):
        return read
    if score is not None and score.margin is None:
        return failed(f"no_probability: {score.reason}", retry=True)
    return Result((pair.example(read, score),), {"ok": 1})
