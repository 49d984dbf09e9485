"""Answers from several subsets of the evidence."""

from typing import Any

import pytest
from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms import CustomLLM
from support.answering import FERRY, clip, hit, verify

from rankvideo_rag.answering.answers import NOT_ANSWERED
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.evidence_subsets import select_best, split_evidence
from rankvideo_rag.errors import InputError
from rankvideo_rag.synthesizer import VideoAnswerSynthesizer


def test_subsets_are_all_clips_then_disjoint_parts() -> None:
    clips = [clip(number) for number in range(1, 6)]

    def numbers(count: int, of: list[Evidence] = clips) -> list[list[int]]:
        return [[piece.number for piece in subset] for subset in split_evidence(of, count)]

    assert numbers(1) == [[1, 2, 3, 4, 5]]
    assert numbers(2) == [[1, 2, 3, 4, 5], [1, 3, 5]]
    assert numbers(3) == [[1, 2, 3, 4, 5], [1, 3, 5], [2, 4]]
    assert numbers(9) == [[1, 2, 3, 4, 5], [1], [2], [3], [4], [5]]
    assert numbers(3, clips[:1]) == [[1]]


def test_the_best_supported_answer_is_selected() -> None:
    weak = verify("when?", "It leaves the quay at nine [1]. It is red [1].", [FERRY])
    strong = verify("when?", "It leaves at nine [1].", [FERRY])
    none = verify("when?", "It is red [1].", [FERRY])
    assert select_best([none, weak, strong], [FERRY]) is strong
    assert select_best([none, weak], [FERRY]) is weak
    near, far = (strong.model_copy(update={"citations": (c.cite(),)}) for c in (clip(1, margin=2.0), clip(2, margin=1.0)))
    assert select_best([far, near], [clip(1, margin=2.0), clip(2, margin=1.0)]) is near


class MisledLLM(CustomLLM):
    """An LLM that believes the clip Rumour if the prompt contains it, else clip 1."""

    prompts: list[str] = Field(default_factory=list)

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="misled")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.prompts.append(prompt)
        return CompletionResponse(
            text="It left at noon [2]. It is red [2]." if "Rumour" in prompt else "It leaves at nine [1]."
        )

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        yield self.complete(prompt)


async def test_a_misleading_clip_affects_only_its_subsets() -> None:
    nodes = [
        hit("The ferry leaves at nine.", title="Ferries", video_id="f"),
        hit("They talk.", "/videos/rumour.mp4", title="Rumour", video_id="r"),
    ]
    alone = VideoAnswerSynthesizer(MisledLLM()).synthesize("When?", nodes)
    assert str(alone) == NOT_ANSWERED
    llm = MisledLLM()
    synthesizer = VideoAnswerSynthesizer(llm, evidence_subsets=3)
    for response in (synthesizer.synthesize("When?", nodes), await synthesizer.asynthesize("When?", nodes)):
        assert str(response) == "It leaves at nine [Ferries @ 00:00]."
    assert len(llm.prompts) == 6
    with pytest.raises(InputError, match="no llm"):
        VideoAnswerSynthesizer(evidence_subsets=3)
