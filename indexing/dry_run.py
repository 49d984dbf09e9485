"""Plan an indexing run from file sizes and times alone: no file is opened and no model is loaded.

Time and disk space are estimated by file size from the videos that the archive holds.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.indexing.build import known_outcome
from rankvideo_rag.indexing.file_state import is_missing, read_file_state
from rankvideo_rag.indexing.run import input_files
from rankvideo_rag.media.discover import discover
from rankvideo_rag.schema import Record
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.database import DATABASE
from rankvideo_rag.storage.gc import disk_usage
from rankvideo_rag.storage.index_config import ARCHIVE_SETTINGS, TEXT_SETTINGS, IndexConfig, resolve_settings
from rankvideo_rag.storage.store import KnownFile, Store

# For an empty archive. An hour of video is about 1 GB; a clip embedder takes some minutes for it on a CPU, and the 512 numbers
# of each of its 120 clips, stored twice, and its text take about 1 MB.
ASSUMED_SECONDS = 600.0  # per GB of media
ASSUMED_BYTES = 1_000_000.0  # per GB of media
_GB = 1e9


class IndexPlan(Record):
    """What a run would do."""

    files: int
    unchanged: int
    new: int
    changed: int  # the file or its subtitle files
    moved: int  # a new path with the size and time of a missing file: costs a hash if the content is the same
    retried: int  # failed, stale or unreadable before
    changed_options: tuple[str, ...]  # options that differ from the archive's: then all files are processed again
    text_videos: int  # unchanged or moved videos whose text is embedded again, from what is stored
    bytes_to_read: int
    seconds: float  # estimated
    disk_bytes: int  # estimated
    basis: str  # of the estimates


class _Rates(NamedTuple):
    seconds: float = ASSUMED_SECONDS  # per GB of media
    disk_bytes: float = ASSUMED_BYTES
    basis: str = f"assumed, as the archive has no videos yet: {ASSUMED_SECONDS:.0f} s and 1 MB per GB of media"


def plan_index(inputs: Sequence[Path], folder: Path, settings: Settings) -> IndexPlan:
    """Return what `index(inputs, folder, settings)` would do. Raises the same errors for invalid inputs and options."""
    paths = discover(inputs)
    if not (folder / DATABASE).exists():
        return _plan(dict.fromkeys(paths, "new"), (), 0, _Rates())
    with closing(Store.open(folder)) as store:
        settings = resolve_settings(folder, store.index_config, settings)
        config = IndexConfig.model_validate(store.index_config)
        changed_options = _changed_options(settings, config)
        if changed_options:  # no known outcome stays valid
            kinds = {path: _kind(path, store.known_file(path), (), settings.subtitles) for path in paths}
        else:
            named, missing = input_files(inputs), _missing_files(store)
            kinds = {
                path: "unchanged"
                if known_outcome(store, path, config, named=path in named)
                else _kind(path, store.known_file(path), missing, settings.subtitles)
                for path in paths
            }
        text_videos = 0 if changed_options else _videos_to_embed(store, settings, config)
        return _plan(kinds, changed_options, text_videos, _rates(store))


def _changed_options(settings: Settings, config: IndexConfig) -> tuple[str, ...]:
    asked = {name: getattr(settings, name) for name in ARCHIVE_SETTINGS if name not in ("profile", *TEXT_SETTINGS)}
    return tuple(
        f"{name}: {config.settings[name]} -> {value}"
        for name, value in asked.items()
        if value not in (config.settings[name], "auto")
    )


def _videos_to_embed(store: Store, settings: Settings, config: IndexConfig) -> int:
    """Return how many videos the archive holds whose text gets passages or vectors again."""
    if any(config.settings.get(name) != getattr(settings, name) for name in TEXT_SETTINGS):
        return store.counts()["videos"]
    embedded = config.text_embedder is not None
    return len({*store.videos_without_passages(), *(store.videos_without_text_vectors() if embedded else ())})


def _missing_files(store: Store) -> set[tuple[int, int]]:
    """Return size and time of the missing files whose content the archive holds."""
    known = (store.known_file(path) for path in store.paths() if is_missing(path))
    return {(file.size, file.mtime_ns) for file in known if file and file.outcome.video_id}


def _kind(path: Path, known: KnownFile | None, missing: Collection[tuple[int, int]], subtitles: bool) -> str:
    """Return the kind of a file that is not unchanged."""
    try:
        state = read_file_state(path, subtitles=subtitles)
    except MediaError:
        return "retried"
    if known is None:
        return "moved" if (state.size, state.mtime_ns) in missing else "new"
    return "retried" if (known.size, known.mtime_ns, known.sidecars) == state else "changed"


def _plan(kinds: Mapping[Path, str], changed_options: tuple[str, ...], text_videos: int, rates: _Rates) -> IndexPlan:
    sizes: Counter[str] = Counter()
    for path, kind in kinds.items():
        sizes[kind] += _size(path)
    to_read = sizes["new"] + sizes["changed"] + sizes["retried"]
    counts = Counter(kinds.values())
    return IndexPlan(
        files=len(kinds),
        **{kind: counts[kind] for kind in ("unchanged", "new", "changed", "moved", "retried")},
        changed_options=changed_options,
        text_videos=text_videos,
        bytes_to_read=to_read,
        seconds=round(to_read / _GB * rates.seconds, 1),
        disk_bytes=round(sizes["new"] / _GB * rates.disk_bytes),
        basis=rates.basis,
    )


def _size(path: Path) -> int:
    try:
        return read_file_state(path, subtitles=False).size
    except MediaError:
        return 0


def _rates(store: Store) -> _Rates:
    """Return the cost per GB of the videos of this archive."""
    sql = """SELECT count(*), sum(work_seconds), sum(size) FROM
      (SELECT v.work_seconds, min(f.size) AS size FROM videos v JOIN files f USING (video_id)
       WHERE work_seconds IS NOT NULL GROUP BY v.video_id)"""
    videos, seconds, media_bytes = store.connection.execute(sql).fetchone()
    if not videos:
        return _Rates()
    used = disk_usage(store.folder)
    return _Rates(
        seconds / media_bytes * _GB,
        (used.database + used.vector_index) / media_bytes * _GB,
        f"the {videos} videos of this archive, {media_bytes / _GB:.3g} GB of files processed in {seconds:.0f} s",
    )
