"""Step three: a text-only teacher reads a video's caption and speech, reasons, and labels whether it answers a query.

Two calls for each pair: the teacher writes its reasoning and answer; then its text up to <answer> is the prefill of a second
prompt, where yes and no are compared over every spelling. The prompt is that of the published script (arXiv 2602.02444).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.formats.resumable_jsonl import fingerprint
from rankvideo_rag.formats.training_data import FirstStage, TrainingExample, VideoEvidence
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.batch_generation import generate_each
from rankvideo_rag.ranking.scores import first_stage_order, score_prompts
from rankvideo_rag.schema import Record, Score
from rankvideo_rag.text import clean
from rankvideo_rag.training.synthesis.parsing import Thought, Unreadable, parse_answer, parse_thought
from rankvideo_rag.training.synthesis.prompts import TEACHER, first_words, passage
from rankvideo_rag.training.synthesis.step_output import Result, StepOutput, SynthesisReport, failed, process
from rankvideo_rag.training.synthesis.video_texts import VideoText

LABELS = ("yes", "no")


class LabelOptions(Record):
    """How pairs are chosen and labelled.

    The published script shows 512 tokens of a caption and no speech, without which a query about speech is mislabelled.
    """

    depth: int = Field(20, ge=1)  # videos of the first stage, from its top
    caption_words: int = Field(400, ge=1)  # words of a caption that the teacher reads
    asr_words: int = Field(200, ge=0)  # words of speech that the teacher reads
    max_tokens: int = Field(1024, ge=1)
    probabilities: bool = True  # False: labels only, for a model or an endpoint without log-probabilities
    batch_size: int = Field(8, ge=1)


DEFAULTS = LabelOptions()


class LabelInputs(NamedTuple):
    """What pairs are made of."""

    queries: Mapping[str, str]  # id -> text
    videos: Mapping[str, VideoText]
    first_stage: TrecRun
    qrels: Qrels


class Candidate(NamedTuple):
    """A pair to label."""

    query_id: str
    video_id: str
    grade: int | None  # the human judgement; None where there is none
    meta: FirstStage


def label_pairs(
    vlm: VLM,
    inputs: LabelInputs,
    *,
    output: str | Path,
    options: LabelOptions = DEFAULTS,
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Label the first `depth` videos of each query and those that qrels call relevant, to a file of TrainingExample lines.

    A pair whose video has no caption, whose answer cannot be read, or whose probabilities cannot be computed is counted and has
    no line. Without `probabilities`, teacher_p_yes and teacher_logit_delta are None.
    """
    header = {"model": vlm.name, "prompt": TEACHER.fingerprint, **options.model_dump(exclude={"batch_size", "depth"})}
    pairs = select_candidates(inputs.queries, inputs.first_stage, inputs.qrels, depth=options.depth)
    teacher = _Teacher(vlm, options)
    with StepOutput(output, step="labels", options=header) as step:
        pending = step.pending(_make_pairs(pairs, inputs, options))
        process(step, pending, teacher.label, batch_size=options.batch_size, progress=progress)
        return step.report()


def select_candidates(queries: Mapping[str, str], first_stage: TrecRun, qrels: Qrels, *, depth: int) -> list[Candidate]:
    """Return the pairs to label, query by query: the first `depth` of the first stage, then further relevant videos.

    Raises InputError when the first stage has results for none of the queries.
    """
    if not queries.keys() & first_stage.keys():
        raise InputError(f"the first stage has results for none of the {len(queries)} queries: do these files match?")
    orders = first_stage_order({query: first_stage[query] for query in queries if query in first_stage})
    found = []
    for query in queries:
        order, judged, scores = orders.get(query, []), qrels.get(query, {}), first_stage.get(query, {})
        ranks = {video: rank for rank, video in enumerate(order, start=1)}
        relevant = (video for video, grade in judged.items() if grade >= 1)
        has_scores = not _are_ranks([scores[video] for video in order])
        for video in dict.fromkeys([*islice(order, depth), *relevant]):
            grade = None if video not in judged else max(judged[video], 0)  # TREC uses grades below 0 for spam
            meta = FirstStage(rank=ranks.get(video), score=scores.get(video) if has_scores else None)
            found.append(Candidate(query, video, grade, meta))
    return found


