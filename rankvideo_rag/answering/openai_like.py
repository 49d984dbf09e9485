"""Load a language model behind an OpenAI-compatible endpoint as a LlamaIndex LLM: vLLM, llama.cpp, Ollama and others.

Needs llama-index-llms-openai-like (extra `served`).
"""

import logging
from importlib import import_module
from typing import Any

import httpx
from llama_index.core.llms import LLM

from rankvideo_rag.answering.deadline_transport import AsyncDeadlineTransport, DeadlineTransport
from rankvideo_rag.errors import MissingDependency, ModelError

logger = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 600.0  # seconds: a small model on a few CPU cores may read a prompt for minutes
DEFAULT_CONTEXT = 4096  # tokens, where a server reports no context length; also Ollama's default
_MAX_OUTPUT = 4096  # tokens of an answer, at most a quarter of the context: small models may go on without end
_INFO_TIMEOUT = 30.0  # seconds, for each question about the server


def load_openai_like(
    base_url: str, *, timeout: float = DEFAULT_TIMEOUT, context_window: int | None = None, function_calling: bool = False
) -> LLM:
    """Return the model that is served at `base_url`.

    Args:
        base_url: such as `http://127.0.0.1:8000/v1`, or `http://127.0.0.1:11434/v1#qwen3:4b` to choose one of several models;
            without a name the first one is used.
        timeout: seconds for a whole answer. A request is not repeated: most servers go on with the first one.
        context_window: context length in tokens. None: what the server reports (vLLM `max_model_len`, llama.cpp `n_ctx`, Ollama
            the length of the loaded model or its `num_ctx`), else 4096, with a warning.
        function_calling: for vLLM, the server must be started with --enable-auto-tool-choice and a --tool-call-parser.

    Raises MissingDependency without the package, and ModelError if the model is not served.
    """
    try:
        openai_like = import_module("llama_index.llms.openai_like")
    except ModuleNotFoundError as error:
        raise MissingDependency("openai-like", "llama-index-llms-openai-like", "served") from error
    address, _, name = base_url.partition("#")
    address = address.rstrip("/")
    with httpx.Client(timeout=_INFO_TIMEOUT, trust_env=False) as client:
        model = _find_model(client, address, name)
        window = context_window or _context_length(client, address.removesuffix("/v1"), model)
    if window is None:
        logger.warning("%s does not report its context length: %d tokens are assumed (llm_context)", address, DEFAULT_CONTEXT)
    llm: LLM = openai_like.OpenAILike(
        model=model["id"],
        api_base=address,
        api_key="none",
        context_window=window or DEFAULT_CONTEXT,
        max_tokens=min((window or DEFAULT_CONTEXT) // 4, _MAX_OUTPUT),
        is_chat_model=True,
        is_function_calling_model=function_calling,
        timeout=timeout,
        max_retries=0,
        http_client=httpx.Client(transport=DeadlineTransport(timeout)),
        async_http_client=httpx.AsyncClient(transport=AsyncDeadlineTransport(timeout)),
    )
    return llm


def _find_model(client: httpx.Client, address: str, name: str) -> dict[str, Any]:
    """Return the named model of the server's list, else the first one. Raises ModelError."""
    try:
        reply = client.get(f"{address}/models").raise_for_status().json()
        served = {model["id"]: model for model in reply["data"]}
        first = next(iter(served))
    except Exception as error:  # a server may send anything
        raise ModelError(
            f"no model is served at {address} ({type(error).__name__}: {error}): give the URL of an OpenAI-compatible "
            f"endpoint, such as http://127.0.0.1:8000/v1"
        ) from error
    if name and name not in served:
        raise ModelError(f"{address} serves {', '.join(served)}, not {name}: name one of them after a #")
    model: dict[str, Any] = served[name or first]
    return model


def _context_length(client: httpx.Client, root: str, model: dict[str, Any]) -> int | None:
    """Return the context length of a model in tokens, as far as the server reports one; `root` is its URL without /v1."""
    name = model["id"]
    reported = [model.get("max_model_len")]  # vLLM, SGLang
    if model.get("meta"):  # llama.cpp: that of a slot, of the server, of the model
        reported.append(_look_up(_get_json(client, f"{root}/props"), "default_generation_settings", "n_ctx"))
        reported += [_look_up(model, "meta", "n_ctx"), _look_up(model, "meta", "n_ctx_train")]
    elif not any(reported):
        running = _look_up(_get_json(client, f"{root}/api/ps"), "models")
        loaded = [one for one in running if _look_up(one, "name") == name] if isinstance(running, list) else []
        reported += [_look_up(one, "context_length") for one in loaded]
        reported.append(_num_ctx(_get_json(client, f"{root}/api/show", {"model": name})))
    return next((length for length in reported if isinstance(length, int) and length > 0), None)


def _num_ctx(shown: Any) -> int | None:
    """Return the context length in an Ollama model's parameters; without one Ollama's default, if the model has as much."""
    for line in str(_look_up(shown, "parameters") or "").splitlines():
        key, _, value = line.partition(" ")
        if key == "num_ctx" and value.strip().isdigit():
            return int(value)
    info = _look_up(shown, "model_info")
    trained = [info[key] for key in info if key.endswith(".context_length")] if isinstance(info, dict) else []
    return min(DEFAULT_CONTEXT, *trained) if trained and isinstance(trained[0], int) else None


def _get_json(client: httpx.Client, url: str, body: object = None) -> Any:
    """Return the JSON at a URL, POST where there is a body; None for whatever else the server does."""
    try:
        reply = client.get(url) if body is None else client.post(url, json=body)
        return reply.json() if reply.is_success else None
    except Exception as error:  # a server may send anything, and need not know this URL
        logger.debug("%s: %s", url, error)
        return None


def _look_up(value: Any, *keys: str) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
