"""A language model as a judge of words: `package.module:function` returns a LlamaIndex LLM, or a function text -> text."""

from typing import Any

from rankvideo_rag.backends import load_backend
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.judges.llm_judge import Write, WritingJudge, of_model, writer_of


def load(model: str | None, *, device: str | None = None) -> WritingJudge:
    """What the function returns, asked in words."""
    if device is not None:
        raise InputError(f"device = {device!r}: the function that returns the LLM chooses that, leave the device out")
    return of_model(_returned(model), name=str(model))


def writer(model: str) -> Write:
    """What the function returns, as a function from text to text."""
    return writer_of(_returned(model), name=model)


def _returned(model: str | None) -> Any:
    if not model or ":" not in model:
        raise InputError(f"the model {model!r} is no language model: give package.module:function, which returns one")
    return load_backend(__name__, model)
