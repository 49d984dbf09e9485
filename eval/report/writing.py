"""What an archive was asked and gave back, written to a report's folder. folder.py says which file holds what and reads it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rankvideo_rag.eval.answers.io import write_references
from rankvideo_rag.eval.report.folder import (
    ABOUT,
    FIRST_STAGE,
    INDEXED,
    LABELS,
    MARGINS,
    QRELS,
    REFERENCES,
    RERANKED,
    SECONDS,
    Indexed,
    answers_file,
)
from rankvideo_rag.eval.report.questions import Questions
from rankvideo_rag.eval.report.records import VARIANTS, QuestionTimings, ReportMetadata, Variant
from rankvideo_rag.eval.slices import QueryLabels
from rankvideo_rag.formats.rankvideo import model_short_name, scores_file_name, scores_to_json
from rankvideo_rag.formats.trec import Qrels, write_qrels, write_run
from rankvideo_rag.schema import Record, Score


class QuestionResult(NamedTuple):
    """What came of one question. Videos bear the ids of the report."""

    query_id: str
    first_stage: list[str]  # videos, best first
    reranked: list[str]
    margins: dict[str, Score]  # of every video that was watched, by its best clip
    answers: dict[Variant, dict[str, Any] | None]  # schema.to_json, with the query's id; None where it could not be written
    seconds: QuestionTimings
    model: str | None  # that watched


def write_report_folder(
    folder: Path,
    questions: Questions,
    qrels: Qrels,
    found: Sequence[QuestionResult],
    about: ReportMetadata,
    indexed: Sequence[Indexed],
) -> None:
    """Write everything that `folder.read_material` reads, into a folder that is made if need be."""
    (folder / MARGINS).mkdir(parents=True, exist_ok=True)
    write_references(folder / REFERENCES, list(questions.references.values()))
    write_qrels(folder / QRELS, qrels)
    write_run(folder / RERANKED, {one.query_id: one.reranked for one in found}, tag="reranked")
    _write_margins(folder / MARGINS, found, about.models["reranker"])
    for side in VARIANTS:
        _write_rows(folder / answers_file(side), [row for one in found if (row := one.answers[side])])
    _write_records(folder / INDEXED, indexed)
    _write_records(folder / SECONDS, [one.seconds for one in found])
    if questions.labels:
        _write_rows(folder / LABELS, _label_rows(questions.labels))
    (folder / ABOUT).write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")
    # Last: where it stands, the rest does.
    write_run(folder / FIRST_STAGE, {one.query_id: one.first_stage for one in found}, tag="first-stage")


def _write_margins(folder: Path, found: Sequence[QuestionResult], model: str) -> None:
    by_video: dict[str, dict[str, Score]] = {}
    for one in found:
        for video, score in one.margins.items():
            by_video.setdefault(video, {})[one.query_id] = score
    word = "".join(letter if letter.isalnum() or letter in "-." else "-" for letter in model_short_name(model))
    for video, scores in by_video.items():
        (folder / scores_file_name(video, word)).write_bytes(scores_to_json(video, scores))


def _label_rows(labels: QueryLabels) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for facet, of_facet in labels.items():
        for query, values in of_facet.items():
            rows.setdefault(query, {"query_id": query})[facet] = list(values)
    return list(rows.values())


def _write_records(path: Path, records: Sequence[Record]) -> None:
    _write_rows(path, [record.model_dump(mode="json") for record in records])


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8", newline="\n")
