"""rankvideo bench quotes: weights fitted on a set of two transcripts, and the figures of each threshold."""

import json
from pathlib import Path

import pytest

from rankvideo_rag.answering.quote_model import load_quote_models
from rankvideo_rag.eval.benchmarks.quotes import fit_quotes, save_model
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic.quote_questions import labelled_questions

TEXTS = {
    "harbour": ["The old ferry leaves the harbour at nine.", "Its captain is Marta Lindqvist.", "It carries forty cars."],
    "school": ["The school was built in 1932.", "The headmaster is Jonas Abel.", "The hall has three hundred seats."],
}
QUESTIONS = [
    ("harbour", "Who is the captain of the ferry?", "Lindqvist", 1),
    ("harbour", "When does the old ferry leave the harbour?", "nine", 0),
    ("school", "When was the school built?", "1932", 0),
    ("school", "Who is the headmaster of the school?", "Abel", 1),
    (None, "How many astronauts walked on Mars?", None, 0),
    (None, "Who painted the Night Watch?", None, 0),
]


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    folder = tmp_path / "set"
    (folder / "transcripts").mkdir(parents=True)
    for name, texts in TEXTS.items():
        cues = [f"{i + 1}\n00:00:{4 * i:02},000 --> 00:00:{4 * i + 3:02},500\n{text}\n" for i, text in enumerate(texts)]
        (folder / "transcripts" / f"{name}.srt").write_text("\n".join(cues))
    lines = []
    for number, (video, text, answer, cue) in enumerate(QUESTIONS):
        line = {"id": str(number), "question": text, "language": "en", "kind": "fact", "answerable": video is not None}
        if video:
            line |= {"answers": [answer], "video": video, "start": 4.0 * cue, "end": 4.0 * cue + 3.5}
        lines.append(json.dumps(line))
    (folder / "questions.jsonl").write_text("\n".join(lines))
    return folder


def test_every_threshold_counts_every_question(small_set: Path, tmp_path: Path) -> None:
    settings = Settings.load(reranker="none", text_embedder="none")
    asked: list[None] = []
    report = fit_quotes([small_set], tmp_path, settings, held_out=small_set, on_question=lambda: asked.append(None))
    assert len(asked) == 2 * len(QUESTIONS)
    assert (report.answerable, report.not_answerable) == (4, 2)
    for points in (report.fitted, report.cross_validated, report.held_out):
        assert all(point.right + point.wrong + point.false_abstentions == 4 for point in points)
        answered = [4 - point.false_abstentions + point.false_answers for point in points]
        assert answered == sorted(answered, reverse=True)
    assert report.held_out == report.fitted
    assert report.fitted[0].right == 4
    [chosen] = [point for point in report.cross_validated if point.threshold == report.model.min_probability]
    assert chosen.false_answers <= 0.2 * 2 or chosen == report.cross_validated[-1]

    shipped = load_quote_models()
    file = tmp_path / "models.json"
    file.write_text(shipped.model_dump_json())
    save_model(file, report.model, settings)
    assert load_quote_models(file).terms == report.model
    assert load_quote_models(file).cross_encoder == shipped.cross_encoder


def test_synthetic_questions_have_one_with_and_one_without_the_answer() -> None:
    found = labelled_questions(Settings.load())
    assert [one.answerable for one in found] == [True, False] * (len(found) // 2)
    assert not any(one.right.any() for one in found[1::2])
    assert sum(one.right.any() for one in found[::2]) >= 0.9 * len(found[::2])
