"""Ask an archive every question, with and without reranking, and write the results to a report's folder.

Candidates, clips and answers are those of `VideoArchive.as_query_engine`, with and without its reranker. Each candidate is
scored once, for both the run and the answer.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError, MissingDependency, ModelError, RankVideoError
from rankvideo_rag.eval.answers.records import Reference
from rankvideo_rag.eval.report.failure_analysis import IndexedVideo
from rankvideo_rag.eval.report.folder import FIRST_STAGE, QuestionResult, write_report_folder
from rankvideo_rag.eval.report.questions import Questions
from rankvideo_rag.eval.report.records import QuestionTimings, ReportMetadata
from rankvideo_rag.formats.trec import Qrels, rank_videos
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.reranker import RankVideoRerank
from rankvideo_rag.schema import Answer, Score, to_json
from rankvideo_rag.storage.store import Store
from rankvideo_rag.synthesizer import ANSWER_KEY, VideoAnswerSynthesizer

Result = TypeVar("Result")
EXTRACTIVE = "quoted from the archive's text"


def ask_archive(
    archive: VideoArchive,
    questions: Questions,
    qrels: Qrels,
    folder: Path,
    *,
    synthesizer: VideoAnswerSynthesizer,
    generator: str = EXTRACTIVE,
    stems: bool = False,
    progress: Callable[[str], None] = lambda query_id: None,
) -> None:
    """Ask all questions, and write a new folder for `folder.read_report_folder`.

    Reranking is timed only if the archive's settings cache no scores (score_cache="none"). `generator` names the model behind
    the synthesizer; with `stems` videos are named by file name without suffix; `progress` is called with the id of each
    question when it is done. Raises InputError for a folder with an earlier run, settings without a reranker, two files of one
    name, and, before any question is asked, if questions, relevance judgements and archive have no ids in common.
    """
    if (folder / FIRST_STAGE).exists():
        raise InputError(f"{folder} holds a run already: leave the archive out to score it again, or name another folder")
    reranker = _load_reranker(archive)
    names, notes = _video_names(archive.store, stems=stems)
    judged = _judged_queries(questions, qrels)
    targets = _target_videos(questions.references, judged, names, stems=stems)
    if len(judged) < len(qrels):
        notes.append(f"judged queries without a question, neither asked nor counted: {len(qrels) - len(judged)}")
    runner = _QuestionRunner(archive, reranker, synthesizer, names)
    results = []
    for reference in questions.references.values():
        results.append(runner.ask(reference))
        progress(reference.query_id)
    model = next((one.model for one in results if one.model), archive.settings.reranker)
    metadata = ReportMetadata(
        title=archive.store.folder.resolve().name,
        models={"embedder": str(archive.embedder().info), "reranker": model, "answers": generator},
        notes=(*notes, *runner.failures),
    )
    indexed = _indexed_videos(archive.store, names, targets, stems=stems)
    write_report_folder(folder, questions, judged, results, metadata, indexed)


class _QuestionRunner:
    """An archive's retriever, reranker and synthesizer, with their models loaded."""

    def __init__(
        self,
        archive: VideoArchive,
        reranker: RankVideoRerank,
        synthesizer: VideoAnswerSynthesizer,
        names: Mapping[str, str],
    ) -> None:
        settings = archive.settings
        self._reranker, self._synthesizer, self._names = reranker, synthesizer, names
        self._retriever = archive.as_retriever(top_k=max(settings.retrieve_depth, settings.rerank_depth))
        self._depth, self._top_n = settings.rerank_depth, settings.top_n
        self._is_timed = settings.score_cache == "none"
        self._is_warm = self._has_answered = False
        self.failures: list[str] = []  # answers that could not be generated
        archive.vectors()
        archive.embedder()

    def ask(self, reference: Reference) -> QuestionResult:
        nodes, retrieve_seconds = _timed(self._retriever.retrieve, reference.question)
        if nodes and not self._is_warm:
            self._rerank(nodes[:1], reference.question)
            self._is_warm = True
        reranked, rerank_seconds = _timed(self._rerank, nodes[: self._depth], reference.question)
        answer_without, without_seconds = _timed(self._answer, reference, nodes[: self._top_n])
        answer_with, with_seconds = _timed(self._answer, reference, reranked[: self._top_n])
        timings = QuestionTimings(
            query_id=reference.query_id,
            retrieve=retrieve_seconds,
            rerank=rerank_seconds if self._is_timed else None,
            answer_without=without_seconds,
            answer_with=with_seconds,
        )
        return QuestionResult(
            query_id=reference.query_id,
            first_stage=self._videos(nodes),
            reranked=self._videos([*reranked, *nodes[self._depth :]]),
            margins=self._margins(reranked),
            answers={"without": answer_without, "with": answer_with},
            timings=timings,
            model=next((hit.node.metadata.get("rerank_model") for hit in reranked), None),
        )

    def _rerank(self, nodes: list[Any], question: str) -> list[Any]:
        """Return the nodes by margin. If no clip can be scored, they keep their order and record the error."""
        try:
            return self._reranker.postprocess_nodes(nodes, query_str=question)
        except (InputError, MissingDependency, ModelError):
            raise
        except RankVideoError as error:
            failed = [hit.model_copy(deep=True) for hit in nodes]
            for hit in failed:
                hit.node.metadata["rerank_status"] = f"failed: {error}"
            return failed

    def _answer(self, reference: Reference, nodes: list[Any]) -> dict[str, Any] | None:
        """Return the answer; None where generation fails, unless it has never succeeded, which raises ModelError."""
        response = self._synthesizer.synthesize(reference.question, nodes)
        answer = Answer.model_validate((response.metadata or {})[ANSWER_KEY])
        if answer.llm_status == "failed":
            if not self._has_answered:
                raise ModelError(f"the first answer, to {reference.query_id!r}, could not be written: {answer.reason}")
            self.failures.append(f"the answer to {reference.query_id!r} could not be written: {answer.reason}")
            return None
        self._has_answered = True
        found = to_json(answer, nodes_to_hits(nodes))
        for place in (*found["citations"], *found["clips"]):
            place["video_id"] = self._names[place["video_id"]]
        return {"query_id": reference.query_id, **found}

    def _videos(self, nodes: Sequence[Any]) -> list[str]:
        return [self._names[video] for video in rank_videos(nodes_to_hits(nodes))]

    def _margins(self, nodes: Sequence[Any]) -> dict[str, Score]:
        """Return the score of each video's best clip."""
        found: dict[str, Score] = {}
        for hit in nodes:
            video, score = self._names[hit.node.metadata["video_id"]], _score(hit.node.metadata)
            known = found.setdefault(video, score)
            if score.margin is not None and (known.margin is None or score.margin > known.margin):
                found[video] = score
        return found


