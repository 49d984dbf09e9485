"""A natural language inference model as a text judge: a passage supports what it entails."""

from collections.abc import Iterator, Sequence

from rankvideo_rag.eval.answers.judge import Check, Judgement
from rankvideo_rag.models.nli import NliModel
from rankvideo_rag.models.nli.sentence_transformers import load as load_model

_BATCH_SIZE = 32


def load(model: str | None, *, device: str | None = None) -> "NliJudge":
    """Load a model by hub name or local folder. Without a device, a GPU is used where there is one, else the CPU."""
    return NliJudge(load_model(model, device=device, setting="--judge-model"))


class NliJudge:
    """Says `yes` where entailment is the most likely label, with the passage as premise and the claim as hypothesis.

    A nugget is never `partial`.
    """

    version = "1"

    def __init__(self, model: NliModel) -> None:
        self.name = f"nli:{model.name}"
        self._model = model

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check."""
        for begin in range(0, len(checks), _BATCH_SIZE):
            for inference in self._model.infer([(check.passage, check.claim) for check in checks[begin : begin + _BATCH_SIZE]]):
                if inference.relation is None:
                    yield Judgement(None, inference.reason)
                else:
                    yield Judgement("yes" if inference.relation == "entailment" else "no")
