"""rankvideo bench fusion and question: small sets."""

import json
from pathlib import Path

from rankvideo_rag.eval.benchmarks.fusion import benchmark_fusion
from rankvideo_rag.eval.benchmarks.question import benchmark_questions
from rankvideo_rag.settings import Settings

SUBTITLES = """1
00:00:01,000 --> 00:00:04,000
The old ferry leaves the harbour at nine.

2
00:00:45,000 --> 00:00:49,000
Its captain is Marta Lindqvist.
"""
QUESTION = {
    **{"id": "a", "question": "Who is the captain?", "answerable": True, "answers": ["Lindqvist"], "language": "en"},
    **{"kind": "person", "video": "harbour", "start": 45.0, "end": 49.0},
}


def test_the_shares_of_channels_and_fusion_are_measured(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "transcripts").mkdir(parents=True)
    (folder / "transcripts" / "harbour.srt").write_text(SUBTITLES)
    (folder / "questions.jsonl").write_text(json.dumps(QUESTION))
    report = benchmark_fusion(folder, tmp_path, Settings.load(reranker="none"))
    assert report.questions == 1
    assert report.shares["terms"] == report.shares["all"] == {1: 1.0, 3: 1.0, 10: 1.0, 20: 1.0}
    assert report.cross_validated == 1.0
    assert report.noise_cost["visual"] == 0.0
    assert report.trials == {"text": 0, "picture": 0}  # too few clips


def test_a_generated_archive_is_asked_in_another_process(tmp_path: Path) -> None:
    report = benchmark_questions(tmp_path / "archive", clips=100, questions=10)
    assert report.clips == 100
    assert report.passages > 100
    assert 0 < report.fused_p50_ms <= report.fused_p99_ms
