"""rankvideo update: bring an archive up to date with the folders it was made from."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rankvideo_rag.cli.console import note, out, print_json, printable
from rankvideo_rag.cli.index import (
    RUN_SETTINGS,
    TEXT_SETTINGS,
    check_places,
    exit_by_outcome,
    report_to_json,
    update_vector_store,
)
from rankvideo_rag.cli.index_progress import IndexProgress, print_report
from rankvideo_rag.cli.options import Archive, AsJson, setting_options


@setting_options(*TEXT_SETTINGS, *RUN_SETTINGS)
def update(
    archive: Archive,
    options: dict[str, Any],
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Folders or files to look at; by default all that the archive was made from.")
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Also forget files whose folder is gone or empty.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring an archive up to date: new, changed, renamed, moved and deleted files.

    A renamed or moved file is not decoded again. Files whose folder is gone or empty, as on a disk that is not mounted, are
    kept.
    """
    from rankvideo_rag.indexing.update import update as run
    from rankvideo_rag.settings import Settings

    settings = Settings.load(**options)
    check_places(settings)
    with IndexProgress({"speech", "on-screen text"}) as progress:
        done = run(archive, settings, inputs or (), prune=prune, on_start=progress.on_start, on_event=progress.on_event)
    update_vector_store(archive, settings)
    if as_json:
        kept = [{"folder": str(place.folder), "files": place.files} for place in done.kept]
        print_json(report_to_json(done.report) | {"forgotten": list(map(str, done.forgotten)), "kept": kept})
    else:
        print_report(done.report)
        for path in done.forgotten:
            out.print(f"  forgotten: {printable(str(path))}", soft_wrap=True)
    for place in done.kept:
        note(
            f"{place.files} files of {place.folder} are kept although it is gone or empty. Is a disk not mounted? If they were "
            f"deleted: rankvideo update {archive} --prune"
        )
    exit_by_outcome(done.report)
