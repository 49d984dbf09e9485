"""rankvideo update: an archive brought into step with the folders that it was made from."""

from pathlib import Path
from typing import Annotated

import typer

from rankvideo_rag.cli.console import note, out, print_json, shown
from rankvideo_rag.cli.index import PARTLY, Display, as_contract, check_places, copy_vectors, print_report
from rankvideo_rag.cli.options import Address, Archive, AsJson, Device, Engine, Vectors


def update(
    archive: Archive,
    inputs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders or files to look at; by default all that it was made from.", show_default=False),
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Forget files whose folder cannot be seen, too.")] = False,
    device: Device = None,
    vectors: Vectors = None,
    engine: Engine = None,
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Bring an archive into step with its folders: new, changed, renamed, moved and deleted files.

    A file that was renamed or moved is not decoded again. Files whose folder is gone or empty, as on a disk that is not
    mounted, are kept.
    """
    from rankvideo_rag.indexing.update import update as run
    from rankvideo_rag.settings import Settings

    settings = Settings.load(device=device, vector_store=vectors, engine=engine, ray_address=address)
    check_places(settings, address)
    with Display({"speech", "on-screen text"}) as display:
        done = run(archive, settings, inputs or (), prune=prune, on_start=display.on_start, on_event=display.on_event)
    copy_vectors(archive, settings)
    if as_json:
        kept = [{"folder": str(place.folder), "files": place.files} for place in done.kept]
        print_json(as_contract(done.report) | {"forgotten": list(map(str, done.forgotten)), "kept": kept})
    else:
        print_report(done.report)
        for path in done.forgotten:
            out.print(f"  forgotten: {shown(str(path))}", soft_wrap=True)
    for place in done.kept:
        note(
            f"{place.files} files are kept that were in {place.folder}: it is gone or empty. Is a disk not mounted? If they "
            f"were deleted: rankvideo update {archive} --prune"
        )
    if any(file.outcome != "ok" for file in done.report.files):
        raise typer.Exit(PARTLY)
