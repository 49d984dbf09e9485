"""rankvideo bench answers: a set of one transcript, indexed and asked."""

import json
from pathlib import Path

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.answers import AskedQuestion, benchmark_answers, build_archive, count_outcomes
from rankvideo_rag.settings import Settings

SUBTITLES = """1
00:00:01,000 --> 00:00:04,000
The old ferry leaves the harbour at nine.

2
00:00:05,000 --> 00:00:09,000
Its captain is Marta Lindqvist.
"""
QUESTIONS = [
    {"id": "a", "question": "Who is captain?", "answerable": True, "answers": ["Lindqvist"], "start": 5.0, "end": 9.0},
    {"id": "b", "question": "How many astronauts walked on Mars?", "answerable": False},
]


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "transcripts").mkdir(parents=True)
    (folder / "transcripts" / "harbour.srt").write_text(SUBTITLES)
    both = {"language": "en", "kind": "person"}
    lines = [json.dumps(both | ({"video": "harbour"} if "start" in given else {}) | given) for given in QUESTIONS]
    (folder / "questions.jsonl").write_text("\n".join(lines))
    return folder


def test_a_set_is_indexed_once_and_every_question_is_scored(small_set: Path, tmp_path: Path) -> None:
    settings = Settings.load(reranker="none")
    report = benchmark_answers(small_set, tmp_path / "work", settings)
    assert {one.id: one.outcome for one in report.questions} == {"a": "right", "b": "right"}
    assert report.retrieved[1] == report.reranked[1] == 1.0
    written = [json.loads(line) for line in (tmp_path / "work" / "answers.jsonl").read_text().splitlines()]
    assert [line["id"] for line in written] == ["a", "b"]

    video = tmp_path / "work" / "videos" / "harbour.mp4"
    made = video.stat().st_mtime_ns
    build_archive(small_set / "transcripts", tmp_path / "work", settings)
    assert video.stat().st_mtime_ns == made


def test_outcomes_are_counted_by_kind_and_language_and_ranks_by_depth() -> None:
    def asked(number: int, outcome: str, rank: int | None, *, answerable: bool = True, language: str = "en") -> AskedQuestion:
        return AskedQuestion(
            **{"id": str(number), "question": "?", "kind": "fact", "language": language, "answerable": answerable},
            **{"outcome": outcome, "faults": (), "answer": ""},
            **{"retrieved_rank": rank, "passage_rank": None, "reranked_rank": None},
        )

    report = count_outcomes(
        [
            asked(1, "right", 1),
            asked(2, "wrong", 3),
            asked(3, "false_abstention", None, language="de"),
            asked(4, "right", 10),
            asked(5, "false_answer", None, answerable=False),
        ]
    )
    assert report.answerable.model_dump() == {
        **{"questions": 4, "right": 2, "wrong": 1, "false_abstentions": 1, "false_answers": 0}
    }
    assert report.not_answerable.false_answers == 1
    assert report.languages["de"].false_abstentions == 1
    assert report.retrieved == {1: 0.25, 3: 0.5, 10: 0.75}
    assert report.passages == {}


def test_a_folder_without_subtitles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no subtitle files"):
        build_archive(tmp_path, tmp_path / "work", Settings.load())
