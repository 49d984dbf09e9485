"""A language model as a text judge: a LlamaIndex LLM, a function from prompt to text, or any VLM backend.

On the command line the model is `package.module:function`, which returns a LlamaIndex LLM or a function. LlamaIndex itself is
not imported.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rankvideo_rag.backends import load_backend
from rankvideo_rag.errors import InputError, ModelError, RankVideoError
from rankvideo_rag.eval.answers.judge import Check, Judgement
from rankvideo_rag.eval.answers.judges.prompts import VERSION, build_prompt, parse_judgement
from rankvideo_rag.models.vlm import VLM, Prompt

_VLM_BATCH_SIZE = 16
_MAX_TOKENS = 512  # enough for a <think> block before the judgement


class LLMJudge:
    """Asks a language model, with one prompt for each check.

    Args:
        complete: completes a batch of prompts.
        name: backend, model and revision.
        batch_size: prompts in a batch.
    """

    version = VERSION

    def __init__(self, complete: Callable[[Sequence[str]], Sequence[str]], *, name: str, batch_size: int = 1) -> None:
        self._complete = complete
        self._batch_size = batch_size
        self.name = name

    def judge(self, checks: Sequence[Check]) -> Iterator[Judgement]:
        """Yield one judgement for each check. Errors of the model are raised after the judgements of earlier batches."""
        for begin in range(0, len(checks), self._batch_size):
            batch = checks[begin : begin + self._batch_size]
            replies = self._complete([build_prompt(check) for check in batch])
            yield from (parse_judgement(check, reply) for check, reply in zip(batch, replies, strict=True))


def load(model: str | None, *, device: str | None = None) -> LLMJudge:
    """Load the judge that `package.module:function` returns."""
    if device is not None:
        raise InputError(f"device = {device!r}: the function that returns the LLM chooses the device, leave it out")
    return judge_from_llm(_load_llm(model), name=str(model))


def load_completion(model: str) -> Callable[[str], str]:
    """Return a function from prompt to text, from `package.module:function`."""
    return completion_function(_load_llm(model), name=model)


def judge_from_vlm(vlm: VLM) -> LLMJudge:
    """Return a text judge that prompts a VLM without any video."""

    def complete(prompts: Sequence[str]) -> list[str]:
        generations = vlm.generate([Prompt("", (prompt,)) for prompt in prompts], max_tokens=_MAX_TOKENS)
        return [one.text for one in generations]

    return LLMJudge(complete, name=vlm.name, batch_size=_VLM_BATCH_SIZE)


def judge_from_llm(model: Any, *, name: str) -> LLMJudge:
    """Return a judge from a LlamaIndex LLM, or from a function from prompt to text."""
    complete = completion_function(model, name=name)
    model_name = getattr(getattr(model, "metadata", None), "model_name", None)
    full_name = f"llm:{name}:{model_name}" if model_name else f"llm:{name}"

    def complete_or_explain(prompt: str) -> str:
        try:
            return complete(prompt)
        except RankVideoError:
            raise
        except Exception as error:
            raise ModelError(
                f"the judge {full_name} failed ({type(error).__name__}: {error}). Judgements that it gave before are cached "
                f"where a file is named for them: run the same command again to continue"
            ) from error

    return LLMJudge(lambda prompts: [complete_or_explain(prompt) for prompt in prompts], name=full_name)


def completion_function(model: Any, *, name: str) -> Callable[[str], str]:
    """Return the model as a function from prompt to text. Raises InputError for an object that is not a language model."""
    if hasattr(model, "complete"):
        return lambda prompt: str(model.complete(prompt).text)
    if callable(model):
        return lambda prompt: str(model(prompt))
    raise InputError(f"{name} returned a {type(model).__name__}: a LlamaIndex LLM or a function from text to text is needed")


def _load_llm(model: str | None) -> Any:
    if not model or ":" not in model:
        raise InputError(f"the model {model!r} is not a language model: give package.module:function, which returns one")
    return load_backend(__name__, model)
