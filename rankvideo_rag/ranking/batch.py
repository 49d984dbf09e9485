"""Score many pairs of queries and videos, each video decoded once, into RankVideo's published files and a TREC run.

Every pair ends in exactly one outcome. A run that was killed resumes: complete files are kept, incomplete ones are done again.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.files import file_hash
from rankvideo_rag.formats.rankvideo import (
    RelevanceScores,
    model_short_name,
    read_scores_file,
    scores_file_name,
    scores_to_json,
)
from rankvideo_rag.formats.resumable_jsonl import fingerprint
from rankvideo_rag.formats.trec import write_run
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.batch_journal import BatchJournal
from rankvideo_rag.ranking.batch_plan import CandidatePairs, VideoTask, group_by_video
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rerank_by_margin
from rankvideo_rag.schema import Score

# Batches scored in one call, so that decoding goes on while the model runs. A kill loses the files of so many batches, though
# not their scores where these are cached.
_BATCHES_PER_CALL = 8
_NO_TEXT = Score(status="failed", reason="no_text: the file of queries has no text for this id")
_CODE = re.compile(r"[a-z_]+(?=: )")


class VideoDone(NamedTuple):
    """A video whose result file is complete."""

    video: str
    pairs: int
    unscored: int
    resumed: bool  # the result is that of an earlier run


class UnscoredPair(NamedTuple):
    """A pair without a margin."""

    query: str
    video: str
    status: str  # "abstained", "failed"
    reason: str


class BatchReport(NamedTuple):
    """The outcomes of all pairs. ok + abstained + failed = pairs."""

    videos: int
    resumed: int  # videos whose results are those of an earlier run
    pairs: int
    ok: int
    abstained: int
    failed: int
    unscored: tuple[UnscoredPair, ...]
    run: str  # path of the TREC run
    seconds: float

    def reasons(self) -> dict[str, int]:
        """Return how many pairs have no score, by reason code or else status."""
        codes = ((_CODE.match(pair.reason), pair.status) for pair in self.unscored)
        return dict(Counter(code[0] if code else status for code, status in codes).most_common())


def rerank_pairs(
    vlm: VLM,
    spec: PromptSpec,
    candidates: CandidatePairs,
    texts: Mapping[str, str],
    *,
    videos: VideoFolder,
    output: str | Path,
    model: str,
    options: ScoringOptions = ScoringOptions(),
    on_video: Callable[[VideoDone], None] = lambda done: None,
) -> BatchReport:
    """Score every pair; write a scores file for each video, and the reranked run, into the folder `output`.

    The files are named after `model`. Raises RankVideoError when another process is writing to the folder.
    """
    began, folder = time.monotonic(), Path(output)
    with BatchJournal(folder) as journal:
        batch = _Batch(vlm, spec, videos, folder, model, options, journal, on_video)
        waiting = batch.pending(group_by_video(candidates.wanted, texts))
        while jobs := list(islice(waiting, _BATCHES_PER_CALL * options.batch_size)):
            pairs = {(job.video, query): pair for job in jobs for query, pair in job.pairs.items()}
            scores = dict(zip(pairs, score_pairs(vlm, spec, list(pairs.values()), options), strict=True))
            for job in jobs:
                batch.finish(job, {query: scores[job.video, query] for query in job.pairs})
        run = folder / f"reranked_{model_short_name(model)}.trec"
        _write_run(run, candidates, batch.scores, tag=model_short_name(model))
    return _report(batch, run, time.monotonic() - began)


class _Job(NamedTuple):
    """A video whose pairs are still to be scored."""

    video: str
    texts: Mapping[str, str | None]
    pairs: Mapping[str, Pair]  # query id -> what to score; empty where the video cannot be found
    error: Score | None  # why it cannot
    fingerprint: str


@dataclass
class _Batch:
    """One run, and the scores found so far."""

    vlm: VLM
    spec: PromptSpec
    videos: VideoFolder
    folder: Path
    model: str
    options: ScoringOptions
    journal: BatchJournal
    on_video: Callable[[VideoDone], None]
    scores: RelevanceScores = field(default_factory=dict)
    done: list[VideoDone] = field(default_factory=list)

    def pending(self, tasks: Iterable[VideoTask]) -> Iterator[_Job]:
        """Yield the tasks that are not done; read the results of the others."""
        for task in tasks:
            job = self._prepare(task)
            name = scores_file_name(job.video, self.model)
            if self.journal.is_done(name, job.fingerprint):
                found = read_scores_file(self.folder / name)
                self._add(job.video, {query: of_query[job.video] for query, of_query in found.items()}, resumed=True)
            else:
                yield job

    def finish(self, job: _Job, found: Mapping[str, Score]) -> None:
        """Write the result file of a video: the score of every query, or why there is none."""
        scores = {query: _NO_TEXT if text is None else job.error or found[query] for query, text in job.texts.items()}
        # What failed may succeed in the next run; a missing text, once given, changes the fingerprint.
        is_final = all(score.status != "failed" or score == _NO_TEXT for score in scores.values())
        name = scores_file_name(job.video, self.model)
        self.journal.write(name, scores_to_json(job.video, scores), job.fingerprint if is_final else None)
        self._add(job.video, scores, resumed=False)

    def _prepare(self, task: VideoTask) -> _Job:
        pairs: dict[str, Pair] = {}
        error, content = None, ""
        try:
            path = self.videos.find(task.video)
            content = self.options.cache.content_of(path) if self.options.cache else file_hash(path)
            span = VideoSpan(str(path))
            pairs = {query: Pair(text, span) for query, text in task.texts.items() if text is not None}
        except MediaError as fault:
            error = Score(status="failed", reason=f"{fault.code}: {fault}")
        how = [self.options.windows.model_dump(), self.options.reasoning.model_dump()]
        made_of = fingerprint(self.vlm.name, self.spec.fingerprint, how, content, sorted(task.texts.items()))
        return _Job(task.video, task.texts, pairs, error, made_of)

    def _add(self, video: str, scores: Mapping[str, Score], *, resumed: bool) -> None:
        for query, score in scores.items():
            self.scores.setdefault(query, {})[video] = score
        unscored = sum(score.margin is None for score in scores.values())
        self.done.append(VideoDone(video, len(scores), unscored, resumed))
        self.on_video(self.done[-1])


def _report(batch: _Batch, run: Path, seconds: float) -> BatchReport:
    pairs = [(query, video, score) for query, scores in batch.scores.items() for video, score in scores.items()]
    by_status = Counter(score.status for _, _, score in pairs)
    return BatchReport(
        videos=len(batch.done),
        resumed=sum(done.resumed for done in batch.done),
        pairs=len(pairs),
        ok=by_status["ok"],
        abstained=by_status["abstained"],
        failed=by_status["failed"],
        unscored=tuple(UnscoredPair(q, v, s.status, s.reason or "") for q, v, s in pairs if s.margin is None),
        run=str(run),
        seconds=seconds,
    )


def _write_run(path: Path, candidates: CandidatePairs, scores: RelevanceScores, *, tag: str) -> None:
    rankings = {}
    for query, order in candidates.order.items():
        margins = {video: score.margin for video, score in scores.get(query, {}).items()}
        reranked = rerank_by_margin(candidates.wanted[query], margins)
        rankings[query] = list(dict.fromkeys([*reranked, *order]))
    unfinished = path.with_name(f".{path.name}.unfinished")
    write_run(unfinished, rankings, tag=tag)
    unfinished.replace(path)
