"""Models that ship with the package, by names that do not depend on where the package is installed."""

from pathlib import Path

from rankvideo_rag.schema import Probe

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


def local_folder(model: str) -> Path:
    """Return the folder of a model that is not on the hub: a path, or `bundled:NAME` inside the package."""
    if not is_bundled(model):
        return Path(model).expanduser()
    folders = [folder / model.removeprefix(_PREFIX) for folder in _FOLDERS]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def bundled_names() -> list[str]:
    """Return the names of the bundled models."""
    return [f"{_PREFIX}{model.name}" for folder in _FOLDERS for model in sorted(folder.glob("*/"))]
