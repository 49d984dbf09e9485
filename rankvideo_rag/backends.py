"""Backends by name, and the optional packages that they need.

A backend is a module with a function `load(model, **options)` in a package such as `rankvideo_rag.models.vlm`; its file name is
its name. `package.module:function` names a function elsewhere. A backend is imported, with its heavy dependencies, only when it
is loaded.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError, MissingDependency

# Test doubles that are loaded by name like backends: (package, name) -> module.
_TEST_DOUBLES = {
    ("rankvideo_rag.models.embedders", "scripted"): "rankvideo_rag.testing.scripted_embedder",
    ("rankvideo_rag.models.text_embedders", "scripted"): "rankvideo_rag.testing.scripted_text_embedder",
    ("rankvideo_rag.models.vlm", "scripted"): "rankvideo_rag.testing.scripted_vlm",
}

# The extras of pyproject.toml: extra -> distributions that it installs.
EXTRAS = {
    "models": ("torch", "torchvision", "transformers", "sentence-transformers", "qwen-vl-utils", "accelerate"),
    "asr": ("openai-whisper", "silero-vad", "onnxruntime"),
    "faster-whisper": ("faster-whisper",),
    "onnx": ("onnxruntime", "tokenizers"),
    "ocr": ("rapidocr", "onnxruntime"),
    "scenes": ("scenedetect",),
    "vllm": ("vllm",),
    "gpu": ("faiss-gpu",),
    "decord": ("decord",),
    "train": ("peft", "pyyaml", "tensorboard"),
    "eval": ("ir-measures", "pytrec-eval-terrier", "scipy", "matplotlib", "jinja2"),
    "served": ("openai", "llama-index-llms-openai-like"),
    "server": ("starlette", "uvicorn"),
    "ray": ("ray",),
    "milvus": ("llama-index-vector-stores-milvus", "milvus-lite"),
}
# Modules that are not named after their distribution.
_MODULES = {
    "openai-whisper": "whisper",
    "pyyaml": "yaml",
    "pytrec-eval-terrier": "pytrec_eval",
    "llama-index-vector-stores-milvus": "pymilvus",
}
_EXTRA_OF_MODULE = {_MODULES.get(name, name.replace("-", "_")): extra for extra, names in EXTRAS.items() for name in names}
_EXTRA_OF_COMMAND = {"demo train": "train", "demo ablate": "train"}


def load_backend(package: str, name: str, *args: Any, **options: Any) -> Any:
    """Load backend `name` of a package such as `rankvideo_rag.models.embedders`, passing the arguments on.

    Raises InputError for an unknown name, MissingDependency for a package that is not installed.
    """
    return find_loader(package, name)(*args, **options)


def find_loader(package: str, name: str) -> Callable[..., Any]:
    """Import a backend and return its `load` function."""
    if ":" in name:
        module, _, function = name.partition(":")
    else:
        check_backend(package, name)
        module, function = _TEST_DOUBLES.get((package, name), f"{package}.{name}"), "load"
    return getattr(import_optional(module, name), function)  # type: ignore[no-any-return]


def check_backend(package: str, name: str) -> None:
    """Raise InputError, with the known names, unless the package has this backend or the name has a colon."""
    if ":" not in name and name not in backend_names(package):
        raise InputError(
            f"no backend {name!r} in {package}: it has {', '.join(backend_names(package))}, "
            f"or give your own as 'package.module:function'"
        )


def backend_names(package: str) -> list[str]:
    """Return the names of a package's backends, sorted, without importing them: the files that define `load`."""
    files = (file for folder in import_module(package).__path__ for file in Path(folder).glob("*.py"))
    names = [file.stem for file in files if "\ndef load(" in file.read_text(encoding="utf-8")]
    return sorted([*names, *(name for other, name in _TEST_DOUBLES if other == package)])


def import_optional(module: str, user: str) -> Any:
    """Import a module for `user`, a backend or command; raise MissingDependency with the extra that is missing."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "rankvideo_rag" or not package:
            raise
        raise MissingDependency(user, package, _extra_of(user, package)) from error


def _extra_of(user: str, package: str) -> str | None:
    """Return the extra of a backend or command, whichever of its imports failed first; else that of the package."""
    if user in EXTRAS:
        return user
    return _EXTRA_OF_COMMAND.get(user) or _EXTRA_OF_MODULE.get(user) or _EXTRA_OF_MODULE.get(package)
