"""Evaluate retrieval and reranking on an archive of synthetic clips, which are read back from their files like any others."""

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
from rankvideo_rag.models.bundled import is_outside_vocabulary
from rankvideo_rag.models.embedders import Embedder, Vector
from rankvideo_rag.models.vlm import VLM, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec, resolve_prompt_spec
from rankvideo_rag.nodes import CHANNELS, nodes_to_hits
from rankvideo_rag.ranking.pointwise import Pair, VideoSpan
from rankvideo_rag.ranking.relevance import Relevance, picture_calibration
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rank_by_score
from rankvideo_rag.schema import Answer, Score, SearchChannel
from rankvideo_rag.settings import PROFILES, Settings
from rankvideo_rag.synthesizer import ANSWER_KEY
from rankvideo_rag.synthetic.grammar import hard_negative_kind
from rankvideo_rag.synthetic.questions import Question, generate_questions
from rankvideo_rag.synthetic.render import render_archive
from rankvideo_rag.synthetic.scenes import SyntheticClip
from rankvideo_rag.text import content_tokens

MEASURES = ("nDCG@10", "R@10")
DEPTH = 50  # clips of the first stage that are reranked
_FIRST_STAGES: Mapping[str, tuple[SearchChannel, ...]] = {
    "text": tuple(channel for channel in CHANNELS if channel != "visual"),
    "embedder": ("visual",),
    "fusion": CHANNELS,
}
_SLICES: Mapping[str, Callable[[Question], bool]] = {
    "one shape": lambda question: question.kind == "one",
    "background": lambda question: question.kind == "background",
    "binding": lambda question: question.kind == "together",
    "order": lambda question: question.kind == "before",
    "binding and order": lambda question: question.kind in ("together", "before"),  # that one vector cannot answer
    "held out": lambda question: question.held_out,
    "all visual": lambda question: question.channel == "visual",
    "speech": lambda question: question.channel == "speech",
    "on screen": lambda question: question.channel == "on_screen",
}
_MAX_HARD_NEGATIVES = 8  # of a question, for each attribute

Rankings = dict[str, list[str]]  # question id -> file stems, best first
HardNegatives = Mapping[str, Mapping[str, Sequence[str]]]  # question id -> what alone the clip lacks -> file stems
Scores = Mapping[tuple[str, str], Score]  # (question id, file stem)
Probabilities = Mapping[tuple[str, str], float | None]


