"""Open a regular file for reading, without waiting for anything and without touching a device. Knows nothing of media."""

import os
import stat

from rankvideo_rag.errors import MediaError


def open_regular(path: str) -> int:
    """A descriptor of a regular, non-empty file; a link to one will do. Never waits, as a FIFO would make it.

    Raises MediaError: vanished, permission, not_regular, empty, io.
    """
    try:
        _refuse_by_kind(path, os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError) as error:
        what = "is a link that leads nowhere" if os.path.islink(path) else "is not there any more"
        raise MediaError("vanished", f"{path!r} {what}") from error
    except PermissionError as error:
        raise MediaError("permission", f"{path!r} may not be read by this user: check its permissions") from error
    except (OSError, ValueError) as error:
        raise MediaError("io", f"{path!r} cannot be opened: {error}") from error
    try:
        _refuse_by_kind(path, os.fstat(descriptor))  # it may have been exchanged since
    except MediaError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_by_kind(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not_regular", f"{path!r} is not a regular file but a folder, pipe, socket or device")
    if status.st_size == 0:
        raise MediaError("empty", f"{path!r} is empty")
