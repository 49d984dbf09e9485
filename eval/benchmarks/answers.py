"""Ask an archive of transcripts questions with known answers: right and wrong answers, abstentions, ranks of the right moment.

A folder holds `questions.jsonl` and `transcripts/`. Each transcript gets a small silent video whose picture says nothing, so
that every answer must come from the words.
"""

import json
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.answer_rule import Place, Question, read_questions, score_answer
from rankvideo_rag.indexing.run import index
from rankvideo_rag.media.encode import write_video
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.schema import Answer, Record, to_json
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import ARCHIVE_SETTINGS
from rankvideo_rag.synthesizer import ANSWER_KEY, VideoAnswerSynthesizer

WIDTH, HEIGHT, FPS = 160, 90, 1
DEPTHS = (1, 3, 10)  # the right moment is looked for in the first so many
_TIMES = re.compile(r"-->\s*(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})")

_Metadata = dict[str, Any]  # of a node
OpenSynthesizer = Callable[[VideoArchive], VideoAnswerSynthesizer]


class AskedQuestion(Record):
    """The outcome for one question. Ranks count from 1; None if the right moment was not found."""

    id: str
    question: str
    kind: str
    language: str
    answerable: bool
    outcome: str
    faults: tuple[str, ...]
    answer: str
    retrieved_rank: int | None  # of the first clip that overlaps a right span, before reranking
    passage_rank: int | None  # the same, of the best passage of each clip, where clips have one
    reranked_rank: int | None  # among the clips that the answer was made from


class Counts(Record):
    """Outcomes of a group of questions."""

    questions: int
    right: int
    wrong: int
    false_abstentions: int
    false_answers: int


class AnswerBenchmark(Record):
    """All outcomes, counted in several ways."""

    answerable: Counts
    not_answerable: Counts
    kinds: dict[str, Counts]
    languages: dict[str, Counts]
    retrieved: dict[int, float]  # depth -> share of the answerable questions whose right clip was retrieved within it
    passages: dict[int, float]  # the same for passages; empty if clips have none
    reranked: dict[int, float]
    questions: list[AskedQuestion]


def benchmark_answers(
    folder: Path,
    work: Path,
    settings: Settings,
    *,
    synthesizer: OpenSynthesizer = VideoArchive.as_synthesizer,
    on_question: Callable[[], None] = lambda: None,
) -> AnswerBenchmark:
    """Index the transcripts of `folder`, ask its questions and score the answers, which are written to `work`/answers.jsonl.

    `work` keeps videos and archive: a second run with the same transcripts and index settings indexes nothing.
    """
    questions = read_questions(folder / "questions.jsonl")
    with VideoArchive.open(build_archive(folder / "transcripts", work, settings), settings) as archive:
        asked = _ask_all(archive, synthesizer(archive), questions, work / "answers.jsonl", on_question)
    return count_outcomes(asked)


def build_archive(transcripts: Path, work: Path, settings: Settings) -> Path:
    """Return an archive of videos made from these subtitle files; one that exists is brought up to date."""
    made = [_make_video(path, work / "videos") for path in sorted(transcripts.glob("*.[sv][rt]t"))]
    if not made:
        raise InputError(f"{transcripts} holds no subtitle files: .srt or .vtt")
    options = json.dumps({name: getattr(settings, name) for name in ARCHIVE_SETTINGS}, sort_keys=True)
    archive = work / f"archive-{sha256(options.encode()).hexdigest()[:12]}"
    report = index(made, archive, settings)
    if failed := [file.reason for file in report.files if file.outcome in ("failed", "skipped")]:
        raise InputError(f"{len(failed)} of {len(made)} generated videos were not indexed: {failed[0]}")
    return archive


def _make_video(subtitles: Path, folder: Path) -> Path:
    """Write a silent video as long as its subtitles, beside a copy of these; nothing if it was made from the same text."""
    folder.mkdir(parents=True, exist_ok=True)
    video, copy = folder / f"{subtitles.stem}.mp4", folder / subtitles.name
    if not video.exists() or not copy.exists() or copy.read_bytes() != subtitles.read_bytes():
        write_video(video, _pictures(subtitles.stem, _seconds(subtitles) + 2), fps=FPS)
        shutil.copyfile(subtitles, copy)
    return video


def _seconds(subtitles: Path) -> int:
    ends = _TIMES.findall(subtitles.read_text("utf-8"))
    if not ends:
        raise InputError(f"{subtitles} has no times")
    return int(max(int(h or 0) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in ends)) + 1