def _timed(function: Callable[..., Result], *args: Any) -> tuple[Result, float]:
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def _score(metadata: Mapping[str, Any]) -> Score:
    status, _, reason = metadata.get("unscored_picture", metadata["rerank_status"]).partition(": ")
    return Score(margin=metadata.get("rerank_score"), p_yes=metadata.get("rerank_p_yes"), status=status, reason=reason or None)


def _load_reranker(archive: VideoArchive) -> RankVideoRerank:
    reranker = archive.as_reranker(top_n=archive.settings.rerank_depth)
    if reranker is None:
        raise InputError("the settings name no reranker, so there is nothing to compare: give one with --reranker")
    return reranker


def _video_names(store: Store, *, stems: bool) -> tuple[dict[str, str], list[str]]:
    """Return video id -> id in the report, and notes on it.

    With `stems` that is the file's name without suffix, or the archive's id if the name is not one word, as TREC files need.
    Raises InputError for two videos of one name.
    """
    videos = store.videos()
    if not stems:
        return {video_id: video_id for video_id in videos}, []
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    for video_id, video in videos.items():
        stem = Path(video.path).stem
        name = names[video_id] = stem if stem.split() == [stem] else video_id
        owner = owners.setdefault(name, video_id)
        if owner != video_id:
            paths = f"{videos[owner].path} and {video.path}"
            raise InputError(f"two videos are called {name!r}, {paths}: leave --stems out, and judge videos by their ids")
    unnamed = sum(video_id == name for video_id, name in names.items())
    return names, [f"videos named by the archive's id, as their file's name is not one word: {unnamed}"] if unnamed else []


def _judged_queries(questions: Questions, qrels: Qrels) -> Qrels:
    """Return the judgements of the questions. Raises InputError if there are none."""
    judged = {query: grades for query, grades in qrels.items() if query in questions.references}
    if not judged:
        raise InputError(
            f"no question is judged: questions have ids such as {next(iter(questions.references))!r}, "
            f"relevance judgements such as {next(iter(qrels), 'none')!r}"
        )
    return judged


def _target_videos(references: Mapping[str, Reference], qrels: Qrels, names: Mapping[str, str], *, stems: bool) -> list[str]:
    """Return every video that is relevant for some question.

    Raises InputError if there are some and none is in the archive, as every score would be 0.
    """
    judged = [video for query in references for video, grade in qrels.get(query, {}).items() if grade >= 1]
    targets = list(dict.fromkeys([*judged, *(video for reference in references.values() for video in reference.videos)]))
    if targets and set(targets).isdisjoint(names.values()):
        advice = "check that the files were indexed" if stems else "relevance judgements by file name need --stems"
        raise InputError(
            f"none of the {len(targets)} relevant videos is in the archive: they have names such as {targets[0]!r}, "
            f"those of the archive such as {next(iter(names.values()), 'none')!r}; {advice}"
        )
    return targets


def _indexed_videos(store: Store, names: Mapping[str, str], targets: Sequence[str], *, stems: bool) -> list[IndexedVideo]:
    """Return what the archive has of each target, or why it has nothing."""
    ids = {name: video_id for video_id, name in names.items()}
    reasons = {
        Path(one.path).stem if stems else one.video_id: f"{one.outcome}: {one.reason}"
        for one in store.outcomes()
        if one.outcome in ("skipped", "failed")
    }
    found = []
    for name in targets:
        clips = tuple((clip.start, clip.end) for clip in store.clips_of(ids[name])) if name in ids else ()
        reason = None if clips else reasons.get(name, "the archive has no such video")
        found.append(IndexedVideo(video=name, clips=clips, reason=reason))
    return found
