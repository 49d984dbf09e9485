"""Cache scores in an SQLite file that threads and processes may share.

The key of a score (`score_key`) is what it was computed from: model with revision, prompt spec, content of the file, span and
question.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from rankvideo_rag.errors import MediaError, RankVideoError
from rankvideo_rag.files import file_hash
from rankvideo_rag.ranking.cache_file import CacheFile, CacheUnusable
from rankvideo_rag.schema import Score

logger = logging.getLogger(__name__)
T = TypeVar("T")

_VERSION = 1  # of the keys' parts
_MODEL = "CAST(substr(key, 66) AS TEXT)"  # in SQL: what follows the 64 digits of the digest and the colon
# Two changes within one tick of a file system's clock have the same times: the hash of such a recent file is not cached.
_CLOCK_TICK = 2.0  # seconds, of the coarsest (FAT)


class CacheInfo(NamedTuple):
    """Counts of what a cache holds."""

    path: str
    entries: int  # scores
    bytes: int  # on disk
    models: dict[str, int]  # model -> scores
    files: int  # whose hash is cached


def default_cache_path() -> Path:
    """Return rankvideo/scores.db in the user's cache folder: $XDG_CACHE_HOME, or ~/.cache."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification says to ignore a relative path.
    return (Path(folder) if os.path.isabs(folder) else Path.home() / ".cache") / "rankvideo" / "scores.db"


def open_cache(path: str | None) -> "ScoreCache | None":
    """Return the cache for the setting `score_cache`: a path, "none" for no cache, None for the default path."""
    if path == "none":
        return None
    return ScoreCache(Path(path).expanduser() if path else default_cache_path())


def score_key(
    *,
    model: str,
    spec: str,
    content: str,
    start: float | None,
    end: float | None,
    question: str,
    variant: str = "",
) -> str:
    """Return the key of a score: a sha256 of what it is computed from, a colon, and the model (to count its scores).

    `spec` is the prompt spec's fingerprint, `content` comes from `content_of`; start and end are seconds or None;
    `variant` is anything else that affects the score, such as reasoning.
    """
    span = [None if seconds is None else float(seconds) + 0.0 for seconds in (start, end)]  # + 0.0: -0.0 is 0.0
    made_of = json.dumps([_VERSION, model, spec, content, span, question, variant], allow_nan=False)
    return f"{hashlib.sha256(made_of.encode()).hexdigest()}:{model}"


class ScoreCache:
    """Scores on disk. Safe with threads, processes and forks; it is pickled as its path.

    Where the file cannot be used (full disk, no permission), a warning is logged once and nothing is cached. A damaged file is
    renamed, with a warning, and replaced by a new one.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = CacheFile(path)
        self._warned = False

    @property
    def path(self) -> Path:
        """The cache file."""
        return self._file.path

    def get(self, key: str) -> Score | None:
        """Return the score of a key, or None."""
        kept = self._warn_if_unusable(lambda: self._file.read("scores", _bytes(key)))
        try:
            return None if kept is None else Score.model_validate_json(kept)
        except ValidationError:  # written by another version of this package
            return None

    def put(self, key: str, score: Score) -> None:
        """Store a score whose status is ok; others are not stored, as the next attempt may succeed."""
        if score.status == "ok" and score.margin is not None:
            kept = score.model_dump_json().encode()
            self._warn_if_unusable(lambda: self._file.write("scores", _bytes(key), kept))

    def content_of(self, path: str | Path) -> str:
        """Return the sha256 of a file's bytes, which are read again only when the file has changed.

        Path, device, inode, size and both times are compared: a file replaced under the same name, even one with the old size
        and modification time, is read again. Raises MediaError for a file that cannot be read.
        """
        name, state = os.fsencode(Path(path).absolute()), _state(path)
        known = self._warn_if_unusable(lambda: self._file.read("contents", name))
        if known is not None and json.loads(known)[:-1] == list(state):
            return str(json.loads(known)[-1])
        content = file_hash(path)
        if _state(path) != state:
            raise MediaError("changed", f"{path} changed while it was read: try again when it is complete")
        if time.time() - max(state.changed_ns, state.modified_ns) / 1e9 > _CLOCK_TICK:
            self._warn_if_unusable(lambda: self._file.write("contents", name, json.dumps([*state, content]).encode()))
        return content

    def info(self) -> CacheInfo:
        """Count what the cache holds. Raises RankVideoError where the file cannot be used."""
        models = dict(self._run(f"SELECT {_MODEL}, count(*) FROM scores GROUP BY 1 ORDER BY 1"))
        files = self._run("SELECT count(*) FROM contents")[0][0]
        return CacheInfo(str(self.path), sum(models.values()), self._file.size(), models, files)

    def clear(self, model: str | None = None) -> int:
        """Delete the scores of one model, named as in `info`, or everything; return how many scores were deleted."""
        if model is None:
            (count,) = self._run("SELECT count(*) FROM scores")[0]
            self._run("DELETE FROM scores")
            self._run("DELETE FROM contents")
        else:
            (count,) = self._run(f"SELECT count(*) FROM scores WHERE {_MODEL} = ?", model)[0]
            self._run(f"DELETE FROM scores WHERE {_MODEL} = ?", model)
        self._run("VACUUM")
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(count)

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._file.close()

    def __reduce__(self) -> tuple[type["ScoreCache"], tuple[Path]]:
        return ScoreCache, (self.path,)

    def _run(self, statement: str, *values: str) -> list[Any]:
        try:
            return self._file.run(statement, values)
        except CacheUnusable as error:
            raise RankVideoError(f"the score cache {self.path} cannot be used: {error}") from error

    def _warn_if_unusable(self, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except CacheUnusable as error:
            if not self._warned:
                logger.warning("the score cache %s cannot be used (%s): continuing without it", self.path, error)
            self._warned = True
            return None


class _State(NamedTuple):
    """Changes when a file does."""

    device: int
    inode: int
    size: int  # bytes
    modified_ns: int
    changed_ns: int  # unlike the modification time, it cannot be set


def _state(path: str | Path) -> _State:
    try:
        stat = os.stat(path)
    except FileNotFoundError as error:
        raise MediaError("vanished", f"{path} does not exist") from error
    except OSError as error:
        raise MediaError("io", f"{path}: {error.strerror}") from error
    return _State(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "backslashreplace")
