"""The folder of a report: what was asked and found, as files that other systems can write too, read back strictly.

    references.jsonl                              questions and what is right to say (answers/reading.py)
    qrels.trec                                    which videos are relevant (runs.py)
    first_stage.trec, reranked.trec               videos, best first, before and after reranking
    margins/VIDEO_reranking_MODEL.json            the reranker's verdicts (verdicts.py)
    answers_without.jsonl, answers_with.jsonl     without reranking and with it, with the clips they were made from
                                                  (answers/reading.py)
    indexed.jsonl      may be absent              {"video", "clips": [[start, end], …], "reason"}: of every relevant video, what
                                                  the archive has of it, and why it has nothing
    slices.jsonl       may be absent              labels of queries (slices.py)
    seconds.jsonl      may be absent              what each question took (records.Seconds)
    about.json         may be absent              models and title (records.About)

Beside them stand verdicts.jsonl, which the judge of answers keeps, and what is made of it all: report.json and report.html.
Videos bear the same ids in all of them. This file measures nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.io import read_references
from rankvideo_rag.eval.answers.records import Reference
from rankvideo_rag.eval.report.failure_analysis import IndexedVideo
from rankvideo_rag.eval.report.records import VARIANTS, QuestionTimings, ReportMetadata, Variant
from rankvideo_rag.eval.report.replies import ReportedAnswer, read_replies
from rankvideo_rag.eval.slices import QueryLabels, read_query_labels
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.multivent import load_qrels
from rankvideo_rag.formats.rankvideo import RelevanceScores, load_run, read_scores
from rankvideo_rag.formats.strict import read_json, read_json_lines
from rankvideo_rag.formats.trec import Qrels, TrecRun
from rankvideo_rag.schema import Record

REFERENCES, QRELS, LABELS, INDEXED = "references.jsonl", "qrels.trec", "slices.jsonl", "indexed.jsonl"
FIRST_STAGE, RERANKED, MARGINS = "first_stage.trec", "reranked.trec", "margins"
SECONDS, ABOUT, VERDICTS = "seconds.jsonl", "about.json", "verdicts.jsonl"
REPORT, PAGE = "report.json", "report.html"

AnyRecord = TypeVar("AnyRecord", bound=Record)


class Indexed(Record):
    """A line of indexed.jsonl."""

    video: str
    clips: tuple[tuple[float, float], ...]  # seconds
    reason: str | None = None


class ReportInputs(NamedTuple):
    """All of a folder."""

    references: dict[str, Reference]
    qrels: Qrels
    first_stage: TrecRun
    reranked: TrecRun
    margins: RelevanceScores
    replies: dict[Variant, dict[str, ReportedAnswer]]
    indexed: dict[str, IndexedVideo] | None
    labels: QueryLabels
    seconds: tuple[QuestionTimings, ...]
    about: ReportMetadata
    notes: tuple[str, ...]  # what of the judgements should be known


def answers_file(side: Variant) -> str:
    """The name of the file with the answers of one side."""
    return f"answers_{side}.jsonl"


def read_report_folder(folder: Path, *, stems: bool = False) -> ReportInputs:
    """Everything in a folder. With `stems`, the answers' videos go by their files' names, as the other files name them.

    Raises InputError for a file that is missing or cannot be used, and for answers that have no reference.
    """
    needed = (REFERENCES, QRELS, FIRST_STAGE, RERANKED, *map(answers_file, VARIANTS))
    missing = [name for name in needed if not (folder / name).exists()]
    if missing:
        raise InputError(
            f"{folder} lacks {', '.join(missing)}: put them there, or name an archive, with --questions and --qrels"
        )
    judged = load_qrels(folder / QRELS)
    return ReportInputs(
        references=read_references(folder / REFERENCES),
        qrels=judged.qrels,
        first_stage=load_run(folder / FIRST_STAGE),
        reranked=load_run(folder / RERANKED),
        margins=read_scores(folder / MARGINS),
        replies={side: read_replies(folder / answers_file(side), stems=stems) for side in VARIANTS},
        indexed=_indexed(folder / INDEXED),
        labels=read_query_labels(folder / LABELS) if (folder / LABELS).exists() else {},
        seconds=_seconds(folder / SECONDS),
        about=_about(folder / ABOUT),
        notes=judged.notes,
    )


def _indexed(path: Path) -> dict[str, IndexedVideo] | None:
    if not path.exists():
        return None
    lines = [_checked(Indexed, row.value, row.place) for row in read_json_lines(path, "video and clips")]
    return {one.video: IndexedVideo(tuple(Moment(one.video, *span) for span in one.clips), one.reason) for one in lines}


def _seconds(path: Path) -> tuple[QuestionTimings, ...]:
    rows = read_json_lines(path, "query_id and seconds") if path.exists() else ()
    return tuple(_checked(QuestionTimings, row.value, row.place) for row in rows)


def _about(path: Path) -> ReportMetadata:
    return _checked(ReportMetadata, read_json(path), str(path)) if path.exists() else ReportMetadata()


def _checked(kind: type[AnyRecord], value: Mapping[str, Any], place: str) -> AnyRecord:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InputError(f"{place}: {'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}") from error
