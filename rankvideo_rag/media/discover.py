"""Find media files under given paths: by suffix only, in a stable order, without following links out of them.

Paths that look like media but cannot be read are returned too, so that they are counted and reported: folders that cannot be
listed, folders with a media suffix, and links that lead elsewhere.
"""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from rankvideo_rag.errors import InputError

MEDIA_SUFFIXES = frozenset(
    ".mp4 .m4v .mov .mkv .webm .avi .mpg .mpeg .ts .m2ts .mts .flv .wmv .3gp .ogv .h264 "
    ".mp3 .m4a .aac .flac .wav .ogg .opus .wma".split()
)


def discover(inputs: Sequence[Path]) -> list[Path]:
    """Return the absolute paths of the media files that `inputs` name or contain, each once, sorted.

    A file that is named itself is returned whatever its suffix. Raises InputError for a path that does not exist, and if there
    is no media file at all.
    """
    for given in inputs:
        if not os.path.lexists(given):
            raise InputError(f"there is no {given}: give a folder of videos, or video files")
    found = find_media_files(inputs)
    if not found:
        folders = ", ".join(str(given) for given in inputs)
        suffixes = " ".join(sorted(MEDIA_SUFFIXES))
        raise InputError(f"no video or audio file under {folders}, 0 videos indexed: looked for {suffixes}")
    return found


def find_media_files(inputs: Iterable[Path]) -> list[Path]:
    """Return what `discover` returns, for inputs that may be missing or empty."""
    roots = [absolute_path(given) for given in inputs]
    found: dict[Path, None] = {}
    for path in roots:
        found |= dict.fromkeys(_media_under(path, roots) if os.path.isdir(path) else [path] if os.path.lexists(path) else [])
    return sorted(found)


def absolute_path(given: Path) -> Path:
    """Return an absolute path without '..'; links are not resolved."""
    return Path(os.path.abspath(given))


def is_external_link(path: Path, roots: Collection[Path]) -> bool:
    """Return whether a path is a link to something that exists and lies under none of the roots, which may be links."""
    if not os.path.islink(path) or not os.path.exists(path):
        return False
    target = Path(os.path.realpath(path))
    return _resolved(tuple(roots)).isdisjoint([target, *target.parents])


@lru_cache(maxsize=4)
def _resolved(roots: tuple[Path, ...]) -> frozenset[Path]:
    return frozenset(Path(os.path.realpath(root)) for root in roots)


def _media_under(folder: Path, roots: Collection[Path]) -> Iterator[Path]:
    unlisted: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: unlisted.append(Path(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = [Path(parent, name) for name in folders]
        yield from (path for path in paths if _is_media(path.name) or is_external_link(path, roots))
        yield from (Path(parent, name) for name in names if _is_media(name) and not name.startswith("."))
    yield from unlisted


def _is_media(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES
