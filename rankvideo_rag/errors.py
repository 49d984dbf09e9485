"""Errors, whose messages say what was found, what was needed and what to do.

RankVideoError                  exit code 1: the run failed
├── InputError                  exit code 2: invalid input or options (also a ValueError)
├── MissingDependency           a backend needs a package that is not installed (also an ImportError)
├── MediaError(code)            a file cannot be read; `code` is the outcome's reason code
├── ModelError                  a model cannot be loaded, or its output cannot be used
└── ArchiveError                an archive cannot be opened or written
    ├── ArchiveLocked           another process is writing it
    ├── DiskFull                its disk is full
    └── ArchiveMismatch         it has another embedder or another format
"""


class RankVideoError(Exception):
    """Base class of the errors that this package raises."""

    exit_code = 1


class InputError(RankVideoError, ValueError):
    """Invalid input: an unknown profile, an empty question, a folder that does not exist."""

    exit_code = 2


class MissingDependency(RankVideoError, ImportError):
    """A backend needs a package that is not installed."""

    def __init__(self, backend: str, package: str, extra: str | None) -> None:
        requirement = f"'rankvideo-rag[{extra}]'" if extra else package
        super().__init__(f"backend {backend!r} needs the package {package!r}. Install it with: pip install {requirement}")


class MediaError(RankVideoError):
    """A media file cannot be read. `code` is the reason code in reports, such as `not_media`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(RankVideoError):
    """A model cannot be loaded, or its output cannot be used."""


class ArchiveError(RankVideoError):
    """An archive cannot be opened, read or written."""


class ArchiveLocked(ArchiveError):
    """Another process is writing the archive."""


class DiskFull(ArchiveError):
    """The disk of an archive is full."""


class ArchiveMismatch(ArchiveError):
    """The archive was made with another embedder, or has another format."""
