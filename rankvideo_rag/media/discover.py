"""Which files under the given paths are media: by suffix only, in a stable order, without following links out of them.

What was found and cannot be a file to read is among the paths all the same, so that it is counted and said: folders that
cannot be listed, folders that are named like media, links that lead out.
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
    """Absolute paths of the media files named by `inputs` or lying under them, each once, sorted.

    A file that is named itself is taken whatever its suffix. Raises InputError for a path that does not exist and when there
    is no media file at all, since an empty archive is never what was meant.
    """
    for given in inputs:
        if not os.path.lexists(given):
            raise InputError(f"there is no {given}: give a folder of videos, or video files")
    found = find_media_files(inputs)
    if not found:
        folders = ", ".join(str(given) for given in inputs)
        looked_for = " ".join(sorted(MEDIA_SUFFIXES))
        raise InputError(f"no video or audio file under {folders}, 0 videos indexed: looked for {looked_for}")
    return found


def find_media_files(inputs: Iterable[Path]) -> list[Path]:
    """The same for inputs of which some may be gone or empty."""
    roots = [absolute_path(given) for given in inputs]
    found: dict[Path, None] = {}
    for path in roots:
        found |= dict.fromkeys(_media_under(path, roots) if os.path.isdir(path) else [path] if os.path.lexists(path) else [])
    return sorted(found)


def absolute_path(given: Path) -> Path:
    """A path from the root, without '..' in it; links are left as they are."""
    return Path(os.path.abspath(given))


def is_external_link(path: Path, roots: Collection[Path]) -> bool:
    """Whether a path is a link to something that is and that lies under none of the roots, which may be links themselves."""
    if not os.path.islink(path) or not os.path.exists(path):
        return False
    target = Path(os.path.realpath(path))
    return _real(tuple(roots)).isdisjoint([target, *target.parents])


@lru_cache(maxsize=4)
def _real(roots: tuple[Path, ...]) -> frozenset[Path]:
    return frozenset(Path(os.path.realpath(root)) for root in roots)


def _media_under(folder: Path, roots: Collection[Path]) -> Iterator[Path]:
    unlisted: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: unlisted.append(Path(error.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            path for path in (Path(parent, name) for name in folders) if _is_media(path.name) or is_external_link(path, roots)
        )
        yield from (Path(parent, name) for name in names if _is_media(name) and not name.startswith("."))
    yield from unlisted


def _is_media(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in MEDIA_SUFFIXES
