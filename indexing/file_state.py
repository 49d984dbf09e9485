"""What tells one media file from another: its state, which costs a stat, and its content's hash, which costs a reading."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.discover import is_external_link
from rankvideo_rag.media.safe_open import open_regular, refusal
from rankvideo_rag.media.subtitles import sidecars

MISSING_CODES = frozenset({"broken_link", "vanished"})  # codes of a file of which there is no state
_SLOW_DISK = 20e6  # bytes a second


class FileState(NamedTuple):
    """Size, time of change, and the same of the subtitle files that belong to it. A move together with them changes none."""

    size: int  # bytes
    mtime_ns: int
    sidecars: str  # '' where there is none


def read_file_state(path: Path, *, subtitles: bool) -> FileState:
    """The state of a file; without `subtitles` the files beside it do not count.

    Raises MediaError where not even that is to be had: broken_link, vanished, permission, path_too_long, io.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise refusal(str(path), error) from error
    return FileState(stat.st_size, stat.st_mtime_ns, _sidecars(path) if subtitles else "")


def check_location(path: Path, roots: Collection[Path]) -> None:
    """Raise MediaError for what is never read: outside_root, or permission for a folder without rights."""
    if is_external_link(path, roots):
        raise MediaError("outside_root", f"{str(path)!r} is a link that leads out of the folders that are indexed")
    if os.path.isdir(path) and not os.access(path, os.R_OK | os.X_OK):
        raise MediaError("permission", f"{str(path)!r} is a folder that this user may not list: what lies in it is left out")


def is_missing(path: Path) -> bool:
    """Whether nothing bears this name any more. A place that cannot be looked at, such as a failing disk, is not gone."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def read_seconds(path: Path) -> float:
    """What reading a file through may take on a slow disk: by what is stored of it, as a file may be mostly a hole."""
    return os.stat(path).st_blocks * 512 / _SLOW_DISK


def compute_video_id(path: Path) -> str:
    """The identity of a video: its content's hash, wherever it lies.

    Raises MediaError as `open_regular` does.
    """
    try:
        with os.fdopen(open_regular(str(path)), "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise MediaError("io", f"{str(path)!r}: {error.strerror}") from error


def _sidecars(path: Path) -> str:
    states = []
    for sidecar in sidecars(str(path)):
        try:
            stat = os.stat(sidecar)
        except OSError:
            continue  # gone since the folder was listed: the next run sees it so
        states.append(f"{os.path.basename(sidecar).removeprefix(path.stem)} {stat.st_size} {stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(states).encode("utf-8", "surrogateescape")).hexdigest()[:32] if states else ""
