"""Models that ship with the package, by names that hold on every machine, as a path into an installation would not.

It knows where they lie, not what they are.
"""

from pathlib import Path

_PREFIX = "bundled:"
_FOLDER = Path(__file__).parents[1] / "synthetic" / "models"


def is_bundled(model: str) -> bool:
    """Whether a name is that of a model which ships with the package."""
    return model.startswith(_PREFIX)


def local_folder(model: str) -> Path:
    """Where a model lies if it is no hub model: a path as it is, `bundled:NAME` inside the package."""
    return _FOLDER / model.removeprefix(_PREFIX) if is_bundled(model) else Path(model).expanduser()


def bundled_names() -> list[str]:
    """The names of the models that ship."""
    return [f"{_PREFIX}{folder.name}" for folder in sorted(_FOLDER.glob("*/"))]
