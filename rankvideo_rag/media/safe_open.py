"""Open a regular file for reading, without waiting for anything and without touching a device. Knows nothing of media."""

import errno
import os
import stat

from rankvideo_rag.errors import MediaError


def open_regular(path: str) -> int:
    """A descriptor of a regular, non-empty file; a link to one will do. Never waits, as a FIFO would make it.

    Raises MediaError: not_regular, empty, and what `refusal` names.
    """
    try:
        _refuse_by_kind(path, os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise refusal(path, error) from error
    try:
        _refuse_by_kind(path, os.fstat(descriptor))  # it may have been exchanged since
    except MediaError:
        os.close(descriptor)
        raise
    return descriptor


def refusal(path: str, error: Exception) -> MediaError:
    """What the system's refusal to look at a path means: broken_link, vanished, permission, path_too_long, io."""
    number = getattr(error, "errno", None)
    if number == errno.ELOOP or (number in (errno.ENOENT, errno.ENOTDIR) and os.path.islink(path)):
        return MediaError("broken_link", f"{path!r} is a link that leads nowhere")
    if number in (errno.ENOENT, errno.ENOTDIR):
        return MediaError("vanished", f"{path!r} is not there any more")
    if number in (errno.EACCES, errno.EPERM):
        return MediaError("permission", f"{path!r} may not be read by this user: check its permissions")
    if number == errno.ENAMETOOLONG:
        return MediaError("path_too_long", f"a path that ends in {path[-60:]!r} is longer than this system takes")
    return MediaError("io", f"{path!r} cannot be opened: {getattr(error, 'strerror', None) or error}")


def _refuse_by_kind(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not_regular", f"{path!r} is not a regular file but a folder, pipe, socket or device")
    if status.st_size == 0:
        raise MediaError("empty", f"{path!r} is empty")
