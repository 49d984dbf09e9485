"""rankvideo gc: delete what nothing refers to."""

from typing import Annotated

import typer

from rankvideo_rag.cli.console import make_table, out, printable, render
from rankvideo_rag.cli.options import Archive, AsJson


def gc(
    archive: Archive,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what nothing in an archive refers to, and return the space to the disk."""
    from rankvideo_rag.storage.gc import collect_garbage

    done = collect_garbage(archive, dry_run=dry_run)
    before, after = done.before.model_dump(), done.after.model_dump() if done.after else None

    def show() -> None:
        rows = ", ".join(f"{count} {table}" for table, count in done.garbage.rows.items() if count) or "no rows"
        files = printable(", ".join(done.garbage.files)) or "no files"
        out.print(f"{'Would delete' if dry_run else 'Deleted'}: {rows}; {files}")
        if dry_run:
            out.print(f"Bytes that would be freed, at least: {done.garbage.free_bytes:,}")
        sizes = [
            [part.replace("_", " "), f"{size:,}", *([f"{after[part]:,}"] if after else [])] for part, size in before.items()
        ]
        out.print(make_table(("part", "bytes before", *(["bytes after"] if after else [])), sizes))

    render(done.garbage._asdict() | {"before": before, "after": after}, show, as_json=as_json)
