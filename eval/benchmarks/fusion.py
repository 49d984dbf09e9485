"""Measure what each channel finds, what their fusion finds, and fit the weights of fusion, on transcripts with known answers.

The pictures of these videos say nothing. So the picture channel is simulated: by random cosines, which must cost nothing,
and by cosines in which one clip stands out, which must not be lost behind text that matches in part.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.eval.benchmarks.answer_rule import Question, read_questions
from rankvideo_rag.eval.benchmarks.answers import build_archive
from rankvideo_rag.eval.measures import compute_measures
from rankvideo_rag.nodes import CHANNELS
from rankvideo_rag.ranking.cosine_scores import Background, score_cosines
from rankvideo_rag.ranking.fusion import DEFAULT_WEIGHTS, MEANING, ChannelResults, FusedHit
from rankvideo_rag.schema import Record, SearchChannel
from rankvideo_rag.settings import Settings

DEPTHS = (1, 3, 10, 20)
MEANING_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
SMALL_ARCHIVE = 25  # clips
NOT_LOST = 3  # rank at which a clip that one modality finds first must be
_SPREAD = 0.05  # of simulated cosines
_STANDS_OUT = (4.0, 8.0)  # by how many standard deviations a clip is nearer than others, in simulated pictures

Weights = Mapping[SearchChannel, float]


class FusionBenchmark(Record):
    """The results. Shares are of the questions whose right moment is in the best passage of one of the first clips."""

    questions: int
    shares: dict[str, dict[int, float]]  # channels -> depth -> share
    meaning_weights: dict[float, float]  # weight of meaning -> share in the first place
    cross_validated: float  # share in the first place with the weight fitted on the questions about other videos
    weights: dict[SearchChannel, float]
    noise_cost: dict[str, float]  # simulated channel -> nDCG@10 lost by adding it, over all clips
    kept: dict[str, float]  # modality that alone has the right clip first -> share of questions that keep it in the first three
    trials: dict[str, int]  # of these


class _Asked(NamedTuple):
    question: Question
    results: ChannelResults
    right: frozenset[int]  # passages


def benchmark_fusion(folder: Path, work: Path, settings: Settings, *, seed: int = 0) -> FusionBenchmark:
    """Index the transcripts of `folder` in `work` and ask the questions that they answer."""
    questions = [one for one in read_questions(folder / "questions.jsonl") if one.answerable]
    with VideoArchive.open(build_archive(folder / "transcripts", work, settings), settings) as archive:
        asked = [_ask(archive, question) for question in questions]
        clips = archive.store.clip_count()
    random = np.random.default_rng(seed)
    first = {weight: _places(asked, {**DEFAULT_WEIGHTS, **_meaning(weight)}) for weight in MEANING_WEIGHTS}
    kept = {"text": _keep_text(asked, random), "picture": _keep_pictures(asked, random)}
    return FusionBenchmark(
        questions=len(asked),
        shares={name: _shares(_places(asked, weights)) for name, weights in _STAGES.items()},
        meaning_weights={weight: _shares(places)[1] for weight, places in first.items()},
        cross_validated=_cross_validate(asked, first),
        weights=dict(DEFAULT_WEIGHTS),
        noise_cost={"visual": _cost_of_random_pictures(asked, clips, random)},
        kept={modality: fmean(trials) if trials else 1.0 for modality, trials in kept.items()},
        trials={modality: len(trials) for modality, trials in kept.items()},
    )


def _only(channels: Iterable[SearchChannel]) -> Weights:
    chosen = set(channels)
    return {channel: DEFAULT_WEIGHTS[channel] if channel in chosen else 0.0 for channel in CHANNELS}


def _meaning(weight: float) -> Weights:
    return dict.fromkeys(MEANING.values(), weight)


_STAGES: dict[str, Weights] = {
    "terms": _only(MEANING),
    "meaning": _only(MEANING.values()),
    "terms and meaning": _only([*MEANING, *MEANING.values()]),
    "all": DEFAULT_WEIGHTS,
}


def _ask(archive: VideoArchive, question: Question) -> _Asked:
    results = archive.as_retriever().search_channels(question.question)
    passages = archive.store.passages(results.passages)
    videos = archive.store.videos()
    right = [
        number
        for number, one in passages.items()
        if any(place.overlaps(videos[one.video_id].path, one.start, one.end) for place in question.expected)
    ]
    return _Asked(question, results, frozenset(right))


def _places(asked: Sequence[_Asked], weights: Weights) -> list[int | None]:
    """Return, for each question, the rank of the first clip whose best passage is right; None without one."""
    return [_first(one.results.fuse(weights), one.right) for one in asked]


def _first(hits: Sequence[FusedHit], right: frozenset[int]) -> int | None:
    return next((rank for rank, hit in enumerate(hits, start=1) if hit.score > 0 and hit.passage in right), None)


def _shares(places: Sequence[int | None]) -> dict[int, float]:
    return {depth: fmean(place is not None and place <= depth for place in places) for depth in DEPTHS}


def _cross_validate(asked: Sequence[_Asked], places: Mapping[float, Sequence[int | None]]) -> float:
    """Return the share in the first place where each video's questions use the weight that is best for all others."""
    videos = [one.question.expected[0].video for one in asked]
    found = []
    for video in dict.fromkeys(videos):
        others = [i for i, other in enumerate(videos) if other != video]
        best = max(places, key=lambda weight: sum(1 / (places[weight][i] or 1000) for i in others))
        found += [places[best][i] == 1 for i, other in enumerate(videos) if other == video]
    return fmean(found)


