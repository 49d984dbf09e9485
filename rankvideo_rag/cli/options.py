"""Options that several commands share, and options that are settings."""

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

from rankvideo_rag.settings import Settings

if TYPE_CHECKING:
    from llama_index.core.llms import LLM

Archive = Annotated[Path, typer.Argument(help="The archive's folder.", metavar="ARCHIVE")]
Question = Annotated[str, typer.Argument(help="The question.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder to write to; created if it does not exist.")]
OutputFile = Annotated[Path, typer.Option("--output", "-o", help="File to write.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1; by default the best available.")]
Llm = Annotated[
    str | None,
    typer.Option(
        help="LLM that writes the answers: package.module:function that returns a LlamaIndex LLM. By default answers are "
        "quoted from the archive."
    ),
]
LlmUrl = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible endpoint whose model writes the answers, such as http://127.0.0.1:8000/v1; with several models "
        ".../v1#model."
    ),
]
Frames = Annotated[int, typer.Option(min=0, help="Frames per clip that the LLM is shown; it must be multimodal.")]
EvidenceSubsets = Annotated[
    int, typer.Option(min=1, help="Answer from this many selections of the clips and keep the best supported answer.")
]

# The settings that every command offers which opens an archive to search it.
SEARCH_SETTINGS = (
    "profile",
    "reranker",
    "reranker_model",
    "evidence",
    "cross_encoder",
    "cross_encoder_model",
    "device",
    "gpu",
    "vector_store",
    "fusion_weights",
)

# The settings that every command offers which lets an LLM write answers.
LLM_SETTINGS = ("llm_timeout", "llm_context")


def setting_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add an option to a command for each of these settings.

    The command receives those that were given on the command line as the dictionary `options`, ready for `Settings.load` or
    `VideoArchive.open`. Name, type and help come from `Settings`.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def run(**arguments: Any) -> None:
            values = {name: arguments.pop(name, None) for name in names}
            command(**arguments, options={name: value for name, value in values.items() if value is not None})

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.name != "options"]
        last = [p for p in own if p.name == "as_json"]
        parameters = [*(p for p in own if p.name != "as_json"), *map(_parameter, names), *last]
        run.__signature__ = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters}
        return run

    return decorate


def _parameter(name: str) -> inspect.Parameter:
    field = Settings.model_fields[name]
    types = get_args(field.annotation) if get_origin(field.annotation) is not Literal else (str,)
    kind = next((kind for kind in (bool, int, float) if kind in (types or (field.annotation,))), str)
    flag = "--" + name.replace("_", "-")
    option = typer.Option(f"{flag}/--no-{flag[2:]}" if kind is bool else flag, help=field.description)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])


def load_llm(name: str | None, url: str | None, settings: Settings) -> "LLM | None":
    """Return the LLM that `--llm` names or that is served at `--llm-url`; the settings' time limit is for the latter.

    Raises InputError if both are given or the name is not package.module:function.
    """
    from rankvideo_rag.backends import load_backend
    from rankvideo_rag.errors import InputError

    if name and url:
        raise InputError("--llm and --llm-url both name the LLM that writes the answers: give one of them")
    if url:
        from rankvideo_rag.answering.openai_like import load_openai_like

        return load_openai_like(url, timeout=settings.llm_timeout, context_window=settings.llm_context)
    if name is None:
        return None
    if ":" not in name:
        raise InputError(f"--llm {name!r}: give package.module:function, a function that returns a LlamaIndex LLM")
    llm: LLM = load_backend("llm", name)
    return llm