def _pictures(name: str, count: int) -> NDArray[np.uint8]:
    """Return (count, HEIGHT, WIDTH, 3): a plain colour, by the name, across which a lighter bar moves."""
    colour = np.random.default_rng(zlib.crc32(name.encode())).integers(40, 200, 3, dtype=np.uint8)
    frames = np.broadcast_to(colour, (count, HEIGHT, WIDTH, 3)).copy()
    for number, frame in enumerate(frames):
        left = 5 * number % WIDTH
        frame[:, left : left + 12] += 50
    return frames


def _ask_all(
    archive: VideoArchive,
    synthesizer: VideoAnswerSynthesizer,
    questions: Sequence[Question],
    output: Path,
    on_question: Callable[[], None],
) -> list[AskedQuestion]:
    retriever, reranker, asked = archive.as_retriever(), archive.as_reranker(), []
    with open(output, "w", encoding="utf-8", newline="\n") as file:
        for question in questions:
            nodes = retriever.retrieve(question.question)
            retrieved = [hit.node.metadata for hit in nodes]
            if reranker:
                nodes = reranker.postprocess_nodes(nodes, query_str=question.question)
            response = synthesizer.synthesize(question.question, nodes)
            answer = to_json(Answer.model_validate((response.metadata or {})[ANSWER_KEY]), nodes_to_hits(nodes))
            file.write(f"{json.dumps({'id': question.id, **answer}, ensure_ascii=False)}\n")
            asked.append(_asked(question, answer, retrieved, [hit.node.metadata for hit in nodes]))
            on_question()
    return asked


def _asked(
    question: Question, answer: dict[str, Any], retrieved: Sequence[_Metadata], reranked: Sequence[_Metadata]
) -> AskedQuestion:
    scored = score_answer(question, answer)
    return AskedQuestion(
        **question.model_dump(include={"id", "question", "kind", "language", "answerable"}),
        outcome=scored.outcome,
        faults=scored.faults,
        answer=answer["answer"],
        retrieved_rank=_rank(question.expected, retrieved),
        passage_rank=_rank(question.expected, retrieved, prefix="passage_"),
        reranked_rank=_rank(question.expected, reranked),
    )


def _rank(places: Sequence[Place], nodes: Sequence[_Metadata], *, prefix: str = "") -> int | None:
    """Return the rank of the first node that overlaps one of these places."""
    for rank, found in enumerate(nodes, start=1):
        start, end = found.get(f"{prefix}start"), found.get(f"{prefix}end")
        if start is not None and end is not None and any(place.overlaps(found["file_path"], start, end) for place in places):
            return rank
    return None


def count_outcomes(asked: Sequence[AskedQuestion]) -> AnswerBenchmark:
    """Count the outcomes of questions: all, by kind and by language."""
    answerable = [one for one in asked if one.answerable]
    has_passages = any(one.passage_rank for one in asked)
    return AnswerBenchmark(
        answerable=_count(answerable),
        not_answerable=_count([one for one in asked if not one.answerable]),
        kinds=_count_by([one.kind for one in asked], asked),
        languages=_count_by([one.language for one in asked], asked),
        retrieved=_found([one.retrieved_rank for one in answerable]),
        passages=_found([one.passage_rank for one in answerable]) if has_passages else {},
        reranked=_found([one.reranked_rank for one in answerable]),
        questions=list(asked),
    )


def _count_by(keys: Sequence[str], asked: Sequence[AskedQuestion]) -> dict[str, Counts]:
    groups: dict[str, list[AskedQuestion]] = {}
    for key, one in zip(keys, asked, strict=True):
        groups.setdefault(key, []).append(one)
    return {key: _count(group) for key, group in groups.items()}


def _count(asked: Sequence[AskedQuestion]) -> Counts:
    outcomes = Counter(one.outcome for one in asked)
    return Counts(
        questions=len(asked),
        right=outcomes["right"],
        wrong=outcomes["wrong"],
        false_abstentions=outcomes["false_abstention"],
        false_answers=outcomes["false_answer"],
    )


def _found(ranks: Sequence[int | None]) -> dict[int, float]:
    found = [rank for rank in ranks if rank is not None]
    return {depth: sum(rank <= depth for rank in found) / len(ranks) for depth in DEPTHS} if ranks else {}
