"""Evidence to answer from, an LLM with a fixed reply, and shortcuts to answers."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM
from llama_index.core.schema import NodeWithScore, TextNode

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.options import AnswerOptions
from rankvideo_rag.answering.outcome import conclude
from rankvideo_rag.answering.parsing import parse_claims
from rankvideo_rag.answering.verification import VerificationContext
from rankvideo_rag.schema import Answer, TextSpan


def said(text: str, start: float, end: float, channel: str = "speech") -> TextSpan:
    return TextSpan.model_validate({"channel": channel, "text": text, "start": start, "end": end, "source": "test"})


def clip(number: int, *spans: TextSpan, start: float = 0.0, end: float = 30.0, margin: float | None = None) -> Evidence:
    return Evidence(number, f"v{number}", f"/videos/v{number}.mp4", f"Video {number}", start, end, spans, margin)


FERRY = clip(1, said("The ferry to Ostrey", 2.0, 4.0), said("leaves at nine. It is", 4.0, 6.0), said("never late.", 6.0, 7.0))
SIGN = clip(2, said("HARBOUR ROAD 17", 10.0, 14.0, "on_screen"), start=10.0, end=20.0)


def hit(text: str, path: str = "/videos/ferry.mp4", **metadata: Any) -> NodeWithScore:
    """A retrieved node of a clip of nine seconds."""
    base = {"file_path": path, "start": 0.0, "end": 9.0}
    return NodeWithScore(node=TextNode(text=text, metadata=base | metadata), score=1.0)


def answer_of(response: Any) -> Answer:
    """The Answer in the metadata of a synthesizer's response."""
    return Answer.model_validate(response.metadata["answer"])


def context_of(
    question: str,
    evidence: Sequence[Evidence],
    clips_with_frames: frozenset[int] = frozenset(),
    **options: Any,
) -> VerificationContext:
    """The context of an answer whose prompt holds all evidence."""
    return VerificationContext(question, evidence, evidence, AnswerOptions(**options), clips_with_frames)


def verify(question: str, written: str, evidence: Sequence[Evidence], **context: Any) -> Answer:
    """The answer to what a model wrote after reading all evidence."""
    return conclude(parse_claims(written), context_of(question, evidence, **context))


class FixedLLM(CustomLLM):
    """An LLM that always writes the same, and keeps its prompts."""

    reply: str
    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="fixed")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.prompts.append(prompt)
        return CompletionResponse(text=self.reply)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        response = self.complete(prompt, formatted, **kwargs)
        yield response.model_copy(update={"delta": response.text})
