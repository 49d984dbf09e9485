"""A judge that reads and writes: any function from text to text, any object with LlamaIndex's `complete`, any VLM.

What it writes is read strictly (prompts.py): prose is no verdict. This file does not import LlamaIndex.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rankvideo_rag.errors import InputError, ModelError, RankVideoError
from rankvideo_rag.eval.answers.judge import Check, Verdict
from rankvideo_rag.eval.answers.judge_prompts import VERSION, prompt_of, verdict_of
from rankvideo_rag.models.vlm import VLM, Prompt

Complete = Callable[[str], str]
"""From a prompt to what a model writes after it."""

_AT_ONCE = 16  # prompts that a VLM is given together
_TOKENS = 512  # room for thoughts before a verdict


class LLMJudge:
    """Asks a model in words, a prompt for each check. `write_all` takes several prompts, as a batch where it can."""

    version = VERSION

    def __init__(self, write_all: Callable[[Sequence[str]], Sequence[str]], *, name: str, at_once: int = 1) -> None:
        self._write_all = write_all
        self._at_once = at_once
        self.name = name

    def judge(self, checks: Sequence[Check]) -> Iterator[Verdict]:
        """One verdict for each check; what the model raises is not caught, what was given out before is not lost."""
        for begin in range(0, len(checks), self._at_once):
            batch = checks[begin : begin + self._at_once]
            replies = self._write_all([prompt_of(check) for check in batch])
            yield from (verdict_of(check, reply) for check, reply in zip(batch, replies, strict=True))


def judge_from_vlm(vlm: VLM) -> LLMJudge:
    """A judge of words from a backend of the vlm room, which need not watch for that."""

    def write_all(prompts: Sequence[str]) -> list[str]:
        written = vlm.generate([Prompt("", (prompt,)) for prompt in prompts], max_tokens=_TOKENS)
        return [one.text for one in written]

    return LLMJudge(write_all, name=vlm.name, at_once=_AT_ONCE)


def judge_from_llm(model: Any, *, name: str) -> LLMJudge:
    """A judge from a LlamaIndex LLM, or from a function from text to text."""
    write, named = completion_function(model, name=name), _named(model, name)
    return LLMJudge(lambda prompts: [_written(write, prompt, named) for prompt in prompts], name=named)


def completion_function(model: Any, *, name: str) -> Complete:
    """The model as a function from text to text. Raises InputError for what is neither."""
    if hasattr(model, "complete"):
        return lambda prompt: str(model.complete(prompt).text)
    if callable(model):
        return lambda prompt: str(model(prompt))
    raise InputError(f"{name} gave a {type(model).__name__}: a LlamaIndex LLM, or a function from text to text, is needed")


def _written(write: Complete, prompt: str, name: str) -> str:
    """What the model writes. Whatever a foreign model raises becomes a ModelError that says whose fault it is."""
    try:
        return write(prompt)
    except RankVideoError:
        raise
    except Exception as error:
        raise ModelError(
            f"the judge {name} failed ({type(error).__name__}: {error}): verdicts that it gave before are kept where a file "
            f"keeps them, so that the same command goes on from there"
        ) from error


def _named(model: Any, name: str) -> str:
    """With the model's own name, where it says one."""
    own = getattr(getattr(model, "metadata", None), "model_name", None)
    return f"llm:{name}:{own}" if own else f"llm:{name}"
