"""What an indexing run would do, from stats alone: no file is opened and no model loaded.

Time and room are estimated by size from what the archive's own videos cost; an archive without any states what is assumed.
"""

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
from rankvideo_rag.storage.gc import disk_usage
from rankvideo_rag.storage.index_config import ARCHIVE_SETTINGS, IndexConfig, resolve_settings
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.tables import DATABASE

# Where the archive tells nothing. An hour of video is about 1 GB; a clip embedder takes some minutes for it on a CPU, and 120
# clips of it with 512 numbers each, twice kept, and their words come to about 1 MB.
ASSUMED_SECONDS = 600.0  # for each GB of media
ASSUMED_BYTES = 1_000_000.0  # for each GB of media
_GB = 1e9


class IndexPlan(Record):
    """What would be done."""

    files: int
    unchanged: int
    new: int
    changed: int  # in themselves, or in the subtitle files beside them
    moved: int  # new by name, but of the size and time of a file that is gone: if the content is the same, a hash is all
    again: int  # failed, marked or not to be seen before
    other_options: tuple[str, ...]  # options that differ from the archive's: then everything is made again
    bytes_to_read: int
    seconds: float  # estimated
    disk_bytes: int  # estimated
    basis: str  # what the estimate rests on


class _Rates(NamedTuple):
    seconds: float  # for each GB of media
    disk_bytes: float
    basis: str


def plan_index(inputs: Sequence[Path], folder: Path, settings: Settings) -> IndexPlan:
    """What `index(inputs, folder, settings)` would do. Raises as that does for inputs and options that cannot be."""
    paths = discover(inputs)
    if not (folder / DATABASE).exists():
        return _plan(dict.fromkeys(paths, "new"), (), _assumed())
    with closing(Store.open(folder)) as store:
        settings = resolve_settings(folder, store.index_config, settings)
        config = IndexConfig.model_validate(store.index_config)
        asked = {name: getattr(settings, name) for name in ARCHIVE_SETTINGS if name != "profile"}
        differ = tuple(
            f"{name}: {config.settings[name]} -> {value}"
            for name, value in asked.items()
            if value not in (config.settings[name], "auto")
        )
        named = input_files(inputs)
        # Under other options nothing that is known will do.
        fine = {} if differ else {path: known_outcome(store, path, config, named=path in named) for path in paths}
        gone = (
            set() if differ else {state for path in store.paths() if is_missing(path) and (state := _remembered(store, path))}
        )
        kinds = {
            path: "unchanged" if fine.get(path) else _kind(path, store.known_file(path), gone, settings.subtitles)
            for path in paths
        }
        return _plan(kinds, differ, _rates(store))


def _remembered(store: Store, path: Path) -> tuple[int, int] | None:
    """Size and time of a path whose content the archive holds."""
    known = store.known_file(path)
    return (known.size, known.mtime_ns) if known and known.outcome.video_id else None


def _kind(path: Path, known: KnownFile | None, gone: Collection[tuple[int, int]], subtitles: bool) -> str:
    """What a file is that would not be passed over."""
    try:
        state = read_file_state(path, subtitles=subtitles)
    except MediaError:
        return "again"
    if known is None:
        return "moved" if (state.size, state.mtime_ns) in gone else "new"
    return "again" if (known.size, known.mtime_ns, known.sidecars) == state else "changed"


def _plan(kinds: Mapping[Path, str], differ: tuple[str, ...], rates: _Rates) -> IndexPlan:
    counts = {kind: sum(k == kind for k in kinds.values()) for kind in ("unchanged", "new", "changed", "moved", "again")}
    to_read = sum(_size(path) for path, kind in kinds.items() if kind in ("new", "changed", "again"))
    return IndexPlan(
        files=len(kinds),
        **counts,
        other_options=differ,
        bytes_to_read=to_read,
        seconds=round(to_read / _GB * rates.seconds, 1),
        disk_bytes=round(sum(_size(path) for path, kind in kinds.items() if kind == "new") / _GB * rates.disk_bytes),
        basis=rates.basis,
    )


def _size(path: Path) -> int:
    try:
        return read_file_state(path, subtitles=False).size
    except MediaError:
        return 0


def _rates(store: Store) -> _Rates:
    """What the videos of this archive cost, for each GB of their files."""
    sql = """SELECT count(*), sum(work_seconds), sum(size) FROM
      (SELECT v.work_seconds, min(f.size) AS size FROM videos v JOIN files f USING (video_id)
       WHERE work_seconds IS NOT NULL GROUP BY v.video_id)"""
    videos, seconds, media_bytes = store.connection.execute(sql).fetchone()
    if not videos:
        return _assumed()
    taken = disk_usage(store.folder)
    return _Rates(
        seconds / media_bytes * _GB,
        (taken.database + taken.vector_index) / media_bytes * _GB,
        f"the {videos} videos of this archive, {media_bytes / _GB:.3g} GB of files made in {seconds:.0f} s",
    )


def _assumed() -> _Rates:
    basis = f"assumed, as the archive has no videos of its own yet: {ASSUMED_SECONDS:.0f} s and 1 MB for each GB of media"
    return _Rates(ASSUMED_SECONDS, ASSUMED_BYTES, basis)
