"""Where BM25 and text embedders rank the right moment of transcripts, and how near unrelated texts are to each other.

A window is a cue with its neighbours, or a passage as archives store it. Clips are 30 s long and rank by their best window.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.answer_rule import Place, Question
from rankvideo_rag.media.subtitle_parser import decode_text, parse_cues
from rankvideo_rag.media.subtitles import read_subtitles
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.schema import Record
from rankvideo_rag.storage.passages import split_passages
from rankvideo_rag.text import content_tokens, tokenize

DEPTHS = (1, 3, 10)
CLIP_SECONDS = 30.0

Scores = NDArray[np.floating]  # (questions, windows)


class Window(NamedTuple):
    """A piece of a transcript that is ranked."""

    video: str
    start: float
    end: float
    text: str


class TextSearchFigures(Record):
    """Shares of the questions whose right moment is in the first 1, 3 and 10, and the cosines of unrelated texts."""

    name: str
    windows: dict[int, float]
    clips: dict[int, float]
    mrr: float  # of clips
    unrelated_mean: float | None  # cosine of a question and a window of another video
    unrelated_std: float | None


def read_windows(transcripts: Path, *, passages: bool = False) -> list[Window]:
    """Return each cue of the subtitle files in a folder with the one before and the one after it, or the files' passages.

    Raises InputError if there are none.
    """
    read = _passages if passages else _cues_with_neighbours
    windows = [window for path in sorted(transcripts.glob("*.[sv][rt]t")) for window in read(path)]
    if not windows:
        raise InputError(f"{transcripts} holds no subtitle files: .srt or .vtt")
    return windows


def _cues_with_neighbours(path: Path) -> Iterator[Window]:
    cues = parse_cues(decode_text(path.read_bytes())).cues
    for number in range(len(cues)):
        near = cues[max(0, number - 1) : number + 2]
        yield Window(path.stem, near[0].start, near[-1].end, " ".join(cue.text for cue in near))


def _passages(path: Path) -> Iterator[Window]:
    for passage in split_passages(read_subtitles(str(path.with_suffix(".mp4")))):
        yield Window(path.stem, passage.start, passage.end, passage.text)


def benchmark_bm25(questions: Sequence[Question], windows: Sequence[Window]) -> TextSearchFigures:
    """Rank windows by BM25 over the terms of the full-text index."""
    return _figures("BM25", bm25([question.question for question in questions], windows), questions, windows)


def benchmark_text_embedder(
    name: str, embedder: TextEmbedder, questions: Sequence[Question], windows: Sequence[Window]
) -> TextSearchFigures:
    """Rank windows by the cosine of their vectors with the question's."""
    passages = embedder.embed_passages([window.text for window in windows])
    cosines = embedder.embed_queries([question.question for question in questions]) @ passages.T
    figures = _figures(name, cosines, questions, windows)
    others = np.array([[w.video not in {p.video for p in q.expected} for w in windows] for q in questions])
    mean, std = (round(float(of(cosines[others])), 3) for of in (np.mean, np.std))
    return figures.model_copy(update={"unrelated_mean": mean, "unrelated_std": std})


def bm25(questions: Sequence[str], windows: Sequence[Window], *, k1: float = 1.2, b: float = 0.75) -> Scores:
    """Return (questions, windows) scores (Robertson and Zaragoza 2009, with the k1 and b of SQLite's FTS5)."""
    bags = [Counter(token.term for token in tokenize(window.text)) for window in windows]
    frequencies = Counter(term for bag in bags for term in bag)
    lengths = np.array([bag.total() for bag in bags])
    norms = k1 * (1 - b + b * lengths / lengths.mean())
    scores = np.zeros((len(questions), len(windows)))
    for row, question in enumerate(questions):
        for term in {token.term for token in content_tokens(question)} & set(frequencies):
            counts = np.array([bag[term] for bag in bags])
            idf = math.log(1 + (len(bags) - frequencies[term] + 0.5) / (frequencies[term] + 0.5))
            scores[row] += idf * counts * (k1 + 1) / (counts + norms)
    return scores


def _figures(name: str, scores: Scores, questions: Sequence[Question], windows: Sequence[Window]) -> TextSearchFigures:
    of_windows = [_rank(question.expected, row, windows) for question, row in zip(questions, scores, strict=True)]
    places = [(window.video, int((window.start + window.end) / 2 // CLIP_SECONDS)) for window in windows]
    clips = {key: [number for number, _ in group] for key, group in groupby(enumerate(places), key=lambda item: item[1])}
    spans = [Window(video, CLIP_SECONDS * number, CLIP_SECONDS * (number + 1), "") for video, number in clips]
    best = np.array([[row[members].max() for members in clips.values()] for row in scores])
    of_clips = [_rank(question.expected, row, spans) for question, row in zip(questions, best, strict=True)]
    return TextSearchFigures(
        name=name,
        windows=_shares(of_windows),
        clips=_shares(of_clips),
        mrr=round(float(np.mean([1 / rank for rank in of_clips])), 3),
        unrelated_mean=None,
        unrelated_std=None,
    )


def _rank(expected: Sequence[Place], scores: Scores, places: Sequence[Window]) -> float:
    """Return the rank, from 1, of the best place that overlaps an expected one; infinity if there is none with a score.

    Places with the same score share the mean of their ranks.
    """
    right = [s for s, place in zip(scores, places, strict=True) if any(p.overlaps(*place[:3]) for p in expected)]
    best = max(right, default=0.0)
    if best <= 0:
        return math.inf
    return float((scores > best).sum() + ((scores == best).sum() + 1) / 2)


def _shares(ranks: Sequence[float]) -> dict[int, float]:
    return {depth: round(float(np.mean([rank <= depth for rank in ranks])), 3) for depth in DEPTHS}
