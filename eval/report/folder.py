"""Read and write a report's folder. Other systems can write its files too; they are read strictly.

    references.jsonl                              questions with their correct answers (answers/io.py)
    qrels.trec                                    relevance judgements of videos
    first_stage.trec, reranked.trec               videos, best first, before and after reranking
    margins/VIDEO_reranking_MODEL.json            the reranker's scores, as RankVideo publishes them (formats/rankvideo.py)
    answers_without.jsonl, answers_with.jsonl     answers without and with reranking, with the clips given to the generator
    indexed.jsonl      optional                   {"video", "clips": [[start, end], …], "reason"}: what the archive has of each
                                                  relevant video, or why it has nothing
    slices.jsonl       optional                   labels of queries (slices.py)
    seconds.jsonl      optional                   seconds per question and step (records.QuestionTimings)
    metadata.json      optional                   models and title (records.ReportMetadata)

judgements.jsonl, report.json and report.html are added when the folder is scored. All files name videos by the same ids.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.io import read_answers, read_references, validate, write_references
from rankvideo_rag.eval.answers.records import Reference, SystemAnswer
from rankvideo_rag.eval.report.failure_analysis import IndexedVideo
from rankvideo_rag.eval.report.questions import Questions
from rankvideo_rag.eval.report.records import VARIANTS, QuestionTimings, ReportMetadata, Variant
from rankvideo_rag.eval.slices import QueryLabels, read_query_labels
from rankvideo_rag.formats.multivent import load_qrels
from rankvideo_rag.formats.rankvideo import (
    RelevanceScores,
    load_run,
    model_short_name,
    read_scores,
    scores_file_name,
    scores_to_json,
)
from rankvideo_rag.formats.strict import read_json, read_json_lines
from rankvideo_rag.formats.trec import Qrels, TrecRun, write_qrels, write_run
from rankvideo_rag.schema import Score

REFERENCES, QRELS, LABELS, INDEXED = "references.jsonl", "qrels.trec", "slices.jsonl", "indexed.jsonl"
FIRST_STAGE, RERANKED, MARGINS = "first_stage.trec", "reranked.trec", "margins"
TIMINGS, METADATA, JUDGEMENTS = "seconds.jsonl", "metadata.json", "judgements.jsonl"
REPORT, PAGE = "report.json", "report.html"
ANSWERS: dict[Variant, str] = {"without": "answers_without.jsonl", "with": "answers_with.jsonl"}


class ReportInputs(NamedTuple):
    """The contents of a folder."""

    references: dict[str, Reference]
    qrels: Qrels
    first_stage: TrecRun
    reranked: TrecRun
    margins: RelevanceScores
    answers: dict[Variant, dict[str, SystemAnswer]]
    indexed: dict[str, IndexedVideo] | None
    labels: QueryLabels
    timings: tuple[QuestionTimings, ...]
    metadata: ReportMetadata
    notes: tuple[str, ...]  # on the relevance judgements


class QuestionResult(NamedTuple):
    """Results of one question. Videos have the ids of the report."""

    query_id: str
    first_stage: list[str]  # videos, best first
    reranked: list[str]
    margins: dict[str, Score]  # video -> score of its best clip, for every reranked video
    answers: dict[Variant, dict[str, Any] | None]  # schema.to_json, with the query's id; None where generation failed
    timings: QuestionTimings
    model: str | None  # of the reranker


def read_report_folder(folder: Path, *, stems: bool = False) -> ReportInputs:
    """Read a folder. With `stems`, videos in answers are named by their file's name, as in the other files.

    Raises InputError for a file that is missing or invalid.
    """
    needed = (REFERENCES, QRELS, FIRST_STAGE, RERANKED, *ANSWERS.values())
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        raise InputError(f"{folder} lacks {', '.join(missing)}: add them, or name an archive, with --questions and --qrels")
    judged = load_qrels(folder / QRELS)
    metadata = folder / METADATA
    return ReportInputs(
        references=read_references(folder / REFERENCES),
        qrels=judged.qrels,
        first_stage=load_run(folder / FIRST_STAGE),
        reranked=load_run(folder / RERANKED),
        margins=read_scores(folder / MARGINS),
        answers={variant: read_answers(folder / name, stems=stems) for variant, name in ANSWERS.items()},
        indexed=_read_indexed(folder / INDEXED),
        labels=read_query_labels(folder / LABELS) if (folder / LABELS).exists() else {},
        timings=_read_timings(folder / TIMINGS),
        metadata=validate(ReportMetadata, read_json(metadata), str(metadata)) if metadata.exists() else ReportMetadata(),
        notes=judged.notes,
    )


def write_report_folder(
    folder: Path,
    questions: Questions,
    qrels: Qrels,
    results: Sequence[QuestionResult],
    metadata: ReportMetadata,
    indexed: Sequence[IndexedVideo],
) -> None:
    """Write everything that `read_report_folder` reads, into a folder that is created if needed."""
    (folder / MARGINS).mkdir(parents=True, exist_ok=True)
    write_references(folder / REFERENCES, questions.references.values())
    write_qrels(folder / QRELS, qrels)
    write_run(folder / RERANKED, {one.query_id: one.reranked for one in results}, tag="reranked")
    _write_margins(folder / MARGINS, results, metadata.models["reranker"])
    for variant in VARIANTS:
        _write_rows(folder / ANSWERS[variant], (row for one in results if (row := one.answers[variant])))
    _write_rows(folder / INDEXED, (one.model_dump() for one in indexed))
    _write_rows(folder / TIMINGS, (one.timings.model_dump() for one in results))
    if questions.labels:
        _write_rows(folder / LABELS, _label_rows(questions.labels))
    (folder / METADATA).write_text(metadata.model_dump_json(indent=1) + "\n", encoding="utf-8")
    # Last: its presence means that the folder is complete.
    write_run(folder / FIRST_STAGE, {one.query_id: one.first_stage for one in results}, tag="first-stage")


def _read_indexed(path: Path) -> dict[str, IndexedVideo] | None:
    if not path.exists():
        return None
    videos = [validate(IndexedVideo, row.value, row.place) for row in read_json_lines(path, "video and clips")]
    return {one.video: one for one in videos}


def _read_timings(path: Path) -> tuple[QuestionTimings, ...]:
    rows = read_json_lines(path, "query_id and seconds") if path.exists() else ()
    return tuple(validate(QuestionTimings, row.value, row.place) for row in rows)


def _write_margins(folder: Path, results: Sequence[QuestionResult], model: str) -> None:
    by_video: dict[str, dict[str, Score]] = {}
    for one in results:
        for video, score in one.margins.items():
            by_video.setdefault(video, {})[one.query_id] = score
    word = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in model_short_name(model))
    for video, scores in by_video.items():
        (folder / scores_file_name(video, word)).write_bytes(scores_to_json(video, scores))


def _label_rows(labels: QueryLabels) -> Iterable[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for facet, of_facet in labels.items():
        for query, values in of_facet.items():
            rows.setdefault(query, {"query_id": query})[facet] = list(values)
    return rows.values()


def _write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")
