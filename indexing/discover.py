"""Which files under the given paths are media: by suffix only, in a stable order, without following links to folders."""

import os
from collections.abc import Iterator, Sequence
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
    found: dict[Path, None] = {}
    for given in inputs:
        if not given.exists():
            raise InputError(f"there is no {given}: give a folder of videos, or video files")
        path = Path(os.path.abspath(given))  # no '..' in it, links left as they are
        found |= dict.fromkeys([path] if path.is_file() else _media_under(path))
    if not found:
        folders = ", ".join(str(given) for given in inputs)
        raise InputError(f"no video or audio file under {folders}: looked for {' '.join(sorted(MEDIA_SUFFIXES))}")
    return sorted(found)


def _media_under(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (
            Path(parent, name) for name in names if Path(name).suffix.lower() in MEDIA_SUFFIXES and not name.startswith(".")
        )
