"""rankvideo doctor: check the installation, or check and repair an archive."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import PARTIAL, make_table, out, printable, render
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.diagnostics import InstallationReport


def doctor(
    archive: Annotated[
        Path | None, typer.Argument(help="An archive to check; without it, the installation is checked.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild what is derived, and mark what must be read from the videos again.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check an archive, or print what is installed and what each profile needs. Downloads nothing.

    Of an archive the database, references, full-text index, vectors and derived files are checked. Exit code 3: it is damaged.
    """
    from rankvideo_rag.diagnostics import check_installation
    from rankvideo_rag.errors import InputError

    if archive:
        _check_archive(archive, repair=repair, as_json=as_json)
        return
    if repair:
        raise InputError("--repair needs an archive: rankvideo doctor ARCHIVE --repair")
    found = check_installation()
    render(found, lambda: _show(found), as_json=as_json)


def _check_archive(archive: Path, *, repair: bool, as_json: bool) -> None:
    from rankvideo_rag.storage.integrity import check_integrity

    faults = check_integrity(archive, repair=repair)
    repaired = sum(fault.repaired for fault in faults)

    def show() -> None:
        for fault in faults:
            state = "[green]repaired[/]" if fault.repaired else f"[red]to do[/]: {printable(fault.fix)}"
            out.print(f"{fault.check}: {printable(fault.problem)}. {state}", soft_wrap=True)
        out.print(f"{len(faults)} faults, {repaired} of them repaired." if faults else "No faults found.")

    render([fault.model_dump() for fault in faults], show, as_json=as_json)
    if repaired < len(faults):
        raise typer.Exit(PARTIAL)


def _show(found: "InstallationReport") -> None:
    packages = (
        (package.name, package.version or "[red]missing[/]", package.needed_by, printable(package.hint or ""))
        for package in found.packages
    )
    out.print(make_table(("package", "version", "needed by", "what to do"), packages, title="Packages", left=4))
    out.print("[italic]Media libraries[/]")
    for library in found.media:
        warning = f" [red]({printable(library.warning)})[/]" if library.warning else ""
        out.print(f"  {library.package}: {printable(library.ffmpeg)}{warning}")
    columns = ("profile", "ready", "model", "about", "where")
    out.print(make_table(columns, _profile_rows(found), title="Profiles", left=5))
    out.print(f"\nDevice: {printable(found.device)}")


def _profile_rows(found: "InstallationReport") -> Iterator[tuple[str, ...]]:
    for profile in found.profiles:
        first = (
            profile.name,
            "[green]yes[/]" if not profile.missing else f"[yellow]{printable('; '.join(profile.missing))}[/]",
        )
        for model in profile.models:
            place = "in the cache" if model.cached else "would be downloaded"
            yield *first, model.name, f"{model.gigabytes:.1f} GB", place
            first = ("", "")
