"""Locate a model's files, in a local folder or on the Hugging Face hub, and identify them by revision."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from huggingface_hub import snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.bundled import bundled_names, is_bundled, local_folder

_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")

# Files that determine a model's output: weights, configuration, vocabulary, chat template, prompts, pooling.
_FILE_TYPES = (".safetensors", ".json", ".jinja", ".txt", ".model")
# Of ONNX weights: the unchanged export only, since hub folders often hold a dozen variants of it.
_ONNX_FILES = ("model.onnx", "model.onnx_data", "onnx/model.onnx", "onnx/model.onnx_data")
_WHOLE_UP_TO = 64 << 20  # bytes
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10


class Checkpoint(NamedTuple):
    """A model's files on this machine."""

    folder: Path
    revision: str  # the hub's commit, or the checksum of a local folder


def fetch_checkpoint(model: str | None, *, backend: str, setting: str, onnx: bool = False) -> Checkpoint:
    """Return the files of a model: a local folder, a bundled model, or a hub model, which is downloaded unless it is cached.

    Only safetensors weights (or `onnx` ones) and configuration are downloaded, never code. Errors name `setting`, the option
    of the model.
    """
    if not model:
        raise InputError(f"backend {backend!r} needs a model: set {setting} to a hub name or a local folder")
    path = local_folder(model)
    if path.is_dir():
        _refuse_adapter(path, setting)
        return Checkpoint(path, weights_checksum(path, onnx=onnx))
    if path.exists():
        raise InputError(f"{setting} = {model!r} is a file: give the folder that holds config.json and the weights")
    if is_bundled(model):
        raise InputError(
            f"{setting} = {model!r}: the models that ship with the package are {', '.join(bundled_names()) or 'missing'}"
        )
    if not _HUB_NAME.fullmatch(model):
        raise InputError(f"{setting} = {model!r}: there is no such folder, and it is not a hub name (owner/name)")
    folder = Path(_from_hub(model, setting, onnx=onnx))
    return Checkpoint(folder, folder.name)  # …/snapshots/<commit>


def cached_file(model: str, name: str) -> Path | None:
    """Return the path of a hub model's file if it is in the download cache."""
    found = try_to_load_from_cache(model, name) if _HUB_NAME.fullmatch(model) else None
    return Path(found) if isinstance(found, str) else None


def _refuse_adapter(folder: Path, setting: str) -> None:
    """Raise InputError for a folder of LoRA weights, which would load as the base model without them."""
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise InputError(
            f"{setting} = {str(folder)!r} is an adapter, not a model: merge it into its base first "
            f"(rankvideo train merge {folder} --output FOLDER), and give the merged folder"
        )


def _from_hub(model: str, setting: str, *, onnx: bool) -> str:
    advice = f"choose another with {setting}, or profile = 'tiny', which needs no download"
    patterns = [f"*{suffix}" for suffix in _FILE_TYPES if not (onnx and suffix == ".safetensors")]
    try:
        # One call for all files: separate calls would each wait for an unreachable hub.
        return str(snapshot_download(model, allow_patterns=[*patterns, *(_ONNX_FILES if onnx else ())]))
    except GatedRepoError as error:
        raise ModelError(f"the hub requires accepting the terms of {model!r}: log in, or {advice}") from error
    except RepositoryNotFoundError as error:
        raise InputError(
            f"{setting} = {model!r}: no such folder here, and no such model (or a private one) on the hub"
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, ConnectionError) as error:
        raise ModelError(
            f"{model!r} is neither a local folder nor in the download cache, and the hub cannot be reached (offline?): "
            f"connect once, set {setting} to a local folder, or {advice}. ({_first_line(error)})"
        ) from error
    except OSError as error:
        raise ModelError(f"cannot download {model!r} to the download cache: {_first_line(error)}") from error


@contextmanager
def wrap_loading_errors(model: str, *, setting: str, device: str) -> Iterator[None]:
    """Turn any error of a loading library into a ModelError that says what was tried and what to do."""
    try:
        yield
    except Exception as error:
        raise ModelError(
            f"cannot load {model!r} on {device!r}: {_first_line(error)}. Only safetensors (or ONNX) weights are read, and code "
            f"of a model is never run. Choose another model with {setting}, or another device"
        ) from error


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """Return the object in a model's JSON file; an empty one where there is no such file.

    Raises ModelError for other content.
    """
    file = folder / name
    try:
        content = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{str(file)!r} cannot be read as JSON: {_first_line(error)}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{str(file)!r} holds no JSON object")
    return content


def weights_checksum(folder: Path, *, onnx: bool = False) -> str:
    """Return 16 hex digits over the names, sizes and bytes of the files that determine a model's output.

    Of a file above 64 MiB only 64 samples of 64 KiB are read, so that a model of 18 GB takes a moment: they show
    training, which changes nearly every weight, but not a change of a few weights between them.
    """
    digest = hashlib.sha256()
    types = (*_FILE_TYPES, ".onnx", ".onnx_data") if onnx else _FILE_TYPES
    for path in sorted(path for path in folder.rglob("*") if path.suffix in types and path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode())
        with path.open("rb") as file:
            if size <= _WHOLE_UP_TO:
                digest.update(file.read())
                continue
            for sample in range(_SAMPLES):
                file.seek(sample * (size - _SAMPLE_BYTES) // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
