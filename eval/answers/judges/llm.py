"""A language model as a judge of words: `package.module:function` returns a LlamaIndex LLM, or a function text -> text."""

from typing import Any

from rankvideo_rag.backends import load_backend
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.judges.llm_judge import Complete, LLMJudge, completion_function, judge_from_llm


def load(model: str | None, *, device: str | None = None) -> LLMJudge:
    """What the function returns, asked in words."""
    if device is not None:
        raise InputError(f"device = {device!r}: the function that returns the LLM chooses that, leave the device out")
    return judge_from_llm(_returned(model), name=str(model))


def load_completion(model: str) -> Complete:
    """What the function returns, as a function from text to text."""
    return completion_function(_returned(model), name=model)


def _returned(model: str | None) -> Any:
    if not model or ":" not in model:
        raise InputError(f"the model {model!r} is no language model: give package.module:function, which returns one")
    return load_backend(__name__, model)
