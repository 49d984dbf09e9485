"""Natural language inference: whether a text entails a statement, contradicts it, or neither. One file per backend.

A backend has `load(model, device=)`. Without a model, claims are checked by rules alone.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

from rankvideo_rag.backends import load_backend

Relation = Literal["entailment", "contradiction", "neutral"]


class Inference(NamedTuple):
    """How a premise relates to a hypothesis."""

    relation: Relation | None  # the most likely one; None if it could not be computed
    probability: float | None = None  # of that relation
    reason: str | None = None  # why there is none


class NliModel(Protocol):
    """A model that reads a premise and a hypothesis together."""

    name: str

    def infer(self, pairs: Sequence[tuple[str, str]]) -> list[Inference]:
        """Return the relation of each (premise, hypothesis).

        A premise that is too long is read in parts: it entails what one of its parts entails, and contradicts what none entails
        and one contradicts.
        """


def load_nli(backend: str, model: str | None = None, *, device: str | None = None) -> NliModel | None:
    """Load a model, a hub name or a local path, with the backend of that name; None if the backend is "none"."""
    if backend == "none":
        return None
    loaded: NliModel = load_backend(__name__, backend, model, device=device)
    return loaded