def _are_ranks(scores: Sequence[float]) -> bool:
    """Return whether scores, best first, are n, n - 1, …, 1: the ranks that many run files have for scores."""
    return list(scores) == list(range(len(scores), 0, -1))


class _Pair(NamedTuple):
    candidate: Candidate
    query: str
    path: str = ""
    evidence: VideoEvidence = VideoEvidence()
    prompt: Prompt | None = None  # None where the video has no caption

    @property
    def key(self) -> tuple[str, ...]:
        return (self.candidate.query_id, self.candidate.video_id)

    @property
    def fingerprint(self) -> str:
        candidate = self.candidate
        return fingerprint(self.query, self.path, self.evidence.model_dump(), candidate.grade, candidate.meta.model_dump())

    def example(self, answer: "_TeacherAnswer", score: Score | None) -> TrainingExample:
        return TrainingExample(
            query_id=self.candidate.query_id,
            query=self.query,
            doc_id=self.candidate.video_id,
            videos=(self.path,),
            true_label=self.candidate.grade,
            teacher_p_yes=score.p_yes if score else None,
            evidence=self.evidence,
            teacher_reasoning=answer.thought.text,
            teacher_label=answer.label,
            teacher_logit_delta=score.margin if score else None,
            meta=self.candidate.meta,
        )


def _make_pairs(candidates: Sequence[Candidate], inputs: LabelInputs, options: LabelOptions) -> Iterator[_Pair]:
    for candidate in candidates:
        query, video = inputs.queries[candidate.query_id], inputs.videos.get(candidate.video_id)
        if video is None:
            yield _Pair(candidate, query)
            continue
        caption, asr = first_words(video.caption, options.caption_words), first_words(video.asr or "", options.asr_words)
        prompt = TEACHER.prompt(query=clean(query), passage=passage(caption, asr))
        yield _Pair(candidate, query, video.path, VideoEvidence(caption=caption, asr=asr), prompt)


class _TeacherAnswer(NamedTuple):
    thought: Thought
    label: int

    @property
    def prefill(self) -> str:
        """Return the text up to yes or no, in the form that Qwen3's chat template makes of it: vLLM refuses others."""
        opening = "<think>\n" if self.thought.opened else ""
        return f"{opening}{self.thought.text}\n</think>\n\n<answer>"


class _Teacher(NamedTuple):
    """What is the same for all pairs of a run."""

    vlm: VLM
    options: LabelOptions

    def label(self, batch: Sequence[_Pair]) -> list[Result]:
        """Return the result of each pair, with two calls of the model for all of them."""
        prompts = {pair.key: pair.prompt for pair in batch if pair.prompt is not None}
        generations = generate_each(self.vlm, list(prompts.values()), max_tokens=self.options.max_tokens)
        parsed = {key: self._parse(generation) for key, generation in zip(prompts, generations, strict=True)}
        answers = {key: one for key, one in parsed.items() if isinstance(one, _TeacherAnswer)}
        scores: dict[tuple[str, ...], Score] = {}
        if self.options.probabilities:
            prefilled = [prompts[key]._replace(prefill=answer.prefill) for key, answer in answers.items()]
            scores = dict(zip(answers, score_prompts(self.vlm, prefilled, LABELS), strict=True))
        return [_result(pair, parsed.get(pair.key), scores.get(pair.key)) for pair in batch]

    def _parse(self, generation: Generation | ModelError) -> _TeacherAnswer | Result:
        if isinstance(generation, ModelError):
            return failed(f"model: {generation}", retry=True)
        thought = parse_thought(generation, max_tokens=self.options.max_tokens)
        if isinstance(thought, Unreadable):
            return failed(thought.reason)
        label = parse_answer(thought.rest, generation, max_tokens=self.options.max_tokens)
        return failed(label.reason) if isinstance(label, Unreadable) else _TeacherAnswer(thought, label)


def _result(pair: _Pair, parsed: _TeacherAnswer | Result | None, score: Score | None) -> Result:
    if parsed is None:
        return failed(f"no_caption: there is no caption of video {pair.candidate.video_id!r}", retry=True)
    if isinstance(parsed, Result):
        return parsed
    if score is not None and score.margin is None:
        return failed(f"no_probability: {score.reason}", retry=True)
    return Result((pair.example(parsed, score),), {"ok": 1})
