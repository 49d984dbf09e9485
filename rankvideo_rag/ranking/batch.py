"""Judging many pairs of queries and videos: video by video, each decoded once, to the published files and a TREC run.

Every pair given ends in one outcome. A run that was killed goes on where it was: what is done is not done again, what is
half done is. This file prints nothing: it tells a listener what it does.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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
from rankvideo_rag.formats.trec import write_run
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import VLM
from rankvideo_rag.models.vlm.prompt_spec import PromptSpec
from rankvideo_rag.ranking.batch_journal import BatchJournal
from rankvideo_rag.ranking.batch_plan import CandidatePairs, VideoTask, group_by_video
from rankvideo_rag.ranking.cache import ScoreCache
from rankvideo_rag.ranking.orders import reranked
from rankvideo_rag.ranking.pointwise import Pair, VideoSpan, score_pairs
from rankvideo_rag.schema import Score

# Batches given to the judge at once: it decodes the next while it watches one. A kill costs the files of so many, though not
# their scores where these are cached.
BATCHES_AT_ONCE = 8
_NO_TEXT = "no_text: the file of queries has no text for this id"
_CODE = re.compile(r"[a-z_]+(?=: )")


class VideoDone(NamedTuple):
    """A video whose result is on disk."""

    video: str
    pairs: int
    unscored: int
    resumed: bool  # the result is that of an earlier run


class UnscoredPair(NamedTuple):
    """A pair without a verdict."""

    query: str
    video: str
    status: str  # "abstained", "failed"
    reason: str


class BatchReport(NamedTuple):
    """What became of every pair given. ok + abstained + failed = pairs."""

    videos: int
    resumed: int  # of the videos, how many were done by an earlier run
    pairs: int
    ok: int
    abstained: int
    failed: int
    unscored: tuple[UnscoredPair, ...]
    run: str  # path of the TREC run
    seconds: float

    def reasons(self) -> dict[str, int]:
        """Code or status -> how many pairs could not be scored for it."""
        codes = ((_CODE.match(pair.reason), pair.status) for pair in self.unscored)
        return dict(Counter(code[0] if code else status for code, status in codes).most_common())


class _Job(NamedTuple):
    """A task that is not done, with what it takes."""

    task: VideoTask
    path: Path | None
    fault: str | None  # why there is nothing to watch
    fingerprint: str


def rerank_pairs(
    vlm: VLM,
    spec: PromptSpec,
    given: CandidatePairs,
    texts: Mapping[str, str],
    *,
    videos: VideoFolder,
    to: str | Path,
    model: str,
    batch_size: int = 4,
    limits: MediaLimits = MediaLimits(),
    cache: ScoreCache | None = None,
    listen: Callable[[VideoDone], None] = lambda done: None,
) -> BatchReport:
    """Judge every pair, and write a file of verdicts for each video and the reranked run into the folder `to`.

    `model` is what the files are named after. Raises RankVideoError when another process is writing there.
    """
    began = time.monotonic()
    batch = _Batch(vlm, spec, videos, Path(to), model, cache)
    with BatchJournal(to) as receipts:
        waiting = batch.unfinished(group_by_video(given.wanted, texts), receipts, listen)
        while jobs := list(islice(waiting, BATCHES_AT_ONCE * batch_size)):
            asked = {(job.task.video, query): pair for job in jobs for query, pair in _to_ask(job).items()}
            scores = score_pairs(vlm, spec, list(asked.values()), batch_size=batch_size, limits=limits, cache=cache)
            by_ids = dict(zip(asked, scores, strict=True))
            for job in jobs:
                batch.finish(job, {query: by_ids[job.task.video, query] for query in _to_ask(job)}, receipts, listen)
        run = Path(to) / f"reranked_{model_short_name(model)}.trec"
        _write_run(run, given, batch.scores, tag=model_short_name(model))
    return batch.report(run, time.monotonic() - began)


class _Batch:
    """One run, and the scores found so far."""

    def __init__(
        self, vlm: VLM, spec: PromptSpec, videos: VideoFolder, folder: Path, model: str, cache: ScoreCache | None
    ) -> None:
        self._vlm, self._spec, self._videos = vlm, spec, videos
        self._folder, self._model, self._cache = folder, model, cache
        self.scores: RelevanceScores = {}
        self._done: list[VideoDone] = []

    def unfinished(
        self, tasks: Iterable[VideoTask], receipts: BatchJournal, listen: Callable[[VideoDone], None]
    ) -> Iterator[_Job]:
        """The tasks that are still to do; the results of the others are read."""
        for task in tasks:
            job = self._job(task)
            name = scores_file_name(task.video, self._model)
            if receipts.done(name, job.fingerprint):
                found = read_scores_file(self._folder / name)
                self._note(task.video, {query: of_query[task.video] for query, of_query in found.items()}, listen, resumed=True)
            else:
                yield job

    def finish(
        self, job: _Job, judged: Mapping[str, Score], receipts: BatchJournal, listen: Callable[[VideoDone], None]
    ) -> None:
        """Write the result of a task: every query that was asked about the video, scored or with its reason."""
        no_text, no_file = (Score(status="failed", reason=reason) for reason in (_NO_TEXT, job.fault))
        found = dict.fromkeys(job.task.texts, no_file) if job.path is None else judged
        scores = {query: no_text if text is None else found[query] for query, text in job.task.texts.items()}
        # What failed may go well at the next run; that a text is missing stays so until somebody gives one.
        settled = all(score.status != "failed" or score == no_text for score in scores.values())
        name = scores_file_name(job.task.video, self._model)
        receipts.write(name, scores_to_json(job.task.video, scores), job.fingerprint if settled else None)
        self._note(job.task.video, scores, listen, resumed=False)

    def report(self, run: Path, seconds: float) -> BatchReport:
        """The counts."""
        pairs = [(q, v, score) for q, of_query in self.scores.items() for v, score in of_query.items()]
        by_status = Counter(score.status for _, _, score in pairs)
        return BatchReport(
            videos=len(self._done),
            resumed=sum(done.resumed for done in self._done),
            pairs=len(pairs),
            ok=by_status["ok"],
            abstained=by_status["abstained"],
            failed=by_status["failed"],
            unscored=tuple(UnscoredPair(q, v, s.status, s.reason or "") for q, v, s in pairs if s.margin is None),
            run=str(run),
            seconds=seconds,
        )

    def _job(self, task: VideoTask) -> _Job:
        path, fault, content = None, None, ""
        try:
            path = self._videos.find(task.video)
            content = self._cache.content_of(path) if self._cache else file_hash(path)
        except MediaError as error:
            path, fault = None, f"{error.code}: {error}"
        made_of = [1, self._vlm.name, self._spec.fingerprint, content, sorted(task.texts.items())]
        return _Job(task, path, fault, hashlib.sha256(json.dumps(made_of).encode()).hexdigest())

    def _note(self, video: str, scores: Mapping[str, Score], listen: Callable[[VideoDone], None], *, resumed: bool) -> None:
        for query, score in scores.items():
            self.scores.setdefault(query, {})[video] = score
        unscored = sum(score.margin is None for score in scores.values())
        self._done.append(VideoDone(video, len(scores), unscored, resumed))
        listen(self._done[-1])


def _to_ask(job: _Job) -> dict[str, Pair]:
    """Query id -> what the model is asked; nothing where there is nothing to watch."""
    if job.path is None:
        return {}
    footage = VideoSpan(str(job.path))
    return {query: Pair(text, footage) for query, text in job.task.texts.items() if text is not None}


def _write_run(path: Path, given: CandidatePairs, scores: RelevanceScores, *, tag: str) -> None:
    rankings = {}
    for query, order in given.order.items():
        margins = {video: score.margin for video, score in scores.get(query, {}).items()}
        judged = reranked(given.wanted[query], margins)
        rankings[query] = list(dict.fromkeys([*judged, *order]))
    unfinished = path.with_name(f".{path.name}.unfinished")
    write_run(unfinished, rankings, tag=tag)
    unfinished.replace(path)
