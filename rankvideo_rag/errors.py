"""What can go wrong, in words that say what was found, what was needed and what to do.

RankVideoError                  exit code 1: the run failed
├── InputError                  exit code 2: the caller asked for something that cannot be (also a ValueError)
├── MissingDependency           a backend needs a package that is not installed (also an ImportError)
├── MediaError(code)            a file cannot be read; `code` is the outcome's reason code
├── ModelError                  a model cannot be loaded, or answered nonsense
└── ArchiveError                an archive cannot be opened or written
    ├── ArchiveLocked           another process is writing it
    ├── DiskFull                its disk has no room left
    └── ArchiveMismatch         it was made with another embedder or a newer schema
"""


class RankVideoError(Exception):
    """The root of every error that this package raises on purpose."""

    exit_code = 1


class InputError(RankVideoError, ValueError):
    """The caller asked for something that cannot be: an unknown profile, an empty question, a folder that is not there."""

    exit_code = 2


class MissingDependency(RankVideoError, ImportError):
    """A backend needs a package that is not installed."""

    def __init__(self, backend: str, package: str, extra: str | None) -> None:
        requirement = f"'rankvideo-rag[{extra}]'" if extra else package
        super().__init__(f"backend {backend!r} needs the package {package!r}. Install it with: pip install {requirement}")


class MediaError(RankVideoError):
    """A media file cannot be read. `code` is one word for reports (`not_media`), the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ModelError(RankVideoError):
    """A model cannot be loaded, or its output cannot be used."""


class ArchiveError(RankVideoError):
    """An archive cannot be opened, read or written."""


class ArchiveLocked(ArchiveError):
    """Another process is writing this archive."""


class DiskFull(ArchiveError):
    """The disk of an archive has no room left."""


class ArchiveMismatch(ArchiveError):
    """The archive was made with another embedder, or by a newer version of this package."""
