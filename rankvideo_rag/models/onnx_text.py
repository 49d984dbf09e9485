"""Text models in ONNX format, run by onnxruntime with the model's own tokenizer.json: no torch.

Shared by the `onnx` backends of text embedders and cross-encoders.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.checkpoints import fetch_checkpoint, read_config, wrap_loading_errors

log = logging.getLogger(__name__)

Array = NDArray[np.float32]
Text = str | tuple[str, str]
# Position 0 of these models is taken by padding, so that they have fewer positions than their table has rows.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}


class OnnxTextModel:
    """A network with its tokenizer. Thread-safe, as onnxruntime sessions and tokenizers are."""

    def __init__(self, folder: Path, *, device: str | None, batch_size: int = 16) -> None:
        self.max_tokens = _max_tokens(folder)
        self._tokenizer = _load_tokenizer(folder, self.max_tokens)
        self._session = _open_session(_find_onnx(folder), device)
        self._inputs = {node.name for node in self._session.get_inputs()}
        self._pad = int(read_config(folder, "config.json").get("pad_token_id") or 0)
        self._batch_size = batch_size

    @property
    def outputs(self) -> list[str]:
        """The names of the network's outputs, in their order."""
        return [node.name for node in self._session.get_outputs()]

    def run(self, texts: Sequence[Text], read: Callable[[list[Array], NDArray[np.int64]], Array]) -> Array:
        """Return (texts, n): `read` makes (batch, n) of a batch's outputs and its (batch, tokens) attention mask.

        Texts of similar length share a batch, so that little is padded.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        order = sorted(range(len(texts)), key=lambda index: len(encodings[index].ids))
        rows: list[Array | None] = [None] * len(texts)
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size]
            feed, mask = self._feed([encodings[index] for index in batch])
            for index, row in zip(batch, read(self._session.run(None, feed), mask), strict=True):
                rows[index] = row
        return np.array(rows, dtype=np.float32)

    def _feed(self, encodings: Sequence[Encoding]) -> tuple[dict[str, Any], NDArray[np.int64]]:
        """Return the network's inputs, (batch, tokens) each, and the attention mask."""
        shape = (len(encodings), max(len(encoding.ids) for encoding in encodings))
        ids, mask, types = np.full(shape, self._pad, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        for row, encoding in enumerate(encodings):
            n = len(encoding.ids)
            ids[row, :n], mask[row, :n], types[row, :n] = encoding.ids, 1, encoding.type_ids
        named = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
        return {name: array for name, array in named.items() if name in self._inputs}, mask


def load_onnx(model: str | None, *, setting: str, device: str | None) -> tuple[OnnxTextModel, Path, str]:
    """Return a model by hub name or local folder, its folder, and its revision."""
    checkpoint = fetch_checkpoint(model, backend="onnx", setting=setting, onnx=True)
    with wrap_loading_errors(str(model), setting=setting, device=device or "the default device"):
        return OnnxTextModel(checkpoint.folder, device=device), checkpoint.folder, checkpoint.revision


def _find_onnx(folder: Path) -> Path:
    """Return the network's file: model.onnx, in the folder or its folder onnx/, else the only ONNX file there is."""
    for name in ("model.onnx", "onnx/model.onnx"):
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob("*.onnx")) or sorted(folder.glob("onnx/*.onnx"))
    if len(found) != 1:
        have = ", ".join(path.name for path in found) or "no .onnx file"
        raise ModelError(f"{str(folder)!r} has {have}: needed model.onnx, tokenizer.json and config.json")
    return found[0]


def _load_tokenizer(folder: Path, max_tokens: int) -> Tokenizer:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{str(folder)!r} has no tokenizer.json, which the onnx backend needs")
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True  # text that spells [SEP] is no separator
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _open_session(file: Path, device: str | None) -> onnxruntime.InferenceSession:
    kind, _, number = (device or "").partition(":")
    available = onnxruntime.get_available_providers()
    providers: list[Any] = ["CPUExecutionProvider"]
    if kind in ("", "cuda") and "CUDAExecutionProvider" in available:
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": int(number or 0)}))
    elif kind == "cuda":
        log.warning("%s runs on the CPU: this onnxruntime has no CUDA (install onnxruntime-gpu)", file)
    elif kind not in ("", "cpu"):
        raise InputError(f"device = {device!r}: onnxruntime runs on cpu or cuda")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores to video decoding
    return onnxruntime.InferenceSession(str(file), options, providers=providers)


def _max_tokens(folder: Path) -> int:
    """Return how many tokens the model reads: the least of what its files say, at most 8,192; 512 where they say nothing."""
    network = read_config(folder, "config.json")
    offset = 2 if network.get("model_type") in _OFFSET_POSITIONS else 0
    limits = (
        read_config(folder, "sentence_bert_config.json").get("max_seq_length"),
        read_config(folder, "tokenizer_config.json").get("model_max_length"),
        network["max_position_embeddings"] - offset if "max_position_embeddings" in network else None,
    )
    known = [int(limit) for limit in limits if limit and limit < 1e6]
    return min([*known, 8192]) if known else 512
