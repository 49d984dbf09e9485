"""rankvideo remove: remove videos from an archive."""

from typing import Annotated

import typer

from rankvideo_rag.cli.console import out, printable, render
from rankvideo_rag.cli.options import Archive, AsJson


def remove(
    archive: Archive,
    names: Annotated[list[str], typer.Argument(metavar="PATH|VIDEO_ID...", help="Files, folders or video ids.")],
    as_json: AsJson = False,
) -> None:
    """Remove videos from an archive. Their files are not touched.

    They stay out of later updates, under any name, until `rankvideo index FILE --output ARCHIVE` names them again.
    """
    from rankvideo_rag.indexing.update import remove as run

    done = run(archive, names)

    def show() -> None:
        out.print(f"{len(done.videos)} videos removed, from {len(done.paths)} paths:")
        for path in done.paths:
            out.print(f"  {printable(str(path))}", soft_wrap=True)
        out.print(f"Return their space to the disk with: [bold]rankvideo gc {printable(str(archive))}[/]", soft_wrap=True)

    render({"videos": list(done.videos), "paths": list(map(str, done.paths))}, show, as_json=as_json)