def _cosines(random: np.random.Generator, clips: Sequence[int], *, target: int | None = None) -> dict[int, float]:
    """Return normalised scores of simulated pictures, in which `target` stands out."""
    values = random.normal(0.2, _SPREAD, len(clips))
    if target is not None:
        values[clips.index(target)] = 0.2 + _SPREAD * random.uniform(*_STANDS_OUT)
    best = np.argsort(-values)[:100]
    return score_cosines({clips[i]: float(values[i]) for i in best}, Background.estimate(values), among=len(clips))


def _cost_of_random_pictures(asked: Sequence[_Asked], clips: int, random: np.random.Generator) -> float:
    """Return how much nDCG@10 falls when a channel of random cosines is added."""
    before, after = dict[str, list[str]](), dict[str, list[str]]()
    qrels = {one.question.id: {str(one.results.passages[n].clip): 1 for n in one.right} for one in asked if one.right}
    for one in asked:
        pictures = _cosines(random, list(range(1, clips + 1)))
        known = {clip: score for clip, score in pictures.items() if clip in one.results.clips}
        for rankings, shown in ((before, {}), (after, known)):
            rankings[one.question.id] = [str(hit.clip) for hit in one.results._replace(pictures=shown).fuse()]
    return _ndcg(before, qrels) - _ndcg(after, qrels)


def _ndcg(rankings: Mapping[str, list[str]], qrels: dict[str, dict[str, int]]) -> float:
    return compute_measures({query: rankings[query] for query in qrels}, qrels, ("nDCG@10",))["nDCG@10"]


def _small_archive(one: _Asked, random: np.random.Generator, *, others: bool) -> ChannelResults | None:
    """Return the results within a few clips, with the right ones or, with `others`, without; None if there are too few."""
    right = {one.results.passages[number].clip for number in one.right}
    wrong = sorted(one.results.clips.keys() - right)
    if len(wrong) < SMALL_ARCHIVE or not (right or others):
        return None
    chosen = [int(clip) for clip in random.choice(wrong, SMALL_ARCHIVE, replace=False)]
    chosen = chosen if others else [*chosen[1:], min(right)]
    passages = {number: one_of for number, one_of in one.results.passages.items() if one_of.clip in chosen}
    return ChannelResults({}, passages, {clip: one.results.clips[clip] for clip in chosen})


def _keep_text(asked: Sequence[_Asked], random: np.random.Generator) -> list[bool]:
    """Return, for questions whose right clip is first by text, whether it stays near the top beside random pictures."""
    kept = []
    for one in asked:
        small = _small_archive(one, random, others=False)
        if small and (hits := small.fuse()) and hits[0].passage in one.right:
            pictures = _cosines(random, list(small.clips))
            kept.append((_first(small._replace(pictures=pictures).fuse(), one.right) or NOT_LOST + 1) <= NOT_LOST)
    return kept


def _keep_pictures(asked: Sequence[_Asked], random: np.random.Generator) -> list[bool]:
    """Return, for clips that are first by picture, whether they stay near the top beside text that answers nothing."""
    kept = []
    for one in asked:
        small = _small_archive(one, random, others=True)
        if small:
            target = int(random.choice(list(small.clips)))
            pictures = _cosines(random, list(small.clips), target=target)
            if max(pictures, key=pictures.__getitem__) == target:
                hits = small._replace(pictures=pictures).fuse()
                kept.append(target in [hit.clip for hit in hits[:NOT_LOST]])
    return kept
