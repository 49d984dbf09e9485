"""A model for synthesis that is predictable by eye: captions are what the pixel rule sees, questions are cut from the words
given, and a teacher's yes means that every word that carries the question stands in the passage.

By name it is `little_writer:load`, in processes too. `LITTLE_WRITER_DIES=n` kills the process when a text is asked for the
n-th time.
"""

import json
import os
import re
import signal
from collections.abc import Sequence

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM
from rankvideo_rag.text import content_terms
from rankvideo_rag.training.synthesis.prompts import QUESTIONS, TEACHER

SURE = 7.5  # nats
_TEACHER = re.compile(r"Query: (.*?)\n\nVideo Content:\n(.*)\n\nProvide a brief", re.DOTALL)


def load(model: str | None = None, *, device: str | None = None) -> "LittleWriter":
    return LittleWriter(dies=int(os.environ.get("LITTLE_WRITER_DIES", "0")))


class LittleWriter:
    """What it was asked stands in `prompts`."""

    name = "little-writer@1"

    def __init__(self, *, dies: int = 0) -> None:
        self.prompts: list[Prompt] = []
        self._dies = dies
        self._calls = 0

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        self._calls += 1
        if self._calls == self._dies:
            os.kill(os.getpid(), signal.SIGKILL)
        self.prompts += prompts
        return [Generation(text, len(text.split())) for text in map(self.text, prompts)]

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        self.prompts += prompts
        return [LabelLogprobs((-0.001, -0.001 - SURE) if agrees(prompt) else (-0.001 - SURE, -0.001)) for prompt in prompts]

    def text(self, prompt: Prompt) -> str:
        if any(isinstance(part, Frames) for part in prompt.user):
            [seen] = ScriptedVLM().generate([prompt], max_tokens=99)
            return f"<think>\n{seen.text}\n</think>"
        if prompt.system == QUESTIONS.system:
            return json.dumps([f"Where is it that {first_sentence(str(prompt.user[0]))}?"])
        assert prompt.system == TEACHER.system
        return f"<think>I looked for each word.</think>\n<answer>{'yes' if agrees(prompt) else 'no'}</answer>"


def first_sentence(material: str) -> str:
    """Of what stands under the last heading."""
    words = material.partition("\n\nWrite ")[0].rpartition(":\n")[2]
    return re.split(r"[.!?](?:\s|$)", words)[0].strip()


def answers(query: str, passage: str) -> bool:
    """Whether every word that carries the query stands in the passage."""
    return set(content_terms(query)) <= set(content_terms(passage))


def agrees(prompt: Prompt) -> bool:
    found = _TEACHER.search(str(prompt.user[0]))
    assert found is not None
    return answers(found[1], found[2])
