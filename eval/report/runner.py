"""An archive is asked every question, with and without reranking, and all that came of it is written to a report's folder.

Candidates, clips shown and answers are those of `VideoArchive.as_query_engine`, with the reranker and without; the reranker
watches once for both the run and the answer. This file measures nothing but seconds.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError, MissingDependency, ModelError, RankVideoError
from rankvideo_rag.eval.answers.records import Reference
from rankvideo_rag.eval.report.folder import FIRST_STAGE, Indexed
from rankvideo_rag.eval.report.questions import Questions
from rankvideo_rag.eval.report.records import QuestionTimings, ReportMetadata
from rankvideo_rag.eval.report.writing import QuestionResult, write_report_folder
from rankvideo_rag.formats.trec import Qrels, rank_videos
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.reranker import RankVideoRerank
from rankvideo_rag.schema import Answer, Score, to_json
from rankvideo_rag.storage.store import SqlCondition, Store
from rankvideo_rag.synthesizer import ANSWER_KEY, VideoAnswerSynthesizer

T = TypeVar("T")
EXTRACTIVE = "quoted from the archive's words"


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
    """Ask all of them, and write a new folder that `folder.read_material` reads.

    With `stems` videos go by their files' names without suffix. What reranking takes is kept only where the archive's settings
    keep no verdicts (score_cache="none"). `progress` is told each question when it is done. Raises InputError for a folder
    that holds an earlier run, for settings without a reranker, where two files bear one name, and before anything is asked
    where questions, judgements and archive name nothing in common.
    """
    if (folder / FIRST_STAGE).exists():
        raise InputError(f"{folder} holds a run already: leave the archive out to score it again, or name another folder")
    reranker = archive.as_reranker(top_n=archive.settings.rerank_depth)
    if reranker is None:
        raise InputError("the settings name no reranker, so there is nothing to compare: give one with --reranker")
    names, notes = names_of(archive.store, stems=stems)
    asked = {query: grades for query, grades in qrels.items() if query in questions.references}
    targets = _targets(questions.references, asked)
    _refuse_strangers(questions, qrels, asked, targets, names, stems=stems)
    if len(asked) < len(qrels):
        notes = (*notes, f"judged queries without a question, neither asked nor counted: {len(qrels) - len(asked)}")
    asking = _Asking(archive, reranker, synthesizer, names)
    found = []
    for reference in questions.references.values():
        found.append(asking.ask(reference))
        progress(reference.query_id)
    about = ReportMetadata(
        title=archive.store.folder.resolve().name,
        models={
            "embedder": str(archive.embedder().info),
            "reranker": next((one.model for one in found if one.model), archive.settings.reranker),
            "answers": generator,
        },
        keep_order_below=archive.settings.keep_order_below,
        notes=(*notes, *asking.failed),
    )
    indexed = _indexed(archive.store, names, stems, targets)
    write_report_folder(folder, questions, asked, found, about, indexed)


def names_of(store: Store, *, stems: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """Video id -> the id that a report gives it, and what should be known of that.

    With `stems` that is the file's name without suffix; where this is no single word, and can be in no run, the archive's own.
    Raises InputError for two videos of one name.
    """
    videos = store.videos()
    if not stems:
        return {video_id: video_id for video_id in videos}, ()
    names = {video_id: Path(video.path).stem for video_id, video in videos.items()}
    names = {video_id: name if name.split() == [name] else video_id for video_id, name in names.items()}
    owner: dict[str, str] = {}
    for video_id, name in names.items():
        other = owner.setdefault(name, video_id)
        if other != video_id:
            paths = f"{videos[other].path} and {videos[video_id].path}"
            raise InputError(f"two videos are called {name!r}, {paths}: leave --stems out, and judge videos by their ids")
    strange = sum(video_id == name for video_id, name in names.items())
    note = f"videos whose file's name is not one word, known by the archive's id: {strange}"
    return names, (note,) if strange else ()


class _Asking:
    """The joints of an archive, with their models loaded."""

    def __init__(
        self,
        archive: VideoArchive,
        reranker: RankVideoRerank,
        synthesizer: VideoAnswerSynthesizer,
        names: Mapping[str, str],
    ) -> None:
        settings = archive.settings
        self._retriever = archive.as_retriever(top_k=max(settings.retrieve_depth, settings.rerank_depth))
        self._reranker, self._synthesizer, self._names = reranker, synthesizer, names
        self._depth, self._shown = settings.rerank_depth, settings.top_n
        self._timed = settings.score_cache == "none"
        self._is_warm = self._has_written = False
        self.failed: list[str] = []  # what became of answers that could not be written
        archive.vectors()
        archive.embedder()

    def ask(self, reference: Reference) -> QuestionResult:
        question = reference.question
        nodes, retrieving = _timed(self._retriever.retrieve, question)
        if nodes and not self._is_warm:
            self._rerank(nodes[:1], question)
            self._is_warm = True
        judged, reranking = _timed(self._rerank, nodes[: self._depth], question)
        without, answering = _timed(self._answer, reference, nodes[: self._shown])
        with_, answering_with = _timed(self._answer, reference, judged[: self._shown])
        return QuestionResult(
            query_id=reference.query_id,
            first_stage=self._videos(nodes),
            reranked=self._videos([*judged, *nodes[self._depth :]]),
            margins=self._margins(judged),
            answers={"without": without, "with": with_},
            seconds=QuestionTimings(
                query_id=reference.query_id,
                retrieve=retrieving,
                rerank=reranking if self._timed else None,
                without=answering,
                with_=answering_with,
            ),
            model=next((hit.node.metadata.get("rerank_model") for hit in judged), None),
        )

    def _rerank(self, nodes: list[Any], question: str) -> list[Any]:
        """The nodes by margin. A question of which no clip can be judged keeps its order, and its clips their failure."""
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
        try:
            response = self._synthesizer.synthesize(reference.question, nodes)
        except (InputError, MissingDependency):
            raise
        except Exception as error:
            self._fail(reference.query_id, error)
            return None
        self._has_written = True
        answer = Answer.model_validate((response.metadata or {})[ANSWER_KEY])
        contract = to_json(answer, nodes_to_hits(nodes))
        for place in (*contract["citations"], *contract["clips"]):
            place["video_id"] = self._names[place["video_id"]]
        return {"query_id": reference.query_id, **contract}

    def _fail(self, query_id: str, error: Exception) -> None:
        """One answer that a language model fails to write is one without an answer; one that never wrote any ends the run."""
        told = f"{type(error).__name__}: {error}"
        if not self._has_written:
            raise ModelError(f"the answer to {query_id!r}, the first that was to be written, failed ({told})") from error
        self.failed.append(f"the answer to {query_id!r} could not be written ({told})")

    def _videos(self, nodes: Sequence[Any]) -> list[str]:
        return [self._names[video] for video in rank_videos(nodes_to_hits(nodes))]

    def _margins(self, nodes: Sequence[Any]) -> dict[str, Score]:
        found: dict[str, Score] = {}
        for hit in nodes:
            video, score = self._names[hit.node.metadata["video_id"]], _score(hit.node.metadata)
            known = found.setdefault(video, score)
            if score.margin is not None and (known.margin is None or score.margin > known.margin):
                found[video] = score
        return found


def _refuse_strangers(
    questions: Questions, qrels: Qrels, asked: Qrels, targets: Sequence[str], names: Mapping[str, str], *, stems: bool
) -> None:
    """Ids that do not meet would make a report of nothing but zeros, after all has been asked."""
    if not asked:
        raise InputError(
            f"no question is judged: questions have ids such as {next(iter(questions.references))!r}, "
            f"judgements such as {next(iter(qrels), 'none')!r}"
        )
    if targets and not set(targets) & set(names.values()):
        advice = "check that the files were indexed" if stems else "judgements that name files take --stems"
        raise InputError(
            f"none of the {len(targets)} videos that are asked for is in the archive: they have names such as {targets[0]!r}, "
            f"those of the archive such as {next(iter(names.values()), 'none')!r}; {advice}"
        )


def _timed(work: Callable[..., T], *given: Any) -> tuple[T, float]:
    begun = time.perf_counter()
    return work(*given), time.perf_counter() - begun


def _score(metadata: Mapping[str, Any]) -> Score:
    status, _, reason = metadata["rerank_status"].partition(": ")
    return Score(margin=metadata.get("rerank_score"), p_yes=metadata.get("rerank_p_yes"), status=status, reason=reason or None)


def _targets(references: Mapping[str, Reference], qrels: Qrels) -> list[str]:
    """Every video that some question is about."""
    judged = [video for query in references for video, grade in qrels.get(query, {}).items() if grade >= 1]
    return list(dict.fromkeys([*judged, *(video for reference in references.values() for video in reference.videos)]))


def _indexed(store: Store, names: Mapping[str, str], stems: bool, targets: Sequence[str]) -> list[Indexed]:
    ids = {name: video_id for video_id, name in names.items()}
    reasons = {
        Path(one.path).stem if stems else one.video_id: f"{one.outcome}: {one.reason}"
        for one in store.outcomes()
        if one.outcome in ("skipped", "failed")
    }
    found = []
    for name in targets:
        rows: list[int] = store.clips_matching(SqlCondition("video_id = ?", (ids[name],))).tolist() if name in ids else []
        clips = tuple((clip.start, clip.end) for clip in store.clips(rows).values())
        reason = None if clips else reasons.get(name, "the archive has no such video")
        found.append(Indexed(video=name, clips=clips, reason=reason))
    return found
