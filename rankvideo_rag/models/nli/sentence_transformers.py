"""NLI models loaded by sentence-transformers as a CrossEncoder with a label for entailment."""

from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from rankvideo_rag.errors import ModelError
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors
from rankvideo_rag.models.nli import Inference, Relation

_SETTING = "nli_model"
_UNLIMITED = 1_000_000  # tokens: tokenizers without a limit give a very large number
_ENTAILMENT = ("entailment", "entail", "entails")
_CONTRADICTION = ("contradiction", "contradict", "contradicts")


def load(model: str | None, *, device: str | None = None, batch_size: int = 32, setting: str = _SETTING) -> "CrossEncoderNli":
    """Load a model by hub name or local folder. The default device is a GPU if there is one, else the CPU."""
    checkpoint = fetch_checkpoint(model, backend="sentence_transformers", setting=setting)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with wrap_loading_errors(str(model), setting=setting, device=device):
        network = CrossEncoder(
            str(checkpoint.folder),
            device=device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    return CrossEncoderNli(network, name=f"{model}@{checkpoint.revision}", batch_size=batch_size)


class CrossEncoderNli:
    """An NLI model over a network whose labels are named in its configuration."""

    def __init__(self, network: CrossEncoder, *, name: str, batch_size: int = 32) -> None:
        self.name = name
        self._network = network
        self._batch_size = batch_size
        self._labels = find_labels(network.config.id2label, name)
        self._lock = Lock()

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        """Return the relation of each (premise, hypothesis)."""
        if not pairs:
            return []
        chunks = [self._split(premise, hypothesis) for premise, hypothesis in pairs]
        asked = [(chunk, hypothesis) for of_pair, (_, hypothesis) in zip(chunks, pairs, strict=True) for chunk in of_pair]
        logits: NDArray[np.float32] = np.empty((0, 0), dtype=np.float32)
        if asked:
            with self._lock:
                logits = self._network.predict(
                    asked, batch_size=self._batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False
                )
        ends = np.cumsum([len(of_pair) for of_pair in chunks])
        return [self._inference(part) for part in np.split(np.asarray(logits), ends[:-1])]

    def _inference(self, logits: NDArray[np.float32]) -> Inference:
        """Return the relation of a premise from the logits of its parts, (parts, labels)."""
        if not len(logits):
            return Inference(None, reason="the claim is too long for the model")
        if not np.isfinite(logits).all():
            return Inference(None, reason="the model gave numbers that are not finite")
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = powers / powers.sum(axis=1, keepdims=True)
        likeliest = logits.argmax(axis=1)
        for relation, label in self._labels.items():  # entailment first
            if (found := likeliest == label).any():
                return Inference(relation, float(probabilities[found, label].max()))
        return Inference("neutral", float(probabilities.max()))

    def _split(self, premise: str, hypothesis: str) -> list[str]:
        """Return the premise in parts that fit the model beside the hypothesis; none where that alone is too long."""
        tokenizer, limit = self._network.tokenizer, self._network.max_seq_length
        if limit is None or limit > _UNLIMITED:
            return [premise]
        own = len(tokenizer(hypothesis, add_special_tokens=False, verbose=False)["input_ids"])
        size = limit - own - tokenizer.num_special_tokens_to_add(pair=True)
        if size < 2:
            return []
        spans = tokenizer(premise, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        if len(spans) <= size:
            return [premise]
        begins = range(0, len(spans) - size // 2, size // 2)
        return [premise[spans[at][0] : spans[min(at + size, len(spans)) - 1][1]] for at in begins]


def find_labels(labels: dict[int, str], name: str) -> dict[Relation, int]:
    """Return the indices of the labels for entailment and, where there is one, for contradiction.

    Raises ModelError where there is none for entailment, or it is the only label.
    """
    entailment = [index for index, label in labels.items() if label.lower() in _ENTAILMENT]
    if len(entailment) != 1 or len(labels) < 2:
        known = ", ".join(labels.values())
        raise ModelError(f"{name} has the labels {known}: an NLI model with one called entailment among others is needed")
    found: dict[Relation, int] = {"entailment": entailment[0]}
    for index, label in labels.items():
        if label.lower() in _CONTRADICTION:
            found["contradiction"] = index
    return found
