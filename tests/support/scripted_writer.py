"""A predictable model for synthesis: captions are those of the pattern detector, questions are the first sentence of the
material, and the teacher says yes if every content word of the query is in the passage.

Backend name: `support.scripted_writer:load`. `SCRIPTED_WRITER_KILL_AT=n` kills the process at the n-th call of `generate`.
"""

import json
import os
import re
import signal
from collections.abc import Sequence

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM
from rankvideo_rag.text import query_terms
from rankvideo_rag.training.synthesis.prompts import QUESTIONS, TEACHER

SURE = 7.5  # nats
_TEACHER = re.compile(r"Query: (.*?)\n\nVideo Content:\n(.*)\n\nProvide a brief", re.DOTALL)


def load(model: str | None = None, *, device: str | None = None) -> "ScriptedWriter":
    return ScriptedWriter(kill_at=int(os.environ.get("SCRIPTED_WRITER_KILL_AT", "0")))


class ScriptedWriter:
    """Keeps its prompts in `prompts`."""

    name = "scripted-writer@1"

    def __init__(self, *, kill_at: int = 0) -> None:
        self.prompts: list[Prompt] = []
        self._kill_at = kill_at
        self._calls = 0

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        self._calls += 1
        if self._calls == self._kill_at:
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
    """Return the first sentence under the last heading."""
    words = material.partition("\n\nWrite ")[0].rpartition(":\n")[2]
    return re.split(r"[.!?](?:\s|$)", words)[0].strip()


def matches(query: str, passage: str) -> bool:
    """Return whether every content word of the query is in the passage."""
    return set(query_terms(query)) <= set(query_terms(passage))


def agrees(prompt: Prompt) -> bool:
    found = _TEACHER.search(str(prompt.user[0]))
    assert found is not None
    return matches(found[1], found[2])
