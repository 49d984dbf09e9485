"""Load a language model behind an OpenAI-compatible endpoint, such as `vllm serve`, as a LlamaIndex LLM.

Needs llama-index-llms-openai-like (extra `served`). Without this module, pass
OpenAILike(model=…, api_base="http://127.0.0.1:8000/v1", api_key="none", context_window=…, is_chat_model=True).
"""

from importlib import import_module

from llama_index.core.llms import LLM

from rankvideo_rag.errors import MissingDependency, ModelError

_TIMEOUT = 30.0  # seconds, for the list of models


def load_openai_like(base_url: str, *, function_calling: bool = False) -> LLM:
    """Return the first model that is served at `base_url`, with the context window that the server reports.

    Args:
        base_url: such as `http://127.0.0.1:8000/v1`.
        function_calling: for vLLM, the server must be started with --enable-auto-tool-choice and a --tool-call-parser.

    Raises MissingDependency without the package, and ModelError if no model is served.
    """
    try:
        openai, openai_like = import_module("openai"), import_module("llama_index.llms.openai_like")
    except ModuleNotFoundError as error:
        raise MissingDependency("openai-like", "llama-index-llms-openai-like", "served") from error
    try:
        client = openai.OpenAI(base_url=base_url, api_key="none", timeout=_TIMEOUT, max_retries=0)
        model = client.models.list().data[0]
    except (openai.OpenAIError, ValueError, IndexError, TypeError) as error:
        raise ModelError(
            f"no model is served at {base_url} ({type(error).__name__}: {error}): give the URL of an OpenAI-compatible "
            f"endpoint, such as http://127.0.0.1:8000/v1"
        ) from error
    window = (model.model_extra or {}).get("max_model_len")  # tokens; reported by vLLM
    llm: LLM = openai_like.OpenAILike(
        model=model.id,
        api_base=base_url,
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=function_calling,
        **({"context_window": window} if window else {}),
    )
    return llm
