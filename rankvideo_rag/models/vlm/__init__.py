"""The only room that talks to vision-language models. One file per backend; each has `load(model, **options) -> VLM`.

A prompt is backend-neutral: a system text, what the user says and shows in order, and the beginning of the answer. A backend
turns it into tokens with the model's own chat template and processor. Nothing here knows what a clip or an archive is.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rankvideo_rag.backends import load_backend
from rankvideo_rag.media import Frames


class Prompt(NamedTuple):
    """One turn of a chat with a vision-language model."""

    system: str
    user: tuple[str | Frames, ...]  # in the order in which the model reads them
    prefill: str = ""  # the beginning of the assistant's turn, already written


class LabelLogprobs(NamedTuple):
    """Log-probabilities (natural, float32 precision) of labels at the place where the answer begins.

    `values` has one number per label, in the order asked; None when they could not be had, with the reason.
    `abstained` tells a judge that has nothing to say from one that broke.
    """

    values: tuple[float, ...] | None
    reason: str | None = None
    abstained: bool = False


class Generation(NamedTuple):
    """What a model wrote after a prompt."""

    text: str
    tokens: int  # generated, the end of the turn not counted


class VLM(Protocol):
    """A vision-language model behind one of the backends."""

    @property
    def name(self) -> str:
        """Backend, model and revision in one line: what a score is recorded with."""

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt the log-probability of each label as the next token: the log of the summed probability of every
        single token that reads as the label once stripped and lower-cased (`yes`, ` Yes`, `YES`, …).

        Prompts that show the same `Frames` object first, under the same system text, may share that part's computation."""

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt the text that follows it, at most `max_tokens` long, chosen greedily."""


def load_vlm(backend: str, model: str | None = None, *, device: str | None = None) -> VLM:
    """The backend of that name with a model loaded: a hub name or a local path; None where the backend needs none."""
    vlm: VLM = load_backend(__name__, backend, model, device=device)
    return vlm
