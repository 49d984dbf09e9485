"""Open a regular file for reading, without blocking and without touching a device."""

import errno
import os
import stat

from rankvideo_rag.errors import MediaError


def open_regular(path: str) -> int:
    """Return a descriptor of a regular, non-empty file, or of one that a link leads to. Never blocks, as a FIFO would.

    Raises MediaError: not_regular, empty, and those of `explain_os_error`.
    """
    try:
        _check_kind(path, os.stat(path))
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise explain_os_error(path, error) from error
    try:
        _check_kind(path, os.fstat(descriptor))  # the file may have been replaced since
    except MediaError:
        os.close(descriptor)
        raise
    return descriptor


def modified_ns(status: os.stat_result) -> int:
    """Return the time of the last change in nanoseconds since 1970, as a signed 64-bit number: file systems hold any time.

    Times that are further away are reduced modulo 2 ** 64, so that a change is still seen as one.
    """
    return (status.st_mtime_ns + (1 << 63)) % (1 << 64) - (1 << 63)


def explain_os_error(path: str, error: Exception) -> MediaError:
    """Return the MediaError for a path that cannot be opened: broken_link, vanished, permission, path_too_long or io."""
    number = getattr(error, "errno", None)
    if number == errno.ELOOP or (number in (errno.ENOENT, errno.ENOTDIR) and os.path.islink(path)):
        return MediaError("broken_link", f"{path!r} is a link to a file that does not exist")
    if number in (errno.ENOENT, errno.ENOTDIR):
        return MediaError("vanished", f"{path!r} does not exist any more")
    if number in (errno.EACCES, errno.EPERM):
        return MediaError("permission", f"{path!r} cannot be read by this user: check its permissions")
    if number == errno.ENAMETOOLONG:
        return MediaError("path_too_long", f"a path that ends in {path[-60:]!r} is longer than this system allows")
    return MediaError("io", f"{path!r} cannot be opened: {getattr(error, 'strerror', None) or error}")


def _check_kind(path: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("not_regular", f"{path!r} is not a regular file but a folder, pipe, socket or device")
    if status.st_size == 0:
        raise MediaError("empty", f"{path!r} is empty")
