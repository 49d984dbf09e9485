"""Find a backend by name: the file of that name in a room, or a dotted `package.module:function` outside.

A backend is a module with a function `load(model, **options)`. Adding one means adding one file; a heavy import stands at
the top of that file, which is imported only when its name is asked for.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from rankvideo_rag.errors import InputError, MissingDependency

# Test doubles that can be chosen by name, as a backend can: (package, name) -> module.
_TEST_DOUBLES = {
    ("rankvideo_rag.models.embedders", "scripted"): "rankvideo_rag.testing.scripted_embedder",
    ("rankvideo_rag.models.vlm", "scripted"): "rankvideo_rag.testing.scripted_vlm",
}

# The package whose absence a user meets first, and the extra that brings it.
_EXTRA_OF = {
    "torch": "models",
    "torchvision": "models",
    "transformers": "models",
    "sentence_transformers": "models",
    "qwen_vl_utils": "models",
    "accelerate": "models",
    "whisper": "asr",
    "silero_vad": "asr",
    "faster_whisper": "faster-whisper",
    "rapidocr": "ocr",
    "onnxruntime": "ocr",
    "vllm": "vllm",
    "decord": "decord",
    "ir_measures": "eval",
    "pytrec_eval": "eval",
    "scipy": "eval",
    "matplotlib": "eval",
    "jinja2": "eval",
    "pymilvus": "milvus",
    "milvus": "milvus",
    "peft": "train",
    "yaml": "train",
    "train": "train",
    "demo train": "train",
    "demo ablate": "train",
    "starlette": "server",
    "uvicorn": "server",
    "ray": "ray",
    "openai": "served",
}


def load_backend(room: str, name: str, *args: Any, **options: Any) -> Any:
    """Load backend `name` of a room such as `rankvideo_rag.models.embedders`, passing the arguments on.

    Raises InputError for a name that is no backend, MissingDependency for a package that is not installed.
    """
    return find_loader(room, name)(*args, **options)


def find_loader(room: str, name: str) -> Callable[..., Any]:
    """The `load` function of a backend, its module imported."""
    module_name, _, function = name.partition(":") if ":" in name else (_module_of(room, check_backend(room, name)), "", "load")
    return getattr(import_optional(module_name, name), function)  # type: ignore[no-any-return]


def check_backend(room: str, name: str) -> str:
    """The name, if a backend of the room bears it or it points outside. Raises InputError that lists the names there are."""
    if ":" not in name and name not in backend_names(room):
        raise InputError(
            f"no backend {name!r} in {room}: it has {', '.join(backend_names(room))}, "
            f"or give your own as 'package.module:function'"
        )
    return name


def backend_names(room: str) -> list[str]:
    """The files of a room that are backends: those that define `load`. None of them is imported for that."""
    folders = [Path(folder) for folder in import_module(room).__path__]
    files = (file for folder in folders for file in folder.glob("*.py"))
    names = [file.stem for file in files if "\ndef load(" in file.read_text(encoding="utf-8")]
    return sorted([*names, *(name for other, name in _TEST_DOUBLES if other == room)])


def _module_of(room: str, name: str) -> str:
    return _TEST_DOUBLES.get((room, name), f"{room}.{name}")


def import_optional(module_name: str, backend: str) -> Any:
    """Import a module; a third-party package that is not there becomes a MissingDependency that names the extra."""
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "rankvideo_rag" or not package:
            raise
        # A backend named after its package comes with that package's extra, whichever import failed first.
        raise MissingDependency(backend, package, _EXTRA_OF.get(backend, _EXTRA_OF.get(package))) from error
