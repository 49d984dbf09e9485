"""A natural language inference model as a text judge: a sentence-transformers CrossEncoder with a label for entailment.

A passage too long for the model is split into overlapping chunks; it entails the claim where one of them does.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sentence_transformers import CrossEncoder

from rankvideo_rag.errors import ModelError
from rankvideo_rag.eval.answers.judge import Check, Judgement
from rankvideo_rag.models.checkpoints import fetch_checkpoint, wrap_loading_errors

_SETTING = "--judge-model"
_BATCH_SIZE = 32
_UNLIMITED = 1_000_000  # tokens: tokenizers without a limit give a very large number


def load(model: str | None, *, device: str | None = None) -> "NliJudge":
    """Load a model by hub name or local folder. Without a device, a GPU is used where there is one, else the CPU."""
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
    """Says `yes` where entailment is the most likely label, with the passage as premise and the claim as hypothesis.

    A nugget is never `partial`.
    """

    version = "1"

    def __init__(self, network: CrossEncoder, *, name: str) -> None:
        self.name = name
        self._network = network
        self._entailment = entailment_label(network.config.id2label, name)

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check."""
        for begin in range(0, len(checks), _BATCH_SIZE):
            yield from self._judge_batch(checks[begin : begin + _BATCH_SIZE])

    def _judge_batch(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        chunks = [self._split(check) for check in checks]
        pairs = [(chunk, check.claim) for check, of_check in zip(checks, chunks, strict=True) for chunk in of_check]
        logits = np.empty((0, 0))
        if pairs:
            logits = self._network.predict(pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False)
        ends = np.cumsum([len(of_check) for of_check in chunks])
        return map(self._judgement, np.split(np.asarray(logits), ends[:-1]))

    def _judgement(self, logits: np.ndarray) -> Judgement:
        """Return the judgement from the logits of a passage's chunks: (chunks, labels)."""
        if not len(logits):
            return Judgement(None, "the claim is too long for the model")
        if not np.isfinite(logits).all():
            return Judgement(None, "the model gave numbers that are not finite")
        return Judgement("yes" if (logits.argmax(axis=1) == self._entailment).any() else "no")

    def _split(self, check: Check) -> list[str]:
        """Return the passage in chunks that fit the model beside the claim; none where the claim alone is too long."""
        tokenizer = self._network.tokenizer
        limit = self._network.max_seq_length
        if limit is None or limit > _UNLIMITED:
            return [check.passage]
        claim = len(tokenizer(check.claim, add_special_tokens=False, verbose=False)["input_ids"])
        size = limit - claim - tokenizer.num_special_tokens_to_add(pair=True)
        if size < 2:
            return []
        spans = tokenizer(check.passage, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        if len(spans) <= size:
            return [check.passage]
        begins = range(0, len(spans) - size // 2, size // 2)
        return [check.passage[spans[at][0] : spans[min(at + size, len(spans)) - 1][1]] for at in begins]


def entailment_label(labels: dict[int, str], name: str) -> int:
    """Return the index of the label for entailment. Raises ModelError where there is none, or it is the only label."""
    found = [index for index, label in labels.items() if label.lower() in ("entailment", "entail", "entails")]
    if len(found) != 1 or len(labels) < 2:
        known = ", ".join(labels.values())
        raise ModelError(f"{name} has the labels {known}: an NLI model with one called entailment among others is needed")
    return found[0]
