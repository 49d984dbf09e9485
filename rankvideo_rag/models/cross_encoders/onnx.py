"""Cross-encoders in ONNX format, such as ms-marco-MiniLM-L12-v2, full or int8."""

from rankvideo_rag.models.cross_encoders import CrossEncoderInfo, PairScorer
from rankvideo_rag.models.onnx_text import load_onnx


def load(model: str | None, *, device: str | None = None) -> PairScorer:
    """Load a folder, or a hub model, with model.onnx, tokenizer.json and config.json."""
    network, _, revision = load_onnx(model, setting="cross_encoder_model", device=device)
    info = CrossEncoderInfo(backend="onnx", model=model, revision=revision, max_tokens=network.max_tokens)
    return PairScorer(lambda pairs: network.run(pairs, lambda outputs, _mask: outputs[0]), info)
