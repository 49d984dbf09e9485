"""Keep an archive in sync with its sources, and remove videos from it.

A file counts as deleted only if its folder exists and is not empty: an empty folder is what an unmounted disk looks like, and
it must not empty an archive.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing.build import IndexReport, OnEvent
from rankvideo_rag.indexing.file_state import is_missing
from rankvideo_rag.indexing.run import OnStart, input_files, prepare, remember_sources, run_index
from rankvideo_rag.indexing.run_report import RunReport
from rankvideo_rag.media.discover import absolute_path, find_media_files
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import update_index_files
from rankvideo_rag.storage.writer import open_writer

_VIDEO_ID = re.compile("[0-9a-f]{32}")


class UnreachableFolder(NamedTuple):
    """A folder that is missing or empty, and how many files of the archive it held."""

    folder: Path
    files: int


class UpdateReport(NamedTuple):
    """The result of an update."""

    report: IndexReport  # of the files that exist
    forgotten: tuple[Path, ...]  # deleted, renamed or moved since
    kept: tuple[UnreachableFolder, ...]  # folders whose files were kept because they may only be unreachable


class RemovalReport(NamedTuple):
    """What was removed from an archive."""

    videos: tuple[str, ...]
    paths: tuple[Path, ...]


def update(
    folder: Path,
    settings: Settings,
    inputs: Sequence[Path] = (),
    *,
    prune: bool = False,
    on_start: OnStart = lambda paths, config: None,
    on_event: OnEvent = lambda event: None,
) -> UpdateReport:
    """Bring the archive at `folder` up to date with `inputs`, by default with all of its sources.

    With `prune`, files in missing or empty folders are deleted from the archive too. An interrupted update can be run again.
    Raises InputError when the archive has no sources, and what `index` raises.
    """
    with closing(Store.open(folder, migrate=True)) as store:
        sources = _sources(store, inputs)
        before = set(store.paths())
        paths = find_media_files(sources)
        run = prepare(store, paths, settings, named=input_files(inputs))
        remember_sources(store, inputs)
        on_start(paths, run.job.config)
        with RunReport(folder, paths) as lines:
            record = lines.recording(on_event)
            report = run_index(store, run, on_event=record)
            kept = _delete_missing(store, sources, set(paths), prune=prune)
            if stale := [path for path in paths if _is_stale(store, path)]:
                report = _merge(report, run_index(store, prepare(store, stale, settings), on_event=record))
        update_index_files(store)
        forgotten = sorted(before - set(store.paths()), key=os.fsencode)
        return UpdateReport(report, tuple(forgotten), kept)


def remove(folder: Path, names: Sequence[str]) -> RemovalReport:
    """Remove videos from an archive: by id, by the path of a file, or all under a folder.

    A video is removed with all of its paths, and later updates skip its content under any name until `index` is given the file
    by name. One transaction per video. Raises InputError for a name that the archive does not know.
    """
    with closing(Store.open(folder, migrate=True)) as store:
        chosen = dict.fromkeys(video_id for name in names for video_id in _videos_named(store, name))
        removed = {video_id: store.paths(video_id) for video_id in chosen}
        with open_writer(store) as writer:
            for video_id in removed:
                writer.remove_video(video_id)
            folders = [absolute_path(Path(name)) for name in names]
            writer.remove_sources(source for source in store.sources() if any(source.is_relative_to(f) for f in folders))
        update_index_files(store)
        return RemovalReport(tuple(removed), tuple(path for paths in removed.values() for path in paths))


def _sources(store: Store, inputs: Sequence[Path]) -> list[Path]:
    known = store.sources()
    for given in inputs:
        if not given.exists() and not any(_under([absolute_path(given)], [*known, *store.paths()])):
            raise InputError(f"there is no {given}: give a folder of videos, or video files")
    if not (inputs or known):
        raise InputError(
            f"the archive at {store.folder} has no sources: all were removed. Name them again: rankvideo update {store.folder} "
            "FOLDER"
        )
    return [absolute_path(given) for given in inputs] or known


def _delete_missing(
    store: Store, sources: Sequence[Path], found: Collection[Path], *, prune: bool
) -> tuple[UnreachableFolder, ...]:
    """Delete the paths whose files are gone, and return the folders whose files were kept as they may be unreachable."""
    known = _under(sources, store.paths())
    absent = [path for path in known if path not in found and (is_missing(path) or os.path.isdir(path))]
    kept = {} if prune else _unreachable(absent, sources)
    with open_writer(store) as writer:
        for path in absent:
            if path not in kept:
                writer.delete_path(path)
    return tuple(UnreachableFolder(*item) for item in sorted(Counter(kept.values()).items()))


def _is_stale(store: Store, path: Path) -> bool:
    """Return whether a video must be processed again because the path whose subtitles it had was deleted."""
    known = store.known_file(path)
    return bool(known and not known.config_hash and known.outcome.video_id)


def _under(sources: Iterable[Path], paths: Iterable[Path]) -> list[Path]:
    """Return the paths that are one of the sources or lie under one."""
    roots = set(sources)
    return [path for path in paths if path in roots or not roots.isdisjoint(path.parents)]


def _unreachable(absent: Collection[Path], sources: Collection[Path]) -> dict[Path, Path]:
    """Map those of the absent files that may still exist to their closest folder, which is missing or empty."""
    has_files = cache(_has_files)
    kept = {}
    for path in absent:
        folder = path.parent
        while is_missing(folder) and folder not in sources:
            folder = folder.parent
        if not has_files(folder):
            kept[path] = folder
    return kept


def _has_files(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def _videos_named(store: Store, name: str) -> list[str]:
    """Return the ids of the videos that a name means."""
    if _VIDEO_ID.fullmatch(name) and (store.paths(name) or store.is_removed(name)):
        return [name] if store.paths(name) else []
    paths = _under([absolute_path(Path(name))], store.paths())
    if not paths:
        raise InputError(
            f"the archive at {store.folder} has no video and no file {name!r}. `rankvideo search {store.folder} … --json` "
            f"prints the ids and paths of its videos"
        )
    known = (store.known_file(path) for path in paths)
    return [file.outcome.video_id for file in known if file and file.outcome.video_id]


def _merge(first: IndexReport, second: IndexReport) -> IndexReport:
    """Return the report of two runs, of which the second repeated some files of the first."""
    again = {outcome.path: outcome for outcome in second.files}
    return IndexReport(
        tuple(again.get(outcome.path, outcome) for outcome in first.files),
        first.unchanged - len(again),
        first.decodes + second.decodes,
        first.embeddings + second.embeddings,
        first.seconds + second.seconds,
        first.texts + second.texts,
    )
