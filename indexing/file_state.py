"""Identify media files: by size and time, which costs a stat, and by the hash of their content, which costs a read."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.discover import is_external_link
from rankvideo_rag.media.safe_open import explain_os_error, modified_ns, open_regular
from rankvideo_rag.media.subtitles import find_sidecars

MISSING_CODES = frozenset({"broken_link", "vanished"})  # error codes of a file that has no state
_SLOW_DISK = 20e6  # bytes per second


class FileState(NamedTuple):
    """Size and modification time of a file and of its subtitle files. Moving them together does not change it."""

    size: int  # bytes
    mtime_ns: int
    sidecars: str  # hash of the names, sizes and times of the subtitle files; '' where there is none


class MediaFile(NamedTuple):
    """A media file and the state in which it is read."""

    path: Path
    state: FileState


def read_file_state(path: Path, *, subtitles: bool) -> FileState:
    """Return the state of a file; without `subtitles` the subtitle files beside it are ignored.

    Raises MediaError with the code broken_link, vanished, permission, path_too_long or io.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise explain_os_error(str(path), error) from error
    return FileState(stat.st_size, modified_ns(stat), _sidecars(path) if subtitles else "")


def check_location(path: Path, roots: Collection[Path]) -> None:
    """Raise MediaError for a link out of the indexed folders (outside_root) or an unreadable folder (permission)."""
    if is_external_link(path, roots):
        raise MediaError("outside_root", f"{str(path)!r} is a link to a place outside the indexed folders")
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise MediaError("permission", f"{str(path)!r} is a folder that this user may not list: its files are left out")


def is_missing(path: Path) -> bool:
    """Return whether the path no longer exists. A path that cannot be checked, as on a failing disk, does not count."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def read_seconds(path: Path) -> float:
    """Return the seconds that reading a file may take on a slow disk, by its allocated blocks, as files may be sparse."""
    return os.stat(path).st_blocks * 512 / _SLOW_DISK


def compute_video_id(path: Path) -> str:
    """Return the first 32 hex digits of the SHA-256 of the file's content. Raises MediaError as `open_regular` does."""
    try:
        with os.fdopen(open_regular(str(path)), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise MediaError("io", f"{str(path)!r}: {error.strerror}") from error


def _sidecars(path: Path) -> str:
    states = []
    for sidecar in find_sidecars(str(path)):
        try:
            stat = os.stat(sidecar)
        except OSError:  # deleted since the folder was listed: the next run notices
            continue
        states.append(f"{os.path.basename(sidecar).removeprefix(path.stem)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()[:32] if states else ""
