"""Keeping an archive in step with the folders it was made from: what is new, changed, renamed, moved or deleted there, and
videos that are taken out on purpose.

A file counts as deleted only where the folder that held it can be seen with something in it: an empty folder is how a disk
looks that is not mounted, and such a disk must not empty an archive.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing.build import IndexEvent, IndexReport
from rankvideo_rag.indexing.file_state import is_missing
from rankvideo_rag.indexing.run import input_files, prepare, remember_sources, run_index
from rankvideo_rag.indexing.run_report import RunReport
from rankvideo_rag.media.discover import absolute_path, find_media_files
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import update_index_files
from rankvideo_rag.storage.writer import open_writer

_VIDEO_ID = re.compile("[0-9a-f]{32}")


class UnreachableFolder(NamedTuple):
    """A folder that cannot be seen, or is empty, and how many files it held."""

    folder: Path
    files: int


class UpdateReport(NamedTuple):
    """What an update did."""

    report: IndexReport  # of the files that are there
    forgotten: tuple[Path, ...]  # deleted, renamed or moved since
    kept: tuple[UnreachableFolder, ...]  # what of the archive was left as it is, since its files may only be out of sight


class RemovalReport(NamedTuple):
    """What was taken out of an archive."""

    videos: tuple[str, ...]
    paths: tuple[Path, ...]


def update(
    folder: Path,
    settings: Settings,
    inputs: Sequence[Path] = (),
    *,
    prune: bool = False,
    on_start: Callable[[Sequence[Path], IndexConfig], None] = lambda paths, config: None,
    on_event: Callable[[IndexEvent], None] = lambda event: None,
) -> UpdateReport:
    """Bring the archive at `folder` into step with `inputs`, by default with everything that it was made from.

    `prune` forgets also what may only be out of sight. Interrupted and run again, it ends the same.
    Raises InputError when nothing is known of where the archive's files come from, and as `index` does.
    """
    with closing(Store.open(folder)) as store:
        sources = _sources(store, inputs)
        before = set(store.paths())
        paths = find_media_files(sources)
        run = prepare(store, paths, settings, named=input_files(inputs))
        remember_sources(store, inputs)
        on_start(paths, run.config)
        with RunReport(folder, paths) as lines:
            report = run_index(store, run, on_event=lines.recording(on_event))
            found = set(paths)
            absent = [
                path
                for path in _under(sources, store.paths())
                if path not in found and (is_missing(path) or os.path.isdir(path))
            ]
            kept = {} if prune else _out_of_sight(absent, sources)
            with open_writer(store) as writer:
                for path in absent:
                    if path not in kept:
                        writer.delete_path(path)
            stale = [
                path for path in paths if (known := store.known_file(path)) and not known.config_hash and known.outcome.video_id
            ]
            if stale:  # the subtitles that gave a video its words went with a path
                report = _together(
                    report, run_index(store, prepare(store, stale, settings), on_event=lines.recording(on_event))
                )
        update_index_files(store)
        forgotten = sorted(before - set(store.paths()), key=os.fsencode)
        return UpdateReport(
            report, tuple(forgotten), tuple(UnreachableFolder(*item) for item in sorted(Counter(kept.values()).items()))
        )


def remove(folder: Path, names: Sequence[str]) -> RemovalReport:
    """Take videos out of an archive: by id, by the path of a file, or all that lie under a folder.

    A video is its content: it goes with all of its paths, and stays out of later updates under any name, until `index` is
    given its file by name. One transaction a video. Raises InputError for a name of which the archive knows nothing.
    """
    with closing(Store.open(folder)) as store:
        chosen = dict.fromkeys(video_id for name in names for video_id in _named(store, name))
        gone = {video_id: store.paths(video_id) for video_id in chosen}
        with open_writer(store) as writer:
            for video_id in gone:
                writer.remove_video(video_id)
            folders = [absolute_path(Path(name)) for name in names]
            writer.remove_sources(source for source in store.sources() if any(source.is_relative_to(f) for f in folders))
        update_index_files(store)
        return RemovalReport(tuple(gone), tuple(path for paths in gone.values() for path in paths))


def _sources(store: Store, inputs: Sequence[Path]) -> list[Path]:
    known = store.sources()
    for given in inputs:
        if not given.exists() and not any(_under([absolute_path(given)], [*known, *store.paths()])):
            raise InputError(f"there is no {given}: give a folder of videos, or video files")
    if not (inputs or known):
        raise InputError(
            f"the archive at {store.folder} remembers no folder that it was made from: an older version made it, or all were "
            f"removed. Name them once: rankvideo update {store.folder} FOLDER"
        )
    return [absolute_path(given) for given in inputs] or known


def _under(sources: Iterable[Path], paths: Iterable[Path]) -> list[Path]:
    """Those of the paths that are one of the sources or lie under one."""
    roots = set(sources)
    return [path for path in paths if path in roots or not roots.isdisjoint(path.parents)]


def _out_of_sight(absent: Collection[Path], sources: Collection[Path]) -> dict[Path, Path]:
    """Of the absent files those that may be there all the same, with the folder at which sight ends."""
    can_be_seen = cache(_can_be_seen)
    kept = {}
    for path in absent:
        place = path.parent
        while is_missing(place) and place not in sources:
            place = place.parent
        if not can_be_seen(place):
            kept[path] = place
    return kept


def _can_be_seen(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(not entry.name.startswith(".") for entry in entries)
    except OSError:
        return False


def _named(store: Store, name: str) -> list[str]:
    """The videos that a name means."""
    if _VIDEO_ID.fullmatch(name) and (store.paths(name) or store.is_removed(name)):
        return [name] if store.paths(name) else []
    paths = _under([absolute_path(Path(name))], store.paths())
    if not paths:
        raise InputError(
            f"the archive at {store.folder} knows no video and no file {name!r}. `rankvideo search {store.folder} … --json` "
            f"tells the ids and paths of what it holds"
        )
    known = (store.known_file(path) for path in paths)
    return [file.outcome.video_id for file in known if file and file.outcome.video_id]


def _together(first: IndexReport, second: IndexReport) -> IndexReport:
    """Two runs of which the second made some files of the first again."""
    again = {outcome.path: outcome for outcome in second.files}
    return IndexReport(
        tuple(again.get(outcome.path, outcome) for outcome in first.files),
        first.unchanged - len(again),
        first.decodes + second.decodes,
        first.embeddings + second.embeddings,
        first.seconds + second.seconds,
    )
