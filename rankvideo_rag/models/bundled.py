"""Models that ship with the package, by names that do not depend on where the package is installed."""

import json
from functools import cache
from pathlib import Path

from rankvideo_rag.schema import Probe
from rankvideo_rag.text import content_tokens

_PREFIX = "bundled:"
_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "models" / "weights", _PACKAGE / "synthetic" / "models")
_RENDERED = (256, 256, 8.0)  # width, height and frames per second of the clips that the tiny models were trained on


def is_bundled(model: str) -> bool:
    """Return whether a name is that of a bundled model."""
    return model.startswith(_PREFIX)


def is_foreign(model: str | None, probe: Probe) -> bool:
    """Return whether a video has a picture of a kind that a bundled model was not trained on: its scores mean nothing there.

    The bundled models know rendered clips alone, which differ from others in size and frame rate. Other models know any video.
    """
    seen = (probe.width, probe.height, probe.frame_rate)
    return model is not None and is_bundled(model) and probe.width is not None and seen != _RENDERED


def is_outside_vocabulary(model: str | None, question: str) -> bool:
    """Return whether a bundled model was trained on fewer than half of a question's content words.

    The vocabulary of its tokenizer is that of its training. Other models know any word.
    """
    if model is None or not is_bundled(model):
        return False
    words = [token.word for token in content_tokens(question)]
    return 2 * sum(word in _vocabulary(model) for word in words) < len(words)


@cache
def _vocabulary(model: str) -> frozenset[str]:
    """Return the words that are one token of a bundled model, in lower case."""
    tokenizer = json.loads((local_folder(model) / "tokenizer.json").read_text(encoding="utf-8"))
    return frozenset(token.removeprefix("Ġ").lower() for token in tokenizer["model"]["vocab"])


def local_folder(model: str) -> Path:
    """Return the folder of a model that is not on the hub: a path, or `bundled:NAME` inside the package."""
    if not is_bundled(model):
        return Path(model).expanduser()
    folders = [folder / model.removeprefix(_PREFIX) for folder in _FOLDERS]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def bundled_names() -> list[str]:
    """Return the names of the bundled models."""
    return [f"{_PREFIX}{model.name}" for folder in _FOLDERS for model in sorted(folder.glob("*/"))]
