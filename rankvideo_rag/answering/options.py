"""Options of an answer, declared once and passed whole."""

from dataclasses import dataclass
from typing import Literal

from rankvideo_rag.answering.extractor import DEFAULT_EXTRACTOR, Extractor
from rankvideo_rag.errors import InputError
from rankvideo_rag.media import MediaLimits


@dataclass(frozen=True, kw_only=True)
class AnswerOptions:
    """Options of `VideoAnswerSynthesizer`. Raises InputError for values out of range.

    Attributes:
        min_margin: RankVideo's margin, in nats, from which a clip counts as relevant. 0 is the model's own decision;
            `abstention.calibrate_margin` derives a threshold from labelled questions. If every clip is below it and no text
            matches half of the question's terms, the archive does not answer and no LLM is called.
        unsupported: whether claims that no evidence supports are dropped or marked.
        frames: frames of each clip in the prompt; they need a multimodal chat LLM.
        evidence_subsets: how many subsets of the evidence are answered from; the best supported answer is returned.
        evidence_tokens: limit of tokens for evidence in a prompt; None: what the LLM's context window leaves.
        on_error: whether an error of the LLM is reported in the answer, which then quotes text, or raised as ModelError.
        extractor: finds quotes that answer, without or beside an LLM.
        limits: time and memory for reading a video.
    """

    min_margin: float = 0.0
    unsupported: Literal["drop", "mark"] = "drop"
    frames: int = 0
    evidence_subsets: int = 1
    evidence_tokens: int | None = None
    on_error: Literal["quote", "raise"] = "quote"
    extractor: Extractor = DEFAULT_EXTRACTOR
    limits: MediaLimits = MediaLimits()

    def __post_init__(self) -> None:
        if self.frames < 0 or self.evidence_subsets < 1:
            raise InputError(
                f"frames = {self.frames}, evidence_subsets = {self.evidence_subsets}: they must be at least 0 and 1"
            )
        if self.unsupported not in ("drop", "mark"):
            raise InputError(f"unsupported = {self.unsupported!r}: it must be 'drop' or 'mark'")
        if self.on_error not in ("quote", "raise"):
            raise InputError(f"on_error = {self.on_error!r}: it must be 'quote' or 'raise'")
