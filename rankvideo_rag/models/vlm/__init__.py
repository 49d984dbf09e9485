"""Vision-language models. One file per backend; each has `load(model, **options) -> VLM`.

A prompt is independent of the backend: a system text, the user's texts and videos in order, and the beginning of the answer. A
backend turns it into tokens with the model's own chat template and processor.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import Frames


class Prompt(NamedTuple):
    """One turn of a chat."""

    system: str
    user: tuple[str | Frames, ...]  # in the order in which the model reads them
    prefill: str = ""  # the beginning of the assistant's turn


class LabelLogprobs(NamedTuple):
    """Log-probabilities (natural, float32 precision) of labels as the first token of the answer.

    `values` has one number per label, in the order given; None with a reason where there are none. `abstained` distinguishes
    a prompt that the model cannot score (no frames, a question outside its domain) from a failure.
    """

    values: tuple[float, ...] | None
    reason: str | None = None
    abstained: bool = False


class Generation(NamedTuple):
    """The text that a model generated after a prompt."""

    text: str
    tokens: int  # without the end of the turn


class VLM(Protocol):
    """What a backend provides."""

    @property
    def name(self) -> str:
        """Backend, model and revision in one line; recorded with every score."""

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt, return the log-probability of each label as the next token: the log of the summed probability of all
        tokens that equal the label once stripped and lower-cased (`yes`, ` Yes`, `YES`, …).

        Prompts that begin with the same `Frames` object, under the same system text, may share its computation."""

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt, generate at most `max_tokens` tokens greedily."""


def load_vlm(backend: str, model: str | None = None, *, device: str | None = None) -> VLM:
    """Load a model, a hub name or a local path, with the backend of that name; None where the backend needs no model."""
    vlm: VLM = load_backend(__name__, backend, model, device=device)
    return vlm
