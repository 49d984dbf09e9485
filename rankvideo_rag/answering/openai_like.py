"""A language model behind an OpenAI-compatible endpoint, such as `vllm serve`, as an LLM of LlamaIndex.

It takes llama-index-llms-openai-like (extra `served`), which is imported when such a model is asked for. By hand it is
OpenAILike(model=…, api_base="http://127.0.0.1:8000/v1", api_key="none", context_window=…, is_chat_model=True), with
is_function_calling_model=True where the server was started with --enable-auto-tool-choice and a --tool-call-parser.
"""

from importlib import import_module

import httpx
from llama_index.core.llms import LLM
from pydantic import BaseModel, Field, ValidationError

from rankvideo_rag.errors import MissingDependency, ModelError

_PACKAGE = "llama-index-llms-openai-like"
_SECONDS = 30.0  # to learn what is served; writing may take longer


class _Model(BaseModel):
    id: str
    max_model_len: int | None = None  # tokens; vLLM tells, others may not


class _Models(BaseModel):
    data: list[_Model] = Field(min_length=1)


def load_openai_like(address: str, *, calls_functions: bool = False) -> LLM:
    """The first model that is served at an address such as `http://127.0.0.1:8000/v1`, with the context window it tells.

    Raises MissingDependency without the package, ModelError where no model is served.
    """
    try:
        module = import_module("llama_index.llms.openai_like")
    except ModuleNotFoundError as error:
        raise MissingDependency("openai-like", _PACKAGE, "served") from error
    model = _served(address.rstrip("/"))
    window = {"context_window": model.max_model_len} if model.max_model_len else {}
    llm: LLM = module.OpenAILike(
        model=model.id,
        api_base=address,
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=calls_functions,
        **window,
    )
    return llm


def _served(address: str) -> _Model:
    try:
        reply = httpx.get(f"{address}/models", timeout=_SECONDS).raise_for_status()
        return _Models.model_validate_json(reply.content).data[0]
    except (httpx.HTTPError, httpx.InvalidURL, ValidationError) as error:
        raise ModelError(
            f"no model is served at {address} ({type(error).__name__}: {error}): give the address of an OpenAI-compatible "
            f"endpoint, such as http://127.0.0.1:8000/v1"
        ) from error
