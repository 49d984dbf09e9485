"""How well an archive of the little world is searched: every first stage, and the reranker that watches its clips, measured.

The clips are read back from their files through media/, like any others.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.indexing.run import index
from rankvideo_rag.media import ClipMedia, Frames, read_frames
from rankvideo_rag.models.embedders import Embedder, Vector
from rankvideo_rag.models.vlm import VLM, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec, resolve_prompt_spec
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.ranking.pointwise import Pair, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rank_by_margin
from rankvideo_rag.schema import Channel, Score
from rankvideo_rag.settings import PROFILES, Fusion, Settings
from rankvideo_rag.synthetic.grammar import hard_negative_kind
from rankvideo_rag.synthetic.questions import Question, generate_questions
from rankvideo_rag.synthetic.render import render_archive
from rankvideo_rag.synthetic.scenes import SyntheticClip

MEASURES = ("nDCG@10", "R@10")
DEPTH = 50  # clips of the first stage that are watched
_WORDS: tuple[Channel, ...] = ("speech", "on_screen", "description")
_CHANNELS: Mapping[str, tuple[tuple[Channel, ...], Fusion]] = {
    "words": (_WORDS, "scores"),
    "embedder": (("visual",), "ranks"),
    "fusion by ranks": (("visual", *_WORDS), "ranks"),
    "fusion by scores": (("visual", *_WORDS), "scores"),
}
_MISSES_OF_A_KIND = 8  # of each question, near misses that are judged for each attribute

Rankings = dict[str, list[str]]  # question id -> file stems, best first


class EvalResult(NamedTuple):
    """What came of it. A stage is a first stage, or `reranked`: the first DEPTH clips of one of them, watched."""

    clips: int
    questions: int
    watched: str  # that first stage: the fusion of the archive's settings
    stages: dict[str, dict[str, float]]  # stage -> measure -> mean over all questions
    slices: dict[str, dict[str, float]]  # kind of question -> stage -> nDCG@10
    sizes: dict[str, int]  # kind of question -> questions
    pair_accuracy: float | None  # share of (clip that answers, near miss) with margins in that order; None: no such pair
    by_attribute: dict[str, float]  # what alone the near miss lacks -> the same share


class Judge(NamedTuple):
    """Who watches."""

    vlm: VLM
    spec: PromptSpec
    keep_order_below: float | None


def evaluate(
    archive: VideoArchive, folder: Path, clips: Sequence[SyntheticClip], asked: Sequence[Question], watching: Judge
) -> EvalResult:
    """Ask an archive of these clips, whose files lie in `folder`, all these questions."""
    first = {"bag of frames": _bag_of_frames(archive.embedder(), folder, clips, asked)} | {
        stage: _retrieved(archive, asked, channels, fusion) for stage, (channels, fusion) in _CHANNELS.items()
    }
    watched = f"fusion by {archive.settings.fusion}"
    misses = {question.question_id: _near_misses(question, clips) for question in asked}
    scores = _watched(watching, folder, asked, first[watched], misses)
    rankings = first | {"reranked": _reranked(asked, first[watched], scores, watching.keep_order_below)}
    slices = _slices(asked)
    pairs = _pairs(asked, misses, scores)
    every = [in_order for of_attribute in pairs.values() for in_order in of_attribute]
    return EvalResult(
        clips=len(clips),
        questions=len(asked),
        watched=watched,
        stages={stage: _measured(ranking, asked) for stage, ranking in rankings.items()},
        slices={
            name: {stage: _measured(ranking, members)["nDCG@10"] for stage, ranking in rankings.items()}
            for name, members in slices.items()
        },
        sizes={name: len(members) for name, members in slices.items()},
        pair_accuracy=float(np.mean(every)) if every else None,
        by_attribute={name: float(np.mean(of_attribute)) for name, of_attribute in sorted(pairs.items())},
    )


def _slices(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Questions by kind, those that one vector cannot answer, and those on what training never showed."""
    kept: dict[str, Callable[[Question], bool]] = {
        "one shape": lambda question: question.kind == "one",
        "background": lambda question: question.kind == "background",
        "two, bound": lambda question: question.kind == "together",
        "order": lambda question: question.kind == "before",
        "bound and order": lambda question: question.kind in ("together", "before"),
        "held out": lambda question: question.held_out,
        "all seen": lambda question: question.channel == "visual",
        "said": lambda question: question.channel == "speech",
        "written": lambda question: question.channel == "on_screen",
    }
    found = {name: [question for question in questions if keep(question)] for name, keep in kept.items()}
    return {name: members for name, members in found.items() if members}


def _retrieved(archive: VideoArchive, questions: Sequence[Question], channels: Sequence[Channel], fusion: Fusion) -> Rankings:
    weights: dict[Channel, float] = {channel: float(channel in channels) for channel in ("visual", *_WORDS)}
    retriever = archive.as_retriever(top_k=archive.settings.retrieve_depth, weights=weights, fusion=fusion)
    return {
        question.question_id: [Path(hit.path).stem for hit in nodes_to_hits(retriever.retrieve(question.text))]
        for question in questions
    }


