"""rankvideo remove: videos taken out of an archive. The files themselves are not touched."""

from typing import Annotated

import typer

from rankvideo_rag.cli.console import out, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson


def remove(
    archive: Archive,
    names: Annotated[
        list[str], typer.Argument(metavar="PATH|VIDEO_ID...", help="Files, folders or video ids.", show_default=False)
    ],
    as_json: AsJson = False,
) -> None:
    """Take videos out of an archive, with all that was made of them. Their files stay where they are.

    They stay out of later updates, under any name: `rankvideo index FILE --to ARCHIVE` takes one in again.
    """
    from rankvideo_rag.indexing.update import remove as run

    done = run(archive, names)
    if as_json:
        print_json({"videos": list(done.videos), "paths": list(map(str, done.paths))})
        return
    out.print(f"{len(done.videos)} videos taken out, which lay at {len(done.paths)} paths:")
    for path in done.paths:
        out.print(f"  {shown(str(path))}", soft_wrap=True)
    out.print(f"What was made of them leaves the disk with: [bold]rankvideo gc {shown(str(archive))}[/]", soft_wrap=True)
