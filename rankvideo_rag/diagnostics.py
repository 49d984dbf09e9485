"""Diagnostics of an installation: packages, the FFmpeg inside each media wheel, what each profile needs."""

import os
import re
import subprocess
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from rankvideo_rag.backends import EXTRAS
from rankvideo_rag.models.bundled import is_bundled
from rankvideo_rag.schema import Record
from rankvideo_rag.settings import DOWNLOAD_BYTES, PROFILES

FFMPEG_FLOOR = (8, 1, 2)  # fixes CVE-2026-8461
_BASE_PACKAGES = ("llama-index-core", "faiss-cpu", "av")
_EXTRAS_OF_PROFILE = {"tiny": ("models",), "cpu": ("models", "asr"), "gpu": ("models", "asr")}


class Package(Record):
    """One package, installed or not."""

    name: str
    version: str | None
    needed_by: str
    hint: str | None


class MediaLibrary(Record):
    """A wheel that decodes media, and the FFmpeg inside it."""

    package: str
    ffmpeg: str
    warning: str | None


class ModelInfo(Record):
    """A model that a profile uses."""

    name: str
    gigabytes: float  # about, of weights
    cached: bool


class ProfileState(Record):
    """Whether a profile can be used with what is installed."""

    name: str
    missing: tuple[str, ...]  # commands that install what is missing
    models: tuple[ModelInfo, ...]


class InstallationReport(Record):
    """Packages, media libraries, profiles and device."""

    packages: tuple[Package, ...]
    media: tuple[MediaLibrary, ...]
    profiles: tuple[ProfileState, ...]
    device: str


def check_installation() -> InstallationReport:
    """Report what is installed. Loads no model and opens no connection."""
    return InstallationReport(
        packages=tuple(_package(name) for name in dict.fromkeys([*_BASE_PACKAGES, *chain(*EXTRAS.values())])),
        media=tuple(_media_libraries()),
        profiles=tuple(_profile(name) for name in PROFILES),
        device=_device(),
    )


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _package(name: str) -> Package:
    found, extras = _installed(name), [extra for extra, names in EXTRAS.items() if name in names]
    hint = f"pip install 'rankvideo-rag[{extras[0]}]'" if extras else "pip install rankvideo-rag"
    return Package(name=name, version=found, needed_by=", ".join(extras) or "everything", hint=None if found else hint)


def _media_libraries() -> list[MediaLibrary]:
    found = []
    if _installed("av"):
        import av

        ffmpeg = av.ffmpeg_version_info
        found.append(MediaLibrary(package=f"av {version('av')}", ffmpeg=f"FFmpeg {ffmpeg}", warning=_too_old(ffmpeg)))
    for name in ("decord", "opencv-python", "opencv-python-headless"):
        if _installed(name):
            bundled = _bundled_ffmpeg(name)
            found.append(MediaLibrary(package=f"{name} {version(name)}", ffmpeg=bundled, warning=_too_old(bundled)))
    return found


def _bundled_ffmpeg(name: str) -> str:
    """Return the FFmpeg version found in the bytes of a wheel's libraries, without running them."""
    for file in distribution(name).files or ():
        if re.search(r"lib(avutil|avcodec|avformat)[-.\w]*\.so", file.name):
            stamp = re.search(
                rb"FFmpeg version (\S+?)\0|Lavf(\d+\.\d+\.\d+)|Lavc(\d+\.\d+\.\d+)", Path(str(file.locate())).read_bytes()
            )
            if stamp:
                release, avformat, avcodec = (group and group.decode() for group in stamp.groups())
                return f"FFmpeg {release}" if release else f"libavformat {avformat}" if avformat else f"libavcodec {avcodec}"
    return "FFmpeg of unknown version"


def _too_old(ffmpeg: str) -> str | None:
    numbers = re.search(r"(?:^|FFmpeg n?)(\d+)\.(\d+)(?:\.(\d+))?", ffmpeg)
    if numbers is None:
        return "version not comparable: use it for trusted files only"
    found = tuple(int(number or 0) for number in numbers.groups())
    floor = ".".join(map(str, FFMPEG_FLOOR))
    return None if found >= FFMPEG_FLOOR else f"older than {floor}: use it for trusted files only"


def _profile(name: str) -> ProfileState:
    extras = {extra for extra in _EXTRAS_OF_PROFILE[name] if not all(map(_installed, EXTRAS[extra]))}
    missing = [f"pip install 'rankvideo-rag[{','.join(sorted(extras))}]'"] if extras else []
    models = tuple(
        ModelInfo(name=model, gigabytes=DOWNLOAD_BYTES[model] / 1e9, cached=is_bundled(model) or _cached(model, option))
        for option, model in PROFILES[name].items()
        if option.endswith("_model")
    )
    return ProfileState(name=name, missing=tuple(missing), models=models)


def _cached(model: str, option: str) -> bool:
    """Return whether the weights are in the cache of the library that would download them."""
    if option == "asr_model":
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "whisper"
        return (root / f"{model}.pt").is_file()
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return any((hub / f"models--{model.replace('/', '--')}" / "snapshots").glob("*"))


def _device() -> str:
    """Return the GPUs as nvidia-smi lists them; torch is not loaded."""
    if find_spec("torch") is None:
        return "cpu (torch is not installed)"
    try:
        asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=False)
    except FileNotFoundError:
        return "cpu (no NVIDIA driver)"
    return asked.stdout.strip() or "cpu (no NVIDIA GPU)"
