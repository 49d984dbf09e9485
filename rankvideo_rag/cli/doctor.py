"""rankvideo doctor: what is installed and what is missing; or, of an archive, whether it is whole, and mending it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import out, plain_table, print_json, shown
from rankvideo_rag.cli.index import PARTLY
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.diagnostics import Checkup


def doctor(
    archive: Annotated[
        Path | None, typer.Argument(help="An archive's folder; without one, the installation.", show_default=False)
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Make what is derived again, and mark what has to be read again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Examine an archive, or say what is installed and what each profile needs. Downloads nothing.

    Of an archive: the database, what refers to what, words and their index, vectors, derived files. Exit code 3: it is not
    whole.
    """
    from rankvideo_rag.diagnostics import check_up
    from rankvideo_rag.errors import InputError

    if archive:
        _archive(archive, repair=repair, as_json=as_json)
        return
    if repair:
        raise InputError("--repair needs an archive to repair: rankvideo doctor ARCHIVE --repair")
    checkup = check_up()
    if as_json:
        print_json(checkup.model_dump())
    else:
        _print(checkup)


def _archive(archive: Path, *, repair: bool, as_json: bool) -> None:
    from rankvideo_rag.storage.integrity import check_integrity

    faults = check_integrity(archive, repair=repair)
    if as_json:
        print_json([fault.model_dump() for fault in faults])
    else:
        for fault in faults:
            state = "[green]repaired[/]" if fault.repaired else f"[red]to do[/]: {shown(fault.fix)}"
            out.print(f"{fault.check}: {shown(fault.problem)}. {state}", soft_wrap=True)
        out.print(
            f"{len(faults)} faults, {sum(fault.repaired for fault in faults)} of them repaired." if faults else "All is well."
        )
    if not all(fault.repaired for fault in faults):
        raise typer.Exit(PARTLY)


def _print(checkup: "Checkup") -> None:
    packages = plain_table("Packages")
    for column in ("package", "version", "needed by", "what to do"):
        packages.add_column(column)
    for package in checkup.packages:
        packages.add_row(package.name, package.version or "[red]missing[/]", package.needed_by, shown(package.remedy or ""))
    out.print(packages)
    out.print("[italic]Media libraries[/]")
    for library in checkup.media:
        warning = f" [red]({shown(library.warning)})[/]" if library.warning else ""
        out.print(f"  {library.package}: {shown(library.ffmpeg)}{warning}")
    profiles = plain_table("Profiles")
    for column in ("profile", "ready", "model", "about", "where"):
        profiles.add_column(column)
    for profile in checkup.profiles:
        ready = "[green]yes[/]" if not profile.missing else f"[yellow]{shown('; '.join(profile.missing))}[/]"
        rows = [
            (m.name, f"{m.gigabytes:.1f} GB", "in the cache" if m.cached else "would be downloaded") for m in profile.models
        ]
        for i, (name, size, where) in enumerate(rows or [("none", "", "")]):
            profiles.add_row(profile.name if i == 0 else "", ready if i == 0 else "", name, size, where)
    out.print(profiles)
    out.print(f"\nDevice: {shown(checkup.device)}")
