"""rankvideo gc: what nothing refers to any more, deleted, and its space given back."""

from typing import Annotated

import typer

from rankvideo_rag.cli.console import out, plain_table, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson


def gc(
    archive: Archive,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what nothing in an archive refers to, and give the space of what was deleted back to the disk."""
    from rankvideo_rag.storage.gc import collect_garbage

    done = collect_garbage(archive, dry_run=dry_run)
    after = done.after.model_dump() if done.after else None
    if as_json:
        print_json(done.garbage._asdict() | {"before": done.before.model_dump(), "after": after})
        return
    rows = ", ".join(f"{count} {table}" for table, count in done.garbage.rows.items() if count)
    out.print(
        f"{'Would delete' if dry_run else 'Deleted'}: {rows or 'no rows'}; {shown(', '.join(done.garbage.files)) or 'no files'}"
    )
    if dry_run:
        out.print(f"Bytes that would go back to the disk, at least: {done.garbage.free_bytes:,}")
    table = plain_table()
    for column in ("part", "bytes before", *(["bytes after"] if after else [])):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, size in done.before.model_dump().items():
        table.add_row(part.replace("_", " "), f"{size:,}", *([f"{after[part]:,}"] if after else []))
    out.print(table)
