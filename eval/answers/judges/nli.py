"""A local model of natural language inference as a judge of words: a sentence-transformers CrossEncoder with a label for
entailment. Its threshold is that no other label is likelier; a nugget is captured or not, never in part.

A passage too long for the model is read in pieces that overlap by half, and entails the claim where one of them does.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import CrossEncoder

from rankvideo_rag.errors import ModelError
from rankvideo_rag.eval.answers.judge import Check, Verdict
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors

_SETTING = "--judge-model"
_AT_ONCE = 32
Logits = NDArray[np.floating[Any]]  # (pieces, labels)
_UNLIMITED = 1_000_000  # tokens: tokenizers without a limit give a very large number


def load(model: str | None, *, device: str | None = None) -> "NliJudge":
    """Load a model by hub name or local folder. Without a device: a GPU where there is one, else the CPU."""
    checkpoint = fetch_checkpoint(model, backend="nli", setting=_SETTING)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with wrap_loading_errors(str(model), setting=_SETTING, device=device):
        network = CrossEncoder(
            str(checkpoint.folder),
            device=device,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )
    return NliJudge(network, name=f"nli:{model}@{checkpoint.revision}")


class NliJudge:
    """Passage as premise, claim as hypothesis: `yes` where entailment is the likeliest label."""

    version = "1"

    def __init__(self, network: CrossEncoder, *, name: str) -> None:
        self.name = name
        self._network = network
        self._entailment = entailment_label(network.config.id2label, name)

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """One verdict for each check."""
        for begin in range(0, len(checks), _AT_ONCE):
            yield from self._batch(checks[begin : begin + _AT_ONCE])

    def _batch(self, checks: Sequence[Check]) -> list[Verdict]:
        premises = [self._pieces(check) for check in checks]
        pairs = [(piece, check.claim) for check, pieces in zip(checks, premises, strict=True) for piece in pieces]
        logits = self._logits(pairs) if pairs else np.empty((0, 0))
        found, begin = [], 0
        for pieces in premises:
            found.append(self._verdict(logits[begin : begin + len(pieces)]))
            begin += len(pieces)
        return found

    def _logits(self, pairs: Sequence[tuple[str, str]]) -> Logits:
        return np.asarray(self._network.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False))

    def _verdict(self, logits: Logits) -> Verdict:
        if not len(logits):
            return Verdict(None, "the claim is too long for the model")
        if not np.isfinite(logits).all():
            return Verdict(None, "the model gave numbers that are not finite")
        return Verdict("yes" if (logits.argmax(axis=1) == self._entailment).any() else "no")

    def _pieces(self, check: Check) -> list[str]:
        """The passage, or parts of it that the model can read beside the claim; none where it cannot read the claim."""
        tokenizer = self._network.tokenizer
        limit = self._network.max_seq_length
        if limit is None or limit > _UNLIMITED:
            return [check.passage]
        claim = len(tokenizer(check.claim, add_special_tokens=False, verbose=False)["input_ids"])
        room = limit - claim - tokenizer.num_special_tokens_to_add(pair=True)
        if room < 2:
            return []
        spans = tokenizer(check.passage, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        if len(spans) <= room:
            return [check.passage]
        begins = range(0, len(spans) - room // 2, room // 2)
        return [check.passage[spans[at][0] : spans[min(at + room, len(spans)) - 1][1]] for at in begins]


def entailment_label(labels: dict[int, str], name: str) -> int:
    """The number of the label for entailment, whatever its order and case. Raises ModelError without one, or without others."""
    found = [number for number, label in labels.items() if label.lower() in ("entailment", "entail", "entails")]
    if len(found) != 1 or len(labels) < 2:
        known = ", ".join(labels.values())
        raise ModelError(f"{name} has the labels {known}: a model of inference has one called entailment among others")
    return found[0]
