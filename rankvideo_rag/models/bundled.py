"""Models that ship with the package, by names that do not depend on where the package is installed."""

from pathlib import Path

_PREFIX = "bundled:"
_FOLDER = Path(__file__).parents[1] / "synthetic" / "models"


def is_bundled(model: str) -> bool:
    """Return whether a name is that of a bundled model."""
    return model.startswith(_PREFIX)


def local_folder(model: str) -> Path:
    """Return the folder of a model that is not on the hub: a path, or `bundled:NAME` inside the package."""
    return _FOLDER / model.removeprefix(_PREFIX) if is_bundled(model) else Path(model).expanduser()


def bundled_names() -> list[str]:
    """Return the names of the bundled models."""
    return [f"{_PREFIX}{folder.name}" for folder in sorted(_FOLDER.glob("*/"))]
