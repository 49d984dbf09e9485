"""Cross-encoders: the backends agree on the same weights; one and two outputs; errors."""

from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.cross_encoders import CrossEncoderInfo, PairScorer, load_cross_encoder

pytest.importorskip("onnxruntime")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")  # writes the tiny models

PASSAGES = ["the first", "a much longer passage that does not fit into thirty-two tokens at all", "", "[SEP] 1."]
INFO = CrossEncoderInfo(backend="mine", model="m", revision=None, max_tokens=None)


@pytest.mark.parametrize("labels", [1, 2])
def test_onnx_and_sentence_transformers_agree_on_the_same_weights(tmp_path: Path, labels: int) -> None:
    from rankvideo_rag.testing.tiny_text_models import tiny_cross_encoder

    folder = tiny_cross_encoder(tmp_path / "tiny", labels=labels)
    onnx, torch = (load_cross_encoder(backend, str(folder), device="cpu") for backend in ("onnx", "sentence_transformers"))
    scores = onnx.score("what is first?", PASSAGES[:3])
    assert scores.dtype == np.float32
    assert scores == pytest.approx(torch.score("what is first?", PASSAGES[:3]), abs=1e-4)
    assert len(set(scores.tolist())) == 3
    assert onnx.info.max_tokens == torch.info.max_tokens == 32


def test_a_passage_has_the_same_score_in_any_batch(tmp_path: Path) -> None:
    from rankvideo_rag.testing.tiny_text_models import tiny_cross_encoder

    encoder = load_cross_encoder("onnx", str(tiny_cross_encoder(tmp_path / "tiny")))
    together = encoder.score("what?", PASSAGES * 9)
    assert together == pytest.approx(np.tile([encoder.score("what?", [one])[0] for one in PASSAGES], 9), abs=1e-5)
    assert encoder.score("what?", []).shape == (0,)


def test_two_outputs_are_no_and_yes() -> None:
    scorer = PairScorer(lambda pairs: np.array([[1.0, 3.0], [2.0, -1.0]]), INFO)
    assert scorer.score("?", ["a", "b"]).tolist() == [2, -3]


def test_three_outputs_are_refused() -> None:
    with pytest.raises(ModelError, match="'m' gives 3 numbers for a pair: needed is one, or one each for no and yes"):
        PairScorer(lambda pairs: np.zeros((1, 3)), INFO).score("?", ["a"])


def test_scores_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(ModelError, match="'m' computed scores that are not finite"):
        PairScorer(lambda pairs: np.array([[np.inf]]), INFO).score("?", ["a"])


@pytest.mark.parametrize("backend", ["onnx", "sentence_transformers"])
def test_a_missing_model_names_the_setting(backend: str) -> None:
    with pytest.raises(InputError, match="cross_encoder_model"):
        load_cross_encoder(backend)