def _bag_of_frames(embedder: Embedder, folder: Path, clips: Sequence[SyntheticClip], questions: Sequence[Question]) -> Rankings:
    """The mean of the vectors of a clip's frames, each seen alone: what is left when time is taken away."""
    media = [read_frames(str(file_of(folder, clip.stem)), budget=embedder.info.frames) for clip in clips]
    singles = [
        ClipMedia(Frames(frames.pixels[[i, i]], frames.times[i] + np.array([0.0, 0.1])))
        for frames in media
        for i in range(len(frames))
    ]
    vectors = iter(embedder.embed_clips(singles))
    means = np.stack([np.mean([_there(next(vectors)) for _ in frames.times], axis=0) for frames in media])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    asked = np.stack([_there(vector) for vector in embedder.embed_queries([question.text for question in questions])])
    return {
        question.question_id: [clips[place].stem for place in np.argsort(-similar)]
        for question, similar in zip(questions, asked @ means.T, strict=True)
    }


def _there(vector: Vector | None) -> Vector:
    if vector is None:
        raise ValueError("the embedder has nothing to say of a question or a frame of the little world")
    return vector


def _near_misses(question: Question, clips: Sequence[SyntheticClip]) -> dict[str, list[str]]:
    """By what they lack, clips that miss the question by one thing alone: a few of each kind."""
    found: dict[str, list[str]] = defaultdict(list)
    if question.query is not None:
        for clip in clips:
            if missed := hard_negative_kind(question.query, clip.scene):
                found[missed].append(clip.stem)
    random = Random(question.question_id)
    return {missed: random.sample(stems, min(_MISSES_OF_A_KIND, len(stems))) for missed, stems in found.items()}


def _watched(
    watching: Judge,
    folder: Path,
    questions: Sequence[Question],
    first: Rankings,
    misses: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[tuple[str, str], Score]:
    """A score for every question with the clips that were retrieved, that answer it, and that nearly do."""
    wanted = {
        (question.question_id, stem): Pair(question.text, VideoSpan(str(file_of(folder, stem))))
        for question in questions
        for stem in dict.fromkeys(
            [
                *first[question.question_id][:DEPTH],
                *question.judgements,
                *(stem for stems in misses[question.question_id].values() for stem in stems),
            ]
        )
    }
    scores = score_pairs(watching.vlm, watching.spec, list(wanted.values()))
    return dict(zip(wanted, scores, strict=True))


def _reranked(
    questions: Sequence[Question], first: Rankings, scores: Mapping[tuple[str, str], Score], keep_below: float | None
) -> Rankings:
    reranked = {}
    for question in questions:
        block = first[question.question_id][:DEPTH]
        places = rank_by_margin([scores[question.question_id, stem] for stem in block], keep_below=keep_below)
        reranked[question.question_id] = [block[place] for place in places] + first[question.question_id][DEPTH:]
    return reranked


def _pairs(
    questions: Sequence[Question],
    misses: Mapping[str, Mapping[str, Sequence[str]]],
    scores: Mapping[tuple[str, str], Score],
) -> dict[str, list[bool]]:
    """By what the near miss lacks, whether the clip that answers has the greater margin. One without a margin has not."""
    found: dict[str, list[bool]] = defaultdict(list)
    for question in questions:
        for missed, stems in misses[question.question_id].items():
            for stem in stems:
                below = scores[question.question_id, stem].margin
                for right in question.judgements:
                    above = scores[question.question_id, right].margin
                    found[missed].append(above is not None and below is not None and above > below)
    return found


def _measured(rankings: Rankings, questions: Sequence[Question]) -> dict[str, float]:
    qrels = {question.question_id: question.judgements for question in questions}
    return compute_measures({question_id: rankings[question_id] for question_id in qrels}, qrels, MEASURES)


def file_of(folder: Path, stem: str) -> Path:
    """Where a clip of the world is written."""
    return folder / f"{stem}.mp4"


def evaluate_models(folder: Path, *, embedder: str, reranker: str, clips: int = 210, seed: int = 77) -> EvalResult:
    """Render a world into a folder, index it with that embedder, and examine both models on it."""
    world = render_archive(folder / "videos", clips=clips, seed=seed)
    settings = Settings.load(
        profile="tiny",
        embedder="sentence_transformers",
        embedder_model=embedder,
        reranker="transformers",
        reranker_model=reranker,
        **{name: PROFILES["tiny"][name] for name in ("keep_order_below", "fusion", "frame_sampling")},
        score_cache="none",
    )
    index([folder / "videos"], folder / "archive", settings)
    with VideoArchive.open(folder / "archive", settings) as archive:
        return evaluate(archive, folder / "videos", world, generate_questions(world), judge_of(settings))


def judge_of(settings: Settings) -> Judge:
    """Who watches, by these settings."""
    vlm = load_vlm(settings.reranker, settings.reranker_model, device=settings.device)
    return Judge(vlm, resolve_prompt_spec(settings.prompt, settings.reranker_model), settings.keep_order_below)


def as_json(exam: EvalResult) -> dict[str, Any]:
    """Everything, for programs."""
    return as_contract(exam) | exam._asdict()


def as_contract(exam: EvalResult) -> dict[str, Any]:
    """What `rankvideo demo --json` prints."""
    return {
        "first_stage": exam.stages[exam.watched],
        "reranked": exam.stages["reranked"],
        "pair_accuracy": exam.pair_accuracy,
        "questions": exam.questions,
    }