class EvalResult(NamedTuple):
    """Measures of every first stage, and of `reranked`: the first DEPTH clips of one of them, reranked."""

    clips: int
    questions: int
    reranked_stage: str  # the first stage that is reranked
    stages: dict[str, dict[str, float]]  # stage -> measure -> mean over all questions
    slices: dict[str, dict[str, float]]  # kind of question -> stage -> nDCG@10
    sizes: dict[str, int]  # kind of question -> questions
    pair_accuracy: float | None  # share of (relevant clip, hard negative) with margins in that order; None: no such pair
    by_attribute: dict[str, float]  # what alone the hard negative lacks -> the same share
    answers: dict[str, float]  # speech, on screen -> share of the questions, and of their keywords, answered by the right quote

    def summary(self) -> dict[str, Any]:
        """Return the main figures, as `rankvideo demo --json` prints them."""
        return {
            "first_stage": self.stages[self.reranked_stage],
            "reranked": self.stages["reranked"],
            "pair_accuracy": self.pair_accuracy,
            "questions": self.questions,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the summary and all fields."""
        return self.summary() | self._asdict()


class Reranker(NamedTuple):
    """A VLM that scores clips, and how."""

    vlm: VLM
    spec: PromptSpec
    model: str | None

    @classmethod
    def from_settings(cls, settings: Settings) -> "Reranker":
        """Load the reranker of these settings."""
        vlm = load_vlm(settings.reranker, settings.reranker_model, device=settings.device)
        spec = resolve_prompt_spec(settings.prompt, settings.reranker_model)
        return cls(vlm, spec, settings.reranker_model)

    def probability(self, question: str, margin: float | None) -> float | None:
        """Return the probability that a picture answers; None for a question that the model does not know the words of."""
        if margin is None or is_outside_vocabulary(self.model, question):
            return None
        return picture_calibration(self.model).probability(margin)


def evaluate_models(folder: Path, *, embedder: str, reranker: str, clips: int = 210, seed: int = 77) -> EvalResult:
    """Render clips into a folder, index them with this embedder, and evaluate both models on them."""
    rendered = render_archive(folder / "videos", clips=clips, seed=seed)
    settings = Settings.load(
        profile="tiny",
        embedder="sentence_transformers",
        embedder_model=embedder,
        reranker="transformers",
        reranker_model=reranker,
        frame_sampling=PROFILES["tiny"]["frame_sampling"],
        score_cache="none",
    )
    index([folder / "videos"], folder / "archive", settings)
    with VideoArchive.open(folder / "archive", settings) as archive:
        return evaluate(archive, folder / "videos", rendered, Reranker.from_settings(settings))


def evaluate(archive: VideoArchive, folder: Path, clips: Sequence[SyntheticClip], reranker: Reranker) -> EvalResult:
    """Evaluate an archive of these clips, whose files are in `folder`, on all questions about them."""
    questions = generate_questions(clips)
    rankings = {"bag of frames": _rank_by_frames(archive.embedder(), folder, clips, questions)} | {
        stage: _retrieve(archive, questions, channels) for stage, channels in _FIRST_STAGES.items()
    }
    first_stage = "fusion"
    negatives = {question.question_id: _hard_negatives(question, clips) for question in questions}
    scores = _score(reranker, folder, questions, rankings[first_stage], negatives)
    texts = _score_texts(archive, questions)
    pictures = {
        (question.question_id, stem): reranker.probability(question.text, scores[question.question_id, stem].margin)
        for question in questions
        for stem in rankings[first_stage][question.question_id][:DEPTH]
    }
    rankings["reranked"] = _rerank(rankings[first_stage], pictures, texts)
    slices = {name: [question for question in questions if belongs(question)] for name, belongs in _SLICES.items()}
    slices = {name: members for name, members in slices.items() if members}
    pairs = _compare_pairs(questions, negatives, scores)
    every_pair = [in_order for of_attribute in pairs.values() for in_order in of_attribute]
    return EvalResult(
        clips=len(clips),
        questions=len(questions),
        reranked_stage=first_stage,
        stages={stage: _measure(ranking, questions) for stage, ranking in rankings.items()},
        slices={
            name: {stage: _measure(ranking, members)["nDCG@10"] for stage, ranking in rankings.items()}
            for name, members in slices.items()
        },
        sizes={name: len(members) for name, members in slices.items()},
        pair_accuracy=float(np.mean(every_pair)) if every_pair else None,
        by_attribute={name: float(np.mean(of_attribute)) for name, of_attribute in sorted(pairs.items())},
        answers=_ask_about_words(archive, questions),
    )


def _retrieve(archive: VideoArchive, questions: Sequence[Question], channels: Sequence[SearchChannel]) -> Rankings:
    weights: dict[SearchChannel, float] = {channel: 0.0 for channel in CHANNELS if channel not in channels}
    retriever = archive.as_retriever(top_k=archive.settings.retrieve_depth, weights=weights)
    return {
        question.question_id: [Path(hit.path).stem for hit in nodes_to_hits(retriever.retrieve(question.text))]
        for question in questions
    }


def _rank_by_frames(
    embedder: Embedder, folder: Path, clips: Sequence[SyntheticClip], questions: Sequence[Question]
) -> Rankings:
    """Rank by the mean vector of a clip's frames, each embedded alone: a baseline that knows no time."""
    media = [read_frames(str(clip_path(folder, clip.stem)), budget=embedder.info.frames) for clip in clips]
    singles = [
        ClipMedia(Frames(frames.pixels[[i, i]], frames.times[i] + np.array([0.0, 0.1])))
        for frames in media
        for i in range(len(frames))
    ]
    vectors = iter(embedder.embed_clips(singles))
    means = np.stack([np.mean([_check_vector(next(vectors)) for _ in frames.times], axis=0) for frames in media])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    queries = np.stack([_check_vector(vector) for vector in embedder.embed_queries([question.text for question in questions])])
    return {
        question.question_id: [clips[place].stem for place in np.argsort(-similarities)]
        for question, similarities in zip(questions, queries @ means.T, strict=True)
    }


def _check_vector(vector: Vector | None) -> Vector:
    if vector is None:
        raise ValueError("the embedder returned no vector for a question or a frame")
    return vector


def _hard_negatives(question: Question, clips: Sequence[SyntheticClip]) -> dict[str, list[str]]:
    """Return, by what they lack, a few clips that lack one thing alone."""
    found: dict[str, list[str]] = defaultdict(list)
    if question.query is not None:
        for clip in clips:
            if kind := hard_negative_kind(question.query, clip.scene):
                found[kind].append(clip.stem)
    random = Random(question.question_id)
    return {kind: random.sample(stems, min(_MAX_HARD_NEGATIVES, len(stems))) for kind, stems in found.items()}


def _score(
    reranker: Reranker, folder: Path, questions: Sequence[Question], first_stage: Rankings, negatives: HardNegatives
) -> Scores:
    """Score every question with the clips that were retrieved, the relevant ones, and its hard negatives."""
    pairs = {}
    for question in questions:
        hard = [stem for stems in negatives[question.question_id].values() for stem in stems]
        for stem in dict.fromkeys([*first_stage[question.question_id][:DEPTH], *question.judgements, *hard]):
            pairs[question.question_id, stem] = Pair(question.text, VideoSpan(str(clip_path(folder, stem))))
    return dict(zip(pairs, score_pairs(reranker.vlm, reranker.spec, list(pairs.values())), strict=True))


def _score_texts(archive: VideoArchive, questions: Sequence[Question]) -> Probabilities:
    """Return the probability that a clip's text answers a question, for the clips of the first stage."""
    reranker = archive.as_reranker(top_n=DEPTH, evidence="text")
    assert reranker  # only a reranker of pictures may be switched off
    found = {}
    for question in questions:
        nodes = archive.as_retriever(top_k=DEPTH).retrieve(question.text)
        for hit in reranker.postprocess_nodes(nodes, query_str=question.text):
            found[question.question_id, Path(hit.node.metadata["file_path"]).stem] = hit.node.metadata.get("relevance_text")
    return found


def _rerank(first_stage: Rankings, pictures: Probabilities, texts: Probabilities) -> Rankings:
    """Rank by picture and text, as RankVideoRerank does."""
    reranked = {}
    for question_id, ranking in first_stage.items():
        keys = [(question_id, stem) for stem in ranking[:DEPTH]]
        order = rank_by_score([Relevance(pictures[key], texts.get(key)).combined for key in keys])
        reranked[question_id] = [ranking[place] for place in order] + ranking[DEPTH:]
    return reranked


def _ask_about_words(archive: VideoArchive, questions: Sequence[Question]) -> dict[str, float]:
    """Ask what is said and written, in full and by keywords; right is an answer whose first citation quotes the right clip."""
    engine, found = archive.as_query_engine(), defaultdict(list)
    for question in questions:
        if question.channel != "visual":
            for text in (question.text, " ".join(token.word for token in content_tokens(question.text))):
                response = engine.query(text)
                answer = Answer.model_validate((response.metadata or {})[ANSWER_KEY])
                cited = answer.citations[:1]
                right = [citation for citation in cited if citation.quote and Path(citation.path).stem in question.judgements]
                found[question.channel.replace("_", " ")].append(bool(right))
    return {name: float(np.mean(right)) for name, right in found.items()}


def _compare_pairs(questions: Sequence[Question], negatives: HardNegatives, scores: Scores) -> dict[str, list[bool]]:
    """Return, by what the hard negative lacks, whether each relevant clip has the greater margin; False without a margin."""
    found: dict[str, list[bool]] = defaultdict(list)
    for question in questions:
        margins = {stem: scores[question.question_id, stem].margin for stem in question.judgements}
        for kind, stems in negatives[question.question_id].items():
            for stem in stems:
                negative = scores[question.question_id, stem].margin
                found[kind] += [
                    margin is not None and negative is not None and margin > negative for margin in margins.values()
                ]
    return found


def _measure(rankings: Rankings, questions: Sequence[Question]) -> dict[str, float]:
    qrels = {question.question_id: question.judgements for question in questions}
    return compute_measures({question_id: rankings[question_id] for question_id in qrels}, qrels, MEASURES)


def clip_path(folder: Path, stem: str) -> Path:
    """Return the path of a rendered clip."""
    return folder / f"{stem}.mp4"
