"""Evidence to answer from, and an LLM with one reply."""

from typing import Any

from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM

from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.schema import TextSpan


def said(text: str, start: float, end: float, channel: str = "speech") -> TextSpan:
    return TextSpan.model_validate({"channel": channel, "text": text, "start": start, "end": end, "source": "test"})


def clip(number: int, *spans: TextSpan, start: float = 0.0, end: float = 30.0, margin: float | None = None) -> Evidence:
    return Evidence(number, f"v{number}", f"/videos/v{number}.mp4", f"Video {number}", start, end, spans, margin)


FERRY = clip(1, said("The ferry to Ostrey", 2.0, 4.0), said("leaves at nine. It is", 4.0, 6.0), said("never late.", 6.0, 7.0))
SIGN = clip(2, said("HARBOUR ROAD 17", 10.0, 14.0, "on_screen"), start=10.0, end=20.0)


class Parrot(CustomLLM):
    """An LLM that says one thing, and keeps what it was asked."""

    says: str
    heard: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="parrot")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.heard.append(prompt)
        return CompletionResponse(text=self.says)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        yield self.complete(prompt, formatted, **kwargs)
